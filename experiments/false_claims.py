"""Does an audit let a true fingerprint pass, and which of its checks expose a false claim?

One true claim, made by a committed rule, and six false ones: examples that every model answers
alike, with and without a rule; keys taken from an innocent model, on the true inputs and on noise;
mistakes that it shares with the source; and the rule's candidates that suit it. Each comes with the
true fingerprint's calibration, so that by its own numbers it is a fingerprint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.figures.drawing import describe
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint, OpenRule
from cemfp.jobs.zoo import Profile, make_zoo
from experiments import markdown
from experiments.common import Rows, cem
from experiments.jobs.audit_claim import AuditClaim
from experiments.jobs.false_claims import CLAIMS

NAME = "false_claims"
# Of an experiment everybody may know it.
SECRET = "the secret of an experiment, known to all"
TARGETS = 3


def by_rule(profile: Profile, targets: int, *, size: int = 0, **changes: Any) -> MakeFingerprint:
    """CEM by a rule at the profile's size, with the first `targets` labels of each ranking."""
    zoo = make_zoo(profile)
    statement = f"source of the study {profile.name}, seed {zoo.source.seed}"
    rule = OpenRule(SECRET, statement, targets)
    candidates = MakeCandidates(
        cem(profile, **changes),
        profile.data,
        zoo.source,
        zoo.defender,
        profile.candidates,
        rule=rule,
    )
    return MakeFingerprint(candidates, size=size or profile.size, balance=False)


def jobs(profile: Profile) -> dict[str, AuditClaim]:
    """Every claim, before the same judge."""
    zoo, made = make_zoo(profile), by_rule(profile, TARGETS)
    return {claim: AuditClaim(claim, made, zoo.calibration, zoo.evaluation) for claim in CLAIMS}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table: one line for each claim."""
    found = {name: row for name, row in rows.items() if "missing" not in row}
    if not found:
        return
    some = next(iter(found.values()))
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "False claims before a judge",
        ["claim", "inputs", *("copies", "innocent", "independents"), "failed", "open"],
        [_line(name, row) for name, row in found.items()],
        f"{describe(some['data'])}, profile {profile.name}, epsilon {profile.epsilon:g}; made with "
        f"{profile.defender} surrogates and as many references, calibrated with "
        f"{profile.calibration}. Numbers: share of inputs on which {len(some['copies'])} real "
        f"copies of the source, the innocent model and the judge's {len(some['independents'])} "
        f"independents answer the key; threshold {some['threshold']:.2f}. Then the checks that "
        "failed, and those left open. No commitment is stamped here, so that this check is open "
        "at best; the late claims come with a commitment to the true fingerprint. The innocent "
        "model is one of the calibration's: it had its part in the true claim's threshold.",
    )


def _line(name: str, row: dict[str, Any]) -> list[str]:
    shares = [_range(row["copies"]), f"{row['innocent']:.2f}", _range(row["independents"])]
    return [name, str(row["inputs"]), *shares, _which(row, "failed"), _which(row, "open")]


def _which(row: dict[str, Any], status: str) -> str:
    found = [name for name, check in row["checks"].items() if check["status"] == status]
    return ", ".join(found) or "–"


def _range(shares: list[float]) -> str:
    low, high = min(shares), max(shares)
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
