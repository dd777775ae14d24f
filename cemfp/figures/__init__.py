"""One look for figures and pages; they draw what they are given."""
