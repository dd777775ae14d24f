"""ROC of fingerprint verification [Lukas21, Fig. 4f], the fingerprint and its keys (Fig. 5, 6).

CEM against the evasion attacks on the source alone, IPGuard, and two nearly free baselines: images
that the source gets wrong, and sample correlation. The paper reports an AUC of 1.0 for CEM and
0.63 for IPGuard, on ten surrogates and ten references.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.engine.jobs import Job
from cemfp.figures import drawing as figures
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.zoo import Profile
from cemfp.storage.files import read_json
from experiments import table
from experiments.common import Rows, cem, class_names, score, yardsticks
from experiments.jobs.sac import ScoreSAC
from experiments.plots.confusion import confusion

NAME = "cifar10_roc"
SHOWS = ("cifar10_fingerprint", "cifar10_confusion")


def jobs(profile: Profile) -> dict[str, Job]:
    """One fingerprint per method at the profile's epsilon, each scored on the same models."""
    methods = {"cem": cem(profile), **yardsticks(profile)}
    found = {name: score(profile, method) for name, method in methods.items()}
    wrong = found["misclassified"]
    sac = ScoreSAC(wrong.fingerprint, wrong.calibration, wrong.evaluation)
    return {**found, "sac": sac}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw CAEAcc of every evaluation model, the ROC curves, CEM's fingerprint and its keys."""
    path = directory.parent / f"{NAME}.cemfp"
    if path.is_file():
        fingerprint = Fingerprint.load(path)
        classes = class_names(profile)
        figures.gallery(fingerprint, directory / "cifar10_fingerprint", classes=classes)
        data = figures.describe(fingerprint.data)
        note = f"CEM, ε = {profile.epsilon:g}, {data}: n = {len(fingerprint)} inputs"
        confusion(fingerprint, classes, directory / "cifar10_confusion", caption=note)
    models = directory.parent / "models.json"
    if models.is_file():
        table.write(rows, read_json(models), profile, directory.parent / f"{NAME}.md")
    # Sample correlation compares scores, not keys: it is in the table.
    figures.roc([row for row in rows.values() if "decision" in row], directory / NAME)
