"""Fingerprint methods, the file they end in, and the selection of its inputs.

Import the parts from their modules: reading a fingerprint file does not need TensorFlow.
"""
