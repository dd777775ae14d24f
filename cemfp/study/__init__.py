"""Studies: lists of jobs whose results are filed under the hash of their description."""
