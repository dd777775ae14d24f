"""What the experiments of the second paper share: their jobs, figures and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cemfp.engine.jobs import Job
from cemfp.fingerprint.sensitive import SAMPLES, SensitiveSamples
from cemfp.jobs.fingerprint import MakeCandidates, MakeFingerprint
from cemfp.jobs.remove import RemoveFingerprint
from cemfp.jobs.train import Model
from cemfp.jobs.zoo import Group
from experiments import markdown
from experiments.common import Rows
from experiments.jobs.base_models import Setting, fingerprints, forms, pruned
from experiments.jobs.characteristic import (
    AskModels,
    FrequencySaliency,
    ShowExamples,
    uniqueness_rows,
)
from experiments.plots import tradeoff

SENSITIVE = "sensitive"
SENSITIVE_CANDIDATES = 64
METHODS = {
    "c": "C",
    "rc": "RC",
    "rc-gm": "RC+GM",
    "ltrc k1 signed": "LTRC k=1",
    "ltrc k2 signed": "LTRC k=2",
    "ltrc k3 signed": "LTRC k=3",
    "ltrc k20 signed": "LTRC k=20",
    "ltrc k2 image": "LTRC k=2, image",
    "ltrc k3 image": "LTRC k=3, image",
    "ltrc k20 image": "LTRC k=20, image",
}
# Our rows -> the paper's.
PAPER_ROWS = {
    "c": "C",
    "rc": "RC",
    "rc-gm": "RC+GM",
    **{f"ltrc k{k} signed": f"LTRC_k{k}" for k in (1, 2, 3, 20)},
}

Series = dict[str, dict[float, dict[str, dict[str, Any]]]]


def jobs(setting: Setting) -> dict[str, Job]:
    """The answers of all models to all fingerprints, examples of these, and the saliency."""
    made = fingerprints(setting)
    method = SensitiveSamples(steps=min(SensitiveSamples.steps, setting.steps))
    candidates = MakeCandidates(
        method, setting.data, setting.base, Group((), ()), SENSITIVE_CANDIDATES
    )
    sensitive = MakeFingerprint(candidates, size=SAMPLES, balance=False)
    return {
        "answers": AskModels(models(setting), (*made.items(), (SENSITIVE, sensitive))),
        "examples": ShowExamples(tuple((name, made[f"{name} | 0"]) for name in _gallery(setting))),
        "saliency": FrequencySaliency(setting.base, setting.data),
    }


def models(setting: Setting) -> tuple[tuple[str, Model | RemoveFingerprint], ...]:
    """The base, its pruned copies and the variants, each with the name of its group."""
    copies = [(f"pruned {ratio:g}", job) for ratio, own in pruned(setting).items() for job in own]
    return (("base", setting.base), *copies, *(("variant", model) for model in setting.variants))


def _gallery(setting: Setting) -> list[str]:
    """One form of each method, at the second smallest delta, as the paper shows them."""
    delta, k = setting.deltas[:2][-1], setting.bands[len(setting.bands) // 2]
    names = ["c 0", f"rc {delta:g}", f"rc-gm {delta:g}"]
    names += [f"ltrc k{k} {domain} {delta:g}" for domain in ("signed", "image")]
    return [name for name in names if name in forms(setting)]


def groups(setting: Setting) -> list[str]:
    """Names of the groups of pruned copies."""
    return [f"pruned {ratio:g}" for ratio in setting.ratios]


def series(row: dict[str, Any], setting: Setting, eta: float | None = None) -> Series:
    """Return the summaries of `uniqueness_rows` by method and delta.

    Args:
        row: What `AskModels` wrote.
        setting: What was run.
        eta: Of the fingerprints that stop there; None takes those of Table 2.
    """
    found: Series = {}
    for name in forms(setting):
        method, _, delta = name.rpartition(" ")
        names = [f"{name} | {seed}" for seed in range(setting.seeds)]
        if eta is not None:
            names = [f"{name} eta {eta:g}"]
        if any(row["fingerprints"].get(asked, {}).get("inputs") for asked in names):
            summaries = uniqueness_rows(row, names, groups(setting), "variant")
            found.setdefault(method, {})[float(delta)] = summaries
    return found


def solid(found: Series, row: dict[str, Any], setting: Setting, eta: float | None = None) -> Series:
    """Leave out the forms that found fewer than half of their inputs: they say nothing sure."""
    ending = " | 0" if eta is None else f" eta {eta:g}"
    kept = {
        method: {
            delta: summaries
            for delta, summaries in by_delta.items()
            if row["fingerprints"][f"{method} {delta:g}{ending}"]["inputs"] >= setting.size / 2
        }
        for method, by_delta in found.items()
    }
    return {method: by_delta for method, by_delta in kept.items() if by_delta}


def draw(
    rows: Rows,
    setting: Setting,
    paper: Mapping[str, Any],
    classes: Sequence[str],
    directory: Path,
    name: str,
    title: str,
) -> None:
    """Draw what there are rows for: gallery, saliency, trade-off and table.

    Args:
        rows: By name of job.
        setting: What was run.
        paper: The paper's table, as in `paper_values.json`.
        classes: Names of the classes.
        directory: Where figures go; the table goes beside it.
        name: Beginning of the names of the figures.
        title: Heading of the table.
    """
    note = _note(rows, setting)
    if "examples" in rows.get("examples", {}):
        shown = {label(form): example for form, example in rows["examples"]["examples"].items()}
        tradeoff.examples(
            shown,
            classes,
            directory / f"{name}_fig1_gallery",
            caption=f"{note}: one example of each method and label, n = 1 net",
        )
    if "saliency" in rows.get("saliency", {}):
        row = rows["saliency"]
        tradeoff.frequencies(
            np.array(row["saliency"]),
            directory / f"{name}_fig2a_saliency",
            caption=f"{note}: mean over n = {row['images']} test images",
        )
    if "models" in rows.get("answers", {}):
        found = series(rows["answers"], setting)
        tradeoff.tradeoff(
            {METHODS[key]: value for key, value in solid(found, rows["answers"], setting).items()},
            setting.ratios,
            directory / f"{name}_fig3_tradeoff",
            caption=f"{note}. Mean ± standard deviation over n = {setting.repeats} pruned copies "
            f"and n = {len(setting.variants)} variants; fingerprints with at least "
            f"{setting.size // 2} inputs",
        )
        _write_table(rows["answers"], found, setting, paper, directory.parent / f"{name}.md", title)


def label(form: str) -> str:
    """Method and delta as figures name them."""
    method, _, delta = form.rpartition(" ")
    return METHODS[method] + (f", δ = {delta}" if float(delta) else "")


def _write_table(
    row: dict[str, Any],
    found: Series,
    setting: Setting,
    paper: Mapping[str, Any],
    path: Path,
    title: str,
) -> None:
    kept = groups(setting)
    header = ["method", "δ", "inputs", "base, %", "transferability, %", "paper"]
    header += [text for ratio in setting.ratios for text in (f"{ratio:.0%} pruned, score", "paper")]
    header += ["low frequencies, %"]
    lines = []
    for method, by_delta in found.items():
        published = {
            values[0]: dict(zip(paper["columns"], values, strict=True))
            for values in paper.get(PAPER_ROWS.get(method, ""), [])
        }
        for delta, summaries in by_delta.items():
            facts, theirs = row["fingerprints"][f"{method} {delta:g} | 0"], published.get(delta, {})
            cells = [
                METHODS[method],
                f"{delta:g}",
                str(facts["inputs"]),
                f"{100 * summaries['base']['mean']:.0f}",
                markdown.spread(summaries["variant"], 100, 0),
                str(theirs.get("transferability", "–")),
            ]
            for ratio, group in zip(setting.ratios, kept, strict=True):
                cells.append(markdown.spread(summaries[f"uniqueness {group}"], 100, 0))
                cells.append(str(theirs.get(f"{100 * ratio:g}", "–")))
            lines.append([*cells, f"{100 * facts['low_frequency_share']:.1f}"])
    markdown.write_table(path, title, header, lines, _explain(row, setting))


def _explain(row: dict[str, Any], setting: Setting) -> str:
    """What was run, and what it cost to prune."""
    base = next(model for model in row["models"] if model["group"] == "base")
    losses = []
    for ratio, group in zip(setting.ratios, groups(setting), strict=True):
        accuracies = [m["test_accuracy"] for m in row["models"] if m["group"] == group]
        lost = 100 * (base["test_accuracy"] - np.mean(accuracies))
        losses.append(f"{ratio:.0%}: {lost:.2f} points (n = {len(accuracies)})")
    variants = [m["test_accuracy"] for m in row["models"] if m["group"] == "variant"]
    width = ", ".join(f"{key} {value}" for key, value in base["arguments"].items())
    text = (
        f"Base: {base['net']} {width}, test accuracy {base['test_accuracy']:.2%}; "
        f"{len(variants)} variants, {np.mean(variants):.2%}. Pruning costs {', '.join(losses)}. "
        "Uniqueness score = robustness - transferability, in points of CAEAcc, mean ± standard "
        "deviation of the difference over pruned copies (n) and variants. Low frequencies: share "
        "of the energy, means aside, with i + j < 3. Rows without `image` are the paper's signed "
        f"form where a filter is at work. {setting.seeds} fingerprint(s) of each kind."
    )
    if SENSITIVE in row["fingerprints"]:
        shares = {
            group: [m["cae_accuracy"][SENSITIVE] for m in row["models"] if m["group"] == group]
            for group in groups(setting)
        }
        broken = ", ".join(
            f"{group} {np.mean(values):.2f} (all match in {sum(v == 1 for v in values)} of "
            f"{len(values)})"
            for group, values in shares.items()
        )
        count = row["fingerprints"][SENSITIVE]["inputs"]
        text += f"\n\n{count} sensitive samples [He19], share that still match: {broken}."
    return text


def _note(rows: Rows, setting: Setting) -> str:
    facts = rows.get("saliency", {}).get("data", {"name": setting.data, "note": ""})
    stand_in = "stand-in data" if facts.get("stand_in") else "real images"
    note = f", {facts['note']}" if facts.get("note") else ""
    arguments = " ".join(f"{key} {value}" for key, value in setting.base.net.arguments)
    return f"{facts['name']} ({stand_in}{note}), {setting.base.net.name} {arguments}".strip()
