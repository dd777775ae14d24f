"""When a characteristic example is finished: the loss eta at which it stops. Beyond the paper.

The paper stops an example once its loss is below 1e-6 [Wang21, Eq. 1]. A net with batch norm,
augmentation and weight decay is never that sure; every example then makes all its steps, ends as
something that every net takes for the class, and tells nothing apart. Here the same methods stop
earlier: one form of each method at several losses, and every form of images at one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cemfp.engine.jobs import Job
from cemfp.jobs.zoo import Profile
from experiments import characteristic, findings, markdown
from experiments.common import Rows
from experiments.jobs.base_models import (
    EARLY_ETA,
    ETAS,
    PAPER_ETA,
    Setting,
    characteristic_fingerprint,
    cnn1_setting,
    stopped_forms,
)
from experiments.jobs.characteristic import AskModels, uniqueness_rows
from experiments.plots import tradeoff

NAME = "characteristic_stopping"

Summaries = dict[str, dict[str, dict[str, Any]]]


def jobs(profile: Profile) -> dict[str, Job]:
    """One job: the models of Table 2, asked for the fingerprints that stop at each eta."""
    setting = cnn1_setting(profile)
    made = {
        name: characteristic_fingerprint(method, setting.base, setting.size)
        for name, method in stopped_forms(setting).items()
    }
    return {"answers": AskModels(characteristic.models(setting), tuple(made.items()))}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw robustness over transferability along eta and along delta, write table and findings."""
    setting, row = cnn1_setting(profile), rows["answers"]
    kept = characteristic.groups(setting)
    note = (
        f"{profile.data}, profile {profile.name}, {setting.base.net.name}: mean ± standard "
        f"deviation over n = {setting.repeats} pruned copies at each ratio and n = "
        f"{len(setting.variants)} variants, one fingerprint of each kind"
    )
    found = {
        name: uniqueness_rows(row, [name], kept, "variant")
        for name, facts in row["fingerprints"].items()
        if facts["inputs"]
    }
    tradeoff.tradeoff(
        _along_eta(found, setting),
        setting.ratios,
        directory / NAME,
        caption=f"{note}; along a line η is {', '.join(f'{e:g}' for e in (*ETAS, PAPER_ETA))}",
        symbol="η",
    )
    early = {
        method: by_delta
        for method, by_delta in characteristic.solid(
            characteristic.series(row, setting, EARLY_ETA), row, setting, EARLY_ETA
        ).items()
        if not method.endswith("signed")  # of which there is one delta only
    }
    tradeoff.tradeoff(
        {characteristic.METHODS[method]: by_delta for method, by_delta in early.items()},
        setting.ratios,
        directory / f"{NAME}_fig3_tradeoff",
        caption=f"{note}; η = {EARLY_ETA:g}, 8-bit images",
    )
    findings.write(early, setting, EARLY_ETA, directory.parent / f"{NAME}_findings.md")
    header = ["method", "η, nats", "inputs", "transferability, %"]
    header += [f"{group}, %" for group in kept] + [f"uniqueness, {group}" for group in kept]
    markdown.write_table(
        directory.parent / f"{NAME}.md",
        "Characteristic examples that stop earlier",
        header,
        [_line(name, row["fingerprints"][name]["inputs"], found[name], kept) for name in found],
        f"CAEAcc in percent; {note}.",
    )


def _along_eta(found: Summaries, setting: Setting) -> characteristic.Series:
    """The forms that there are for every eta, by label and eta."""
    result: characteristic.Series = {}
    for name in stopped_forms(setting):
        form, _, eta = name.partition(" eta ")
        if f"{form} eta {ETAS[0]:g}" in found and name in found:
            result.setdefault(characteristic.label(form), {})[float(eta)] = found[name]
    return result


def _line(name: str, inputs: int, summaries: dict[str, Any], kept: list[str]) -> list[str]:
    form, _, eta = name.partition(" eta ")
    return [
        characteristic.label(form),
        eta,
        str(inputs),
        markdown.spread(summaries["variant"], 100, 0),
        *(markdown.spread(summaries[group], 100, 0) for group in kept),
        *(markdown.spread(summaries[f"uniqueness {group}"], 100, 0) for group in kept),
    ]
