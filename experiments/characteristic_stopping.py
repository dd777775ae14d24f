"""When a characteristic example is finished: the loss eta at which it stops. Beyond the paper.

The paper stops an example once its loss is below 1e-6 [Wang21, Eq. 1]. A net with batch norm,
augmentation and weight decay is never that sure; every example then makes all its steps, ends as
something that every net takes for the class, and tells nothing apart. Here the same methods stop
earlier. All values are shown, none was chosen for another table.
"""

from __future__ import annotations

from pathlib import Path

from cemfp.study import tradeoff
from cemfp.study.base_models import (
    ETAS,
    PAPER_ETA,
    characteristic_fingerprint,
    cnn1_setting,
    stopped_forms,
)
from cemfp.study.characteristic import AskModels, uniqueness_rows
from cemfp.study.jobs import Job
from cemfp.study.profiles import Profile
from experiments import characteristic, markdown
from experiments.common import Rows

NAME = "characteristic_stopping"


def jobs(profile: Profile) -> dict[str, Job]:
    """One job: the models of Table 2, asked for the fingerprints that stop at each eta."""
    setting = cnn1_setting(profile)
    made = {
        name: characteristic_fingerprint(method, setting.base, setting.size)
        for name, method in stopped_forms(setting).items()
    }
    return {"answers": AskModels(characteristic.models(setting), tuple(made.items()))}


def draw(rows: Rows, profile: Profile, directory: Path) -> None:
    """Draw robustness over transferability along eta, and write the table."""
    setting, row = cnn1_setting(profile), rows["answers"]
    kept = characteristic.groups(setting)
    found: characteristic.Series = {}
    for name in stopped_forms(setting):
        form, _, eta = name.partition(" eta ")
        if row["fingerprints"][name]["inputs"]:
            summaries = uniqueness_rows(row, [name], kept, "variant")
            found.setdefault(form, {})[float(eta)] = summaries
    note = (
        f"{profile.data}, profile {profile.name}, {setting.base.net.name}: "
        f"{len(setting.variants)} variants, {setting.repeats} pruned copies at each ratio, one "
        "fingerprint of each kind"
    )
    tradeoff.tradeoff(
        {characteristic.label(form): by_eta for form, by_eta in found.items()},
        setting.ratios,
        directory / NAME,
        caption=f"{note}; along a line η is {', '.join(f'{e:g}' for e in (*ETAS, PAPER_ETA))}",
        symbol="η",
    )
    lines = [
        [
            characteristic.label(form),
            f"{eta:g}",
            str(row["fingerprints"][f"{form} eta {eta:g}"]["inputs"]),
            markdown.spread(summaries["variant"], 100, 0),
            *(markdown.spread(summaries[group], 100, 0) for group in kept),
            *(markdown.spread(summaries[f"uniqueness {group}"], 100, 0) for group in kept),
        ]
        for form, by_eta in found.items()
        for eta, summaries in by_eta.items()
    ]
    header = ["method", "η, nats", "inputs", "transferability, %"]
    header += [f"{group}, %" for group in kept] + [f"uniqueness, {group}" for group in kept]
    text = f"CAEAcc in percent, mean ± standard deviation over models (n). {note}."
    title = "Characteristic examples that stop earlier"
    markdown.write_table(directory.parent / f"{NAME}.md", title, header, lines, text)
