"""What section 3 of [Wang21] finds, beside what the rows say.

A method counts with its best delta at each pruning ratio. "Holds" is yes or no where a difference
is larger than its standard deviation, and undecided where it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments import markdown
from experiments.characteristic import METHODS, Series, groups
from experiments.jobs.base_models import Setting


class Finding(NamedTuple):
    """One row: the paper's statement, what was measured, and whether it says the same."""

    statement: str
    here: str
    holds: str


def findings(found: Series, setting: Setting) -> list[Finding]:
    """Return the paper's three findings, each in its parts, and what the domain `image` costs."""
    study = _Study(found, setting)
    return [finding for make in FINDINGS for finding in make(study)]


def write(found: Series, setting: Setting, eta: float, path: Path) -> Path:
    """Write the table of findings; `eta` is the loss at which inputs were finished."""
    return markdown.write_table(
        path,
        f"Findings of [Wang21, Sec. 3], η = {eta:g}",
        ["finding", "here (uniqueness scores in points, mean ± standard deviation)", "holds"],
        [list(finding) for finding in findings(found, setting)],
        f"{len(setting.variants)} variants, {setting.repeats} pruned copies at each ratio, "
        f"{setting.size} inputs, {setting.seeds} fingerprint(s) of each kind.",
    )


class _Study:
    """Shorthands for the numbers that findings compare."""

    def __init__(self, found: Series, setting: Setting) -> None:
        self.found, self.groups = found, groups(setting)

    def score(self, method: str, delta: float, group: str) -> dict[str, Any]:
        return self.found[method][delta][f"uniqueness {group}"]

    def best(self, method: str, group: str) -> tuple[float, dict[str, Any]]:
        """The delta with the highest score, and that score."""
        scores = {delta: self.score(method, delta, group) for delta in self.found[method]}
        delta = max(scores, key=lambda key: scores[key]["mean"])
        return delta, scores[delta]

    def bests(self, method: str) -> list[float]:
        """The highest mean score at each ratio."""
        return [self.best(method, group)[1]["mean"] for group in self.groups]

    def both(self, method: str, other: str) -> list[float]:
        """The deltas of which there are both."""
        return sorted(self.found.get(method, {}).keys() & self.found.get(other, {}).keys())

    def lead(self, method: str, other: str) -> tuple[float, float]:
        """Mean difference of the best scores over the ratios, and its deviation (unpaired)."""
        pairs = [(self.best(method, group)[1], self.best(other, group)[1]) for group in self.groups]
        deviations = [float(np.hypot(own["std"], theirs["std"])) for own, theirs in pairs]
        differences = [own["mean"] - theirs["mean"] for own, theirs in pairs]
        return float(np.mean(differences)), float(np.mean(deviations))

    def text(self, method: str) -> str:
        """The highest scores at each ratio."""
        parts = []
        for group in self.groups:
            delta, score = self.best(method, group)
            parts.append(f"{100 * score['mean']:+.0f} ± {100 * score['std']:.0f} (δ {delta:g})")
        return f"{METHODS[method]} {', '.join(parts)}"

    def papers(self) -> list[str]:
        """The methods in the paper's form, or in that of images where there is no other."""
        signed = any(name.endswith("signed") for name in self.found)
        return [name for name in self.found if not (signed and name.endswith("image"))]

    def ltrc(self) -> str:
        """LTRC with the k whose best scores have the highest mean."""
        candidates = [name for name in self.papers() if name.startswith("ltrc")]
        return max(candidates, key=lambda name: float(np.mean(self.bests(name))))


def _say(difference: float, deviation: float) -> str:
    """Whether a difference that should be positive is."""
    if abs(difference) <= deviation:
        return "undecided: within the spread"
    return "yes" if difference > 0 else "**no**"


def _say_all(differences: list[float]) -> str:
    """The same of the mean of several differences."""
    return _say(float(np.mean(differences)), float(np.std(differences, ddof=1)))


def _tradeoff(study: _Study) -> list[Finding]:
    best = study.ltrc()
    rows = [
        Finding(
            f"1. {METHODS[method]} outperforms C",
            f"{study.text(method)}; {study.text('c')}",
            _say(*study.lead(method, "c")),
        )
        for method in ("rc", "rc-gm", best)
    ]
    pairs = [
        study.score("rc-gm", delta, group)["mean"] - study.score("rc", delta, group)["mean"]
        for delta in study.both("rc-gm", "rc")
        for group in study.groups
    ]
    rows.append(
        Finding(
            "1. The mean of several gradients (GM) helps",
            f"RC+GM - RC at the same δ: {_points(pairs)}",
            _say_all(pairs),
        )
    )
    other = max(("c", "rc", "rc-gm"), key=lambda name: float(np.mean(study.bests(name))))
    rows.append(
        Finding(
            "1. LTRC outperforms all others",
            f"{study.text(best)}; best of the others {study.text(other)}",
            _say(*study.lead(best, other)),
        )
    )
    return rows


def _scores(study: _Study) -> list[Finding]:
    last = study.groups[-1]
    plain = study.score("c", 0.0, last)
    everyone = {
        (method, delta): float(
            np.mean([study.score(method, delta, group)["mean"] for group in study.groups])
        )
        for method in study.papers()
        for delta in study.found[method]
    }
    method, delta = max(everyone, key=lambda key: everyone[key])
    return [
        Finding(
            f"2. C has a negative score at the highest ratio ({last})",
            f"C {100 * plain['mean']:+.0f} ± {100 * plain['std']:.0f}",
            _say(-plain["mean"], plain["std"]),
        ),
        Finding(
            "2. LTRC has the best score of all (on CIFAR-10 with k = 2, δ = 0.03)",
            f"best on average over the ratios: {METHODS[method]}, δ = {delta:g}: "
            f"{100 * everyone[method, delta]:+.0f}",
            "yes" if method.startswith("ltrc") else "**no**",
        ),
    ]


def _trends(study: _Study) -> list[Finding]:
    by_ratio, by_delta, transfer = [], [], []
    for deltas in study.found.values():
        for summaries in deltas.values():
            means = [summaries[f"uniqueness {group}"]["mean"] for group in study.groups]
            by_ratio.append(means[-1] - means[0])
        if len(deltas) > 1:
            low, high = deltas[min(deltas)], deltas[max(deltas)]
            transfer.append(high["variant"]["mean"] - low["variant"]["mean"])
            by_delta += [
                high[f"uniqueness {group}"]["mean"] - low[f"uniqueness {group}"]["mean"]
                for group in study.groups
            ]
    return [
        Finding(
            "3. The score falls as the pruning ratio grows",
            f"highest ratio - lowest, same method and δ: {_points(by_ratio)}",
            _say_all([-value for value in by_ratio]),
        ),
        Finding(
            "3. Transferability rises with δ",
            f"largest δ - smallest, same method: {_points(transfer)}",
            _say_all(transfer),
        ),
        Finding(
            "3. The score falls as δ grows",
            f"largest δ - smallest, same method and ratio: {_points(by_delta)}",
            _say_all([-value for value in by_delta]),
        ),
    ]


def _domains(study: _Study) -> list[Finding]:
    pairs = [
        study.score(method, delta, group)["mean"]
        - study.score(method.replace("image", "signed"), delta, group)["mean"]
        for method in study.found
        if method.endswith("image")
        for delta in study.both(method, method.replace("image", "signed"))
        for group in study.groups
    ]
    if not pairs:
        return []
    return [
        Finding(
            "Not in the paper: 8-bit images (`image`) instead of signed inputs cost uniqueness",
            f"image - signed, same k, δ and ratio: {_points(pairs)}",
            _say_all([-value for value in pairs]),
        )
    ]


FINDINGS: tuple[Callable[[_Study], list[Finding]], ...] = (_tradeoff, _scores, _trends, _domains)


def _points(differences: list[float]) -> str:
    """Mean and deviation in points, and how many are positive."""
    values = 100 * np.array(differences)
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    above = int((values > 0).sum())
    return f"{values.mean():+.1f} ± {deviation:.1f} (positive in {above} of {len(values)})"
