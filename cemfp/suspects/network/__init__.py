"""Suspects that answer over HTTP: what they speak, how they are asked, what they may do to us."""
