"""Plots that only the experiments need."""
