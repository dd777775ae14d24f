"""Tensor operations, metrics, and the number format to compute in."""
