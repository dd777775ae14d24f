"""One file per figure or table of the papers: `jobs(profile)` says what it needs, `draw` shows it.

Run them with `python -m experiments run NAME… --profile small`.
"""
