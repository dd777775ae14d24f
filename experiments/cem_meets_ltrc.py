"""CEM and characteristic examples on one source, asked of the same models. In neither paper.

Each paper measures its own quantity: uniqueness over pruned copies and independent nets [Wang21],
CAEAcc of extracted surrogates [Lukas21]. A user who has to choose wants both for both. All
fingerprints have as many inputs; CEM needs the defender's surrogates and references and images,
the others nothing but the source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.engine.jobs import Job
from cemfp.fingerprint.methods import METHODS
from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.train import Model
from cemfp.jobs.zoo import Profile, make_zoo
from cemfp.numerics import metrics
from experiments import characteristic, markdown
from experiments.common import Rows, cem, score
from experiments.jobs.base_models import PAPER_ETA, characteristic_fingerprint
from experiments.jobs.cases import cases
from experiments.jobs.characteristic import AskModels, uniqueness_rows
from experiments.profiles import setting_of

NAME = "cem_meets_ltrc"
STEPS = {"demo": 100}
DELTA, ETA = 0.03, 0.1
# Name in rows -> method and settings.
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "c 0": ("c", {}),
    f"rc {DELTA}": ("rc", {"delta": DELTA}),
    f"ltrc k2 signed {DELTA}": ("ltrc", {"delta": DELTA, "k": 2, "domain": "signed"}),
    f"ltrc k2 image {DELTA}": ("ltrc", {"delta": DELTA, "k": 2}),
    "ltrc k2 image 0.01": ("ltrc", {"delta": 0.01, "k": 2}),
    f"c 0 eta {ETA}": ("c", {"eta": ETA}),
    f"rc-gm {DELTA} eta {ETA}": ("rc-gm", {"delta": DELTA, "eta": ETA}),
    f"ltrc k2 image {DELTA} eta {ETA}": ("ltrc", {"delta": DELTA, "k": 2, "eta": ETA}),
}
PRUNED = ("prune_0.7", "prune_0.8", "prune_0.9")
TUNED = ("ftll", "ftal", "rtll", "rtal")
EXTRACTED = ("black_box", "jagielski", "label_smoothing", "knockoff")


def jobs(profile: Profile) -> dict[str, Job]:
    """One job: CEM and the others on the profile's zoo."""
    zoo, attacks = make_zoo(profile), cases(profile)
    asked = {"cem": score(profile, cem(profile)).fingerprint}
    for name, (method, settings) in FORMS.items():
        settings = {"steps": setting_of(profile, STEPS, 500), "eta": PAPER_ETA} | settings
        made = METHODS[method](**settings)
        asked[name] = characteristic_fingerprint(made, zoo.source, profile.size)  # type: ignore[arg-type]
    # First repeats only, so that the job needs nothing that other experiments do not have early.
    kinds = {"pruned": PRUNED, "tuned": TUNED, "extracted": EXTRACTED}
    attacked = [
        (group, attacks[name][0]) for group, names in kinds.items() for name in names
        if name in attacks
    ]  # fmt: skip
    models: list[tuple[str, Model | RemoveFingerprint]] = [
        ("source", zoo.source),
        *attacked,
        *(("surrogate", model) for model in zoo.evaluation.surrogates),
        *(("reference", model) for model in zoo.evaluation.references),
    ]
    return {"answers": AskModels(tuple(models), tuple(asked.items()))}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Write the table."""
    row = rows["answers"]
    kept = [
        group
        for group in ("pruned", "tuned", "extracted", "surrogate")
        if any(model["group"] == group for model in row["models"])
    ]
    lines = [
        _line(row, name, kept) for name, facts in row["fingerprints"].items() if facts["inputs"]
    ]
    header = ["method", "δ", "η", "inputs", "source", *kept, "references (transferability)"]
    header += ["uniqueness (pruned)", "AUC, surrogates against references"]
    source = row["models"][0]
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "CEM and characteristic examples on one zoo",
        header,
        lines,
        f"CAEAcc, mean ± standard deviation over models (n). Profile {profile.name} on "
        f"{profile.data}, source {source['net']} {source['test_accuracy']:.2%}; CEM at ε "
        f"{profile.epsilon:g} with {profile.defender} + {profile.defender} defender's models. "
        "Surrogates and references: the evaluation models. One fingerprint of each kind; each "
        "attack once. Uniqueness: pruned - references.",
    )


def _line(row: dict[str, Any], name: str, kept: list[str]) -> list[str]:
    found = uniqueness_rows(row, [name], ["pruned"], "reference")
    form, _, eta = name.partition(" eta ")
    method, _, delta = form.rpartition(" ")
    scores = {
        group: [m["cae_accuracy"][name] for m in row["models"] if m["group"] == group]
        for group in ("surrogate", "reference")
    }
    return [
        characteristic.METHODS.get(method, "CEM"),
        delta if method else "–",
        eta or ("1e-06" if method else "–"),
        str(row["fingerprints"][name]["inputs"]),
        f"{found['source']['mean']:.2f}",
        *(markdown.spread(found[group]) for group in kept),
        markdown.spread(found["reference"]),
        markdown.spread(found["uniqueness pruned"]),
        f"{metrics.roc_auc(scores['surrogate'], scores['reference']):.2f}",
    ]
