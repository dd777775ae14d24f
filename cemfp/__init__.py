"""Fingerprints for image classifiers: prove from black-box answers that a model was stolen."""

__version__ = "0.1.0"
