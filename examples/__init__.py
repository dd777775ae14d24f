"""What the documentation does with a model and images of a user's own, to be run again."""
