"""Making fingerprints, choosing their inputs, and the file that holds them."""
