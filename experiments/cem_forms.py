"""Which form of CEM's loss confers best [Lukas21, Eq. 6 and A.6]: the choice behind the default.

Judged on the calibration models; the evaluation models are reported and choose nothing. The
literal loss (alpha = beta = gamma = 1, maximum over all labels) stalls: few images leave their
class, since "references leave, everyone else stays" is the nearest optimum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.jobs.score import ScoreFingerprint
from cemfp.jobs.zoo import Profile
from cemfp.models.roles import Role
from experiments.common import Rows, caption, cem, score
from experiments.plots import sweeps

NAME = "cem_forms"
COUNT = 50  # starting images, as in the paper's own comparison [Lukas21, A.6]

FORMS: dict[str, dict[str, Any]] = {
    "literal eq. 6": {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "exclude_clean": False},
    "literal, weights 1, .1, .1": {"alpha": 1.0, "beta": 0.1, "gamma": 0.1, "exclude_clean": False},
    "weights 1, .1, .1": {"alpha": 1.0, "beta": 0.1, "gamma": 0.1},
    "weights 1, 0, 0": {"alpha": 1.0, "beta": 0.0, "gamma": 0.0},
    "1, 0, 0, model dropout": {"beta": 0.0, "gamma": 0.0, "dropout_of": "model"},
    "1, 0, 0, random start": {"beta": 0.0, "gamma": 0.0, "random_start": True},
}


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """Each form with and without the filter on the defender's models; one without rounding."""
    methods = {name: cem(profile, **form) for name, form in FORMS.items()}
    found = {}
    for name, method in methods.items():
        found[name] = score(profile, method, count=COUNT)
        found[f"{name} | unfiltered"] = score(profile, method, count=COUNT, filtered=False)
    plain = methods["weights 1, 0, 0"]
    found["weights 1, 0, 0, not rounded | unfiltered"] = score(
        profile, plain, count=COUNT, quantize=False, filtered=False
    )
    return found


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw the CAEAcc of calibration surrogates and references for each form."""
    models = caption(rows, profile, Role.CALIBRATION)
    note = f"{models}; n: inputs that left their class, of {COUNT}"
    sweeps.forms(rows, directory / NAME, caption=note)
