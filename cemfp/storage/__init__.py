"""Files that are whole or not there, and the store of results, here or elsewhere."""
