"""The rows of all experiments, and the numbers that claims compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cemfp.jobs.zoo import Profile
from cemfp.numerics import metrics
from experiments import cifar10_irremovability as irremovability
from experiments import markdown
from experiments.common import Rows


class StudyRows:
    """The rows of all experiments, and shorthands for the numbers that claims compare."""

    def __init__(self, rows: Mapping[str, Rows], profile: Profile) -> None:
        self.rows, self.profile = rows, profile
        self.epsilon = profile.epsilon
        self.attacks = irremovability.attack_rows(rows[irremovability.NAME])
        self.score = irremovability.score_rows(rows[irremovability.NAME])[self.epsilon]

    @property
    def threshold(self) -> float:
        """The calibration models' threshold; where there is none, a KeyError as for a row."""
        found = self.score["decision"]["threshold"]
        if found is None:
            raise KeyError("threshold")
        return found

    @property
    def minimum(self) -> float:
        """Least accuracy of a successful attack."""
        return self.victim_accuracy - irremovability.MARGIN

    @property
    def victim_accuracy(self) -> float:
        """Test accuracy of the source."""
        return next(iter(self.attacks.values()))[0]["victim_accuracy"]

    def confer(self, name: str, epsilon: float) -> dict[str, Any]:
        """Conferrability without filter."""
        return self.rows["cifar10_conferrability"][f"{name} {epsilon}"]["evaluation"]["confer"]

    def cae(self, attack: str) -> dict[str, Any]:
        """CAEAcc of an attack's repeats at the profile's epsilon."""
        key = f"cem {self.epsilon}"
        return metrics.summary([row["cae_accuracy"][key] for row in self.attacks[attack]])

    def accuracy(self, attack: str) -> dict[str, Any]:
        """Test accuracy of an attack's repeats."""
        return metrics.summary([row["test_accuracy"] for row in self.attacks[attack]])

    def lowest(self, attacks: Sequence[str]) -> str:
        """The attack with the lowest mean CAEAcc."""
        return min(attacks, key=lambda name: float(self.cae(name)["mean"]))

    def verdict(self, attack: str) -> str:
        """What the paper's criterion says."""
        return irremovability.verdict(self.attacks[attack], self.threshold, self.epsilon)

    def numbers(self, attack: str) -> str:
        """CAEAcc and accuracy as text."""
        accuracy = markdown.spread(self.accuracy(attack), 100, 1)
        return f"{attack}: CAEAcc {markdown.spread(self.cae(attack))}, {accuracy} %"
