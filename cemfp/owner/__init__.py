"""The owner's whole way from a model to a verdict; so far as a demonstration."""
