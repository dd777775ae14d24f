"""What many nets cost CEM when a step asks a few of them, drawn anew: `members_per_step`.

The paper's defender has 18 surrogates and as many references. The unit is that of `benchmarks.cem`:
150 candidates and 150 steps, as the study takes for 100 inputs, are 22,500 image-steps.
"""

from __future__ import annotations

import dataclasses
import functools

from benchmarks import cem
from benchmarks.harness import Section, Variant


def sections(quick: bool) -> list[Section]:
    """Return the comparison; `quick` has fewer rounds and nets."""
    count = 4 if quick else 18
    few = functools.partial(dataclasses.replace, cem.METHOD)
    return [
        Section(
            f"CEM with {count} + {count} ResNet20, {cem.CANDIDATES} candidates",
            "image-steps",
            (
                Variant("every net at every step", functools.partial(cem.prepare, few(), count)),
                *(
                    Variant(
                        f"{asked} + {asked} at a step",
                        functools.partial(cem.prepare, few(members_per_step=asked), count),
                    )
                    for asked in (2, 1)
                ),
                Variant("2 + 2 nets, all at every step", functools.partial(cem.prepare, few(), 2)),
            ),
            3 if quick else 7,
        )
    ]
