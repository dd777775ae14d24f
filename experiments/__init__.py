"""One file per figure or table of the papers: `jobs(profile)` says what it needs, `draw` shows it.

Run them with `cemfp study run NAME… --profile small`.
"""
