"""The one training loop, and what makes a classifier with it."""
