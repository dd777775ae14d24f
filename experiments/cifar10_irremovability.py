"""Which attack removes the fingerprint [Lukas21, Fig. 3c-3f, 4a-4d and Table 2].

Each removal attack runs three times with other seeds, the costly ones less often at profile `small`
(the table says how often): `study.cases` lists them. Each result is asked for its answers to
CEM's fingerprints at every epsilon and to the yardsticks' at the profile's. An attack succeeds if
its mean test accuracy is within 3.75 points of the source's and its mean CAEAcc below the
threshold of the calibration models: the paper's criterion. At profile `small` the nets of the
costly architectures are narrow and the recipe is short; the rows say so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cemfp.engine.jobs import Job
from cemfp.jobs.remove import JudgeRemoval
from cemfp.jobs.zoo import Profile
from cemfp.numerics import metrics
from experiments import markdown
from experiments.common import PAPER, Rows, caption, cem, fingerprints, score
from experiments.jobs.cases import cases
from experiments.plots import irremovability

NAME = "cifar10_irremovability"
MARGIN = 0.0375  # accuracy that an attack may cost: 89.3 % - 85.55 % in the paper

BEYOND = "beyond_the_paper"
# What the captions say of all panels.
HOW = (
    f"n: repeats with other seeds, no error bar for n = 1; a fingerprint of fewer than "
    f"{irremovability.FEWEST_INPUTS} inputs is left out"
)

# Panel of the paper -> beginnings of the names of its attacks.
PANELS = {
    "fig3c_fine_tuning": ("ftll", "ftal", "rtll", "rtal"),
    "fig3d_pruning": ("prune", "fine_pruning"),
    "fig3e_extraction": ("retrain_resnet20", "black_box", "jagielski", "papernot", "label_smooth"),
    "fig3f_architectures": ("retrain_resnet20", "retrain_densenet", "retrain_vgg"),
    "fig4a_other_images": ("retrain_resnet20", "retrain_cinic", "knockoff"),
    "fig4b_transfer": ("transfer",),
    "fig4c_adversarial_training": ("advtrain",),
    "fig4d_ground_truth": ("retrain_resnet20", "ground_truth", "dp_sgd"),
    BEYOND: ("quantize", "tflite", "weight_noise", "fine_pruning", "label_smooth"),
}
SHOWS = ("table2_removal_attacks", *(f"cifar10_{panel}" for panel in PANELS))


def jobs(profile: Profile) -> dict[str, Job]:
    """CEM's threshold and references at each epsilon, and the repeats of every attack.

    First repeats come first: a stopped study has a row for every attack.
    """
    asked = tuple(fingerprints(profile).items())
    found: dict[str, Job] = {
        f"scores at {epsilon}": score(profile, cem(profile, epsilon))
        for epsilon in profile.epsilons
    }
    attacks = cases(profile)
    for number in range(max(map(len, attacks.values()))):
        for name, removals in attacks.items():
            if number < len(removals):
                found[f"{name} | {number}"] = JudgeRemoval(removals[number], asked)
    return found


def attack_rows(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """Return the finished repeats of each attack."""
    found: dict[str, list[dict[str, Any]]] = {}
    for key, row in rows.items():
        name, separator, _ = key.partition(" | ")
        if separator and "missing" not in row:
            found.setdefault(name, []).append(row)
    return found


def score_rows(rows: Rows) -> dict[float, dict[str, Any]]:
    """Return CEM's scores on calibration and evaluation models by epsilon."""
    found = (row for key, row in rows.items() if key.startswith("scores at ") and "models" in row)
    return {row["fingerprint"]["epsilon"]: row for row in found}


def verdict(repeats: list[dict[str, Any]], threshold: float | None, epsilon: float) -> str:
    """Return what the paper's criterion says of an attack's mean."""
    if threshold is None:
        return "no threshold"
    accuracy = np.mean([row["test_accuracy"] for row in repeats])
    if np.mean([row["cae_accuracy"][f"cem {epsilon}"] for row in repeats]) >= threshold:
        return "no"
    useful = accuracy >= repeats[0]["victim_accuracy"] - MARGIN
    return "**yes**" if useful else "no: too inaccurate"


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw CAEAcc over epsilon for every panel, and write Table 2 with all that was measured."""
    found, scores = attack_rows(rows), score_rows(rows)
    if not found or profile.epsilon not in scores:
        return
    note = caption({"cem": scores[profile.epsilon]}, profile)
    for panel, prefixes in PANELS.items():
        chosen = {name: found[name] for name in found if name.startswith(prefixes)}
        if chosen:
            heading = "Not in the paper" if panel == BEYOND else _heading(panel)
            irremovability.panel(
                chosen, scores, directory / f"cifar10_{panel}", caption=f"{heading}: {note}. {HOW}"
            )
    _table(found, scores, profile, directory.parent / "table2_removal_attacks.md", note)


def _heading(panel: str) -> str:
    """`fig3c_fine_tuning` -> `Fig. 3c, fine tuning`."""
    number, _, subject = panel.partition("_")
    return f"Fig. {number.removeprefix('fig')}, {subject.replace('_', ' ')}"


def _table(
    found: dict[str, list[dict[str, Any]]],
    scores: dict[float, dict[str, Any]],
    profile: Profile,
    path: Path,
    note: str,
) -> None:
    threshold = scores[profile.epsilon]["decision"]["threshold"]
    limit = "(none)" if threshold is None else f"{threshold:.3f}"
    epsilons = sorted(scores)
    header = [
        "attack",
        "net",
        "test accuracy, %",
        "paper, %",
        *(f"CAEAcc, ε {e:g} ({scores[e]['fingerprint']['inputs']} inputs)" for e in epsilons),
        "agreement",
        "queries",
        "seconds",
        "removes",
    ]
    lines = [_line(name, found[name], epsilons, threshold, profile) for name in found]
    victim = next(iter(found.values()))[0]["victim_accuracy"]
    markdown.write_table(
        path,
        "Removal attacks [Lukas21, Table 2]",
        header,
        lines,
        f"Mean ± standard deviation over repeats. Source: {victim:.2%}. `removes`: mean accuracy "
        f"at least {victim - MARGIN:.2%} and mean CAEAcc at ε {profile.epsilon:g} below the "
        f"threshold {limit}. Seconds on one core of a busy machine. {note}.",
    )


def _line(
    name: str,
    repeats: list[dict[str, Any]],
    epsilons: list[float],
    threshold: float | None,
    profile: Profile,
) -> list[str]:
    def over(values: list[float]) -> dict[str, Any]:
        return metrics.summary(values)

    first = repeats[0]
    width = "".join(f" {key} {value}" for key, value in first["arguments"].items())
    paper = PAPER["table2_surrogate_test_accuracy"].get(name)
    return [
        name,
        first["net"] + width,
        markdown.spread(over([row["test_accuracy"] for row in repeats]), 100),
        "–" if paper is None else str(paper),
        *(_cae_accuracy([row["cae_accuracy"][f"cem {e}"] for row in repeats]) for e in epsilons),
        markdown.spread(over([row["agreement"] for row in repeats])),
        str(first["queries"]),
        f"{over([row['seconds'] for row in repeats])['mean']:.0f}",
        verdict(repeats, threshold, profile.epsilon),
    ]


def _cae_accuracy(values: list[float | None]) -> str:
    """Mean and deviation; a dash where no fingerprint could be made."""
    known = [value for value in values if value is not None]
    return markdown.spread(metrics.summary(known)) if known else "–"
