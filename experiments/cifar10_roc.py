"""ROC of fingerprint verification [Lukas21, Fig. 4f]: CEM against PGD and IPGuard.

Profile `small`: trains 35 ResNet20 on CIFAR-10, then makes three fingerprints. The paper reports
an AUC of 1.0 for CEM and 0.63 for IPGuard, on ten surrogates and ten references.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.fingerprint.artifact import Fingerprint
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.study import figures
from cemfp.study.fingerprints import ScoreFingerprint
from cemfp.study.profiles import Profile
from experiments.common import Rows, cem, score

NAME = "cifar10_roc"


def jobs(profile: Profile) -> dict[str, ScoreFingerprint]:
    """One fingerprint per method at the profile's epsilon, each scored on the same models."""
    return {
        "cem": score(profile, cem(profile)),
        "pgd": score(profile, FromAttack("pgd", profile.epsilon)),
        "ipguard": score(profile, IPGuard()),
    }


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw CAEAcc of every evaluation model, the ROC curves, and CEM's fingerprint."""
    del profile  # the rows say what they are of
    fingerprint = directory.parent / f"{NAME}.cemfp"
    if fingerprint.is_file():
        figures.gallery(Fingerprint.load(fingerprint), directory / "cifar10_fingerprint")
    figures.roc([row for row in rows.values() if "models" in row], directory / NAME)
