"""Jobs that only the experiments need."""
