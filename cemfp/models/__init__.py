"""Classifiers, their nets and their roles."""
