"""Jobs and how they are run, here or on a cluster; it knows nothing of fingerprints."""
