"""What section 6 of [Lukas21] claims, beside what the committed rows say.

Each claim names the experiment whose rows it reads. "Holds" is the sign of the effect the paper
states, judged on means; where an experiment has not run, the claim says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cemfp.jobs.zoo import Profile
from cemfp.numerics import metrics
from experiments import cifar10_evasion, markdown
from experiments.common import PAPER, Rows
from experiments.study_rows import StudyRows

RowsByName = Mapping[str, Rows]
TEXT = PAPER["text"]


class Claim(NamedTuple):
    """One row of the table.

    Attributes:
        claim: The paper's statement.
        paper: Its numbers.
        ours: Ours, with spread and n.
        holds: Whether ours say the same.
        why: Where they do not: what differs here.
    """

    claim: str
    paper: str
    ours: str
    holds: str
    why: str = ""


def claims(rows: RowsByName, profile: Profile) -> list[Claim]:
    """Return every claim; one whose rows are missing says what has to run."""
    study = StudyRows(rows, profile)
    found = []
    for make in CLAIMS:
        try:
            found.append(make(study))
        except KeyError as missing:
            found.append(Claim(make.__doc__ or "", "–", f"not run: {missing}", "–"))
    return found


def write(rows: RowsByName, profile: Profile, path: Path) -> Path:
    """Write the table of claims."""
    return markdown.write_table(
        path,
        "Claims of [Lukas21, Sec. 6]",
        ["claim", "paper", "here", "holds", "why not, or what to know"],
        [list(claim) for claim in claims(rows, profile)],
        f"Profile {profile.name}. Mean ± standard deviation (n). CAEAcc at ε "
        f"{profile.epsilon:g} unless another is named.",
    )


def _say(holds: bool) -> str:
    return "yes" if holds else "**no**"


def _conferrability(study: StudyRows) -> Claim:
    """CEM's examples confer more than any attack's on the source alone"""
    low = study.profile.epsilons[0]
    cem = study.confer("cem", low)
    attacks = {name: study.confer(name, low)["mean"] for name in ("fgm", "bim", "pgd", "cw")}
    best = max(attacks, key=lambda name: attacks[name])
    return Claim(
        f"CEM confers more than attacks on the source alone, at the smallest ε ({low:g})",
        f"CEM {TEXT['conferrability_eps_0.01']}",
        f"CEM {markdown.spread(cem)}, best of the others {best} {attacks[best]:.2f}",
        _say(cem["mean"] > attacks[best]),
    )


def _falls(study: StudyRows) -> Claim:
    """Conferrability falls as epsilon grows"""
    low, high = study.profile.epsilons[0], study.profile.epsilons[-1]
    first, last = study.confer("cem", low), study.confer("cem", high)
    return Claim(
        "CEM's conferrability falls as ε grows",
        f"{TEXT['conferrability_eps_0.01']} at 0.01, {TEXT['conferrability_eps_0.15']} at 0.15",
        f"{markdown.spread(first)} at {low:g}, {markdown.spread(last)} at {high:g}",
        _say(last["mean"] < first["mean"]),
        "our ε ends at 0.1, the paper's at 0.15; our default loss drops the terms that pull the "
        "references along; weaker nets",
    )


def _gap(study: StudyRows) -> Claim:
    """Surrogates lie above references"""
    found = study.score["evaluation"]
    gap: float = found["surrogates"]["mean"] - found["references"]["mean"]
    return Claim(
        "Surrogates answer the key at least 0.30 more often than references",
        f"gap {TEXT['cae_acc_gap_eps_0.025']:.2f}",
        f"gap {gap:.2f}: {markdown.spread(found['surrogates'])} against "
        f"{markdown.spread(found['references'])}",
        _say(gap >= TEXT["cae_acc_gap_eps_0.025"]),
    )


def _auc(study: StudyRows) -> Claim:
    """ROC AUC of CEM and IPGuard"""
    roc = study.rows["cifar10_roc"]
    cem, ipguard = (roc[name]["evaluation"] for name in ("cem", "ipguard"))
    return Claim(
        "CEM tells surrogates from references perfectly, IPGuard hardly",
        f"AUC {TEXT['roc_auc_cem']} against {TEXT['roc_auc_ipguard']}",
        f"AUC {cem['auc']:.2f} (exact lower bound {cem['auc_lower_bound']:.2f}, n = "
        f"{cem['surrogates']['n']} + {cem['references']['n']}) against {ipguard['auc']:.2f}",
        _say(cem["auc"] == 1.0 and ipguard["auc"] < 0.9),
    )


def _evasion(study: StudyRows) -> Claim:
    """A detector of adversarial queries does not find the fingerprint"""
    aucs = cifar10_evasion.aucs(study.rows[cifar10_evasion.NAME], study.epsilon)
    summary, own, noise = (
        metrics.summary(aucs[name])
        for name in ("cem", cifar10_evasion.OWN_TASK, cifar10_evasion.NOISE)
    )
    return Claim(
        "The detector of Hitaj et al. finds fingerprint inputs only moderately well",
        f"AUC {TEXT['detector_roc_auc_eps_0.025']} at 0.025",
        f"AUC {markdown.spread(summary)} at {study.epsilon:g}; on its own task "
        f"{markdown.spread(own)}",
        _say(float(np.mean(aucs["cem"])) <= 0.75),
        f"it finds random noise of one grey level, too: AUC {markdown.spread(noise)}; where that "
        "is 1, it sees any change of pixels",
    )


def _modifications(study: StudyRows) -> Claim:
    """No fine-tuning or pruning attack removes the fingerprint"""
    names = ("ftll", "ftal", "rtll", "rtal", "prune_0.7", "prune_0.8")
    removed = [name for name in names if "yes" in study.verdict(name)]
    lowest = study.lowest(names)
    return Claim(
        "FTLL, FTAL, RTLL, RTAL and pruning up to 0.8 do not remove it",
        "none",
        f"removed by {', '.join(removed) or 'none'}; lowest {study.numbers(lowest)}",
        _say(not removed),
    )


def _pruned_most(study: StudyRows) -> Claim:
    """Pruning 90 % costs too much accuracy to succeed"""
    return Claim(
        "Pruning 0.9 fails, since it costs too much accuracy",
        "83.36 % against a minimum of 85.55 %",
        f"{study.numbers('prune_0.9')} against a minimum of {100 * study.minimum:.2f} %",
        _say(float(study.accuracy("prune_0.9")["mean"]) < study.minimum),
    )


def _extractions(study: StudyRows) -> Claim:
    """No extraction attack but transfer learning removes it"""
    names = ("retrain_resnet20", "jagielski", "papernot", "knockoff", "retrain_cinic", "black_box")
    removed = [name for name in names if "yes" in study.verdict(name)]
    lowest = study.lowest(names)
    return Claim(
        "Retraining, black-box, Jagielski, Papernot, Knockoff and CINIC do not remove it",
        "none",
        f"removed by {', '.join(removed) or 'none'}; lowest {study.numbers(lowest)}",
        _say(not removed),
    )


def _architectures(study: StudyRows) -> Claim:
    """The fingerprint survives a change of architecture"""
    names = [name for name in study.attacks if name.startswith(("retrain_dense", "retrain_vgg"))]
    if not names:
        raise KeyError("retrain_densenet")
    above = [name for name in names if study.cae(name)["mean"] >= study.threshold]
    return Claim(
        "It is not removed by another architecture",
        "none",
        "; ".join(study.numbers(name) for name in names),
        _say(len(above) == len(names)),
        "narrow nets, too inaccurate to count as a success, but below the threshold all the same",
    )


def _cinic(study: StudyRows) -> Claim:
    """Surrogates from CINIC score higher at lower accuracy"""
    mine, cifar = study.cae("retrain_cinic"), study.cae("retrain_resnet20")
    accurate = study.accuracy("retrain_cinic")["mean"] < study.accuracy("retrain_resnet20")["mean"]
    return Claim(
        "Surrogates from CINIC images have a higher CAEAcc at a lower accuracy",
        "accuracy -2.16 points",
        f"{study.numbers('retrain_cinic')}; {study.numbers('retrain_resnet20')}",
        _say(mine["mean"] > cifar["mean"] and accurate),
        "CINIC here is a stand-in of 8,000 training images, not 90,000",
    )


def _transfer(study: StudyRows) -> Claim:
    """Transfer learning removes with CIFAR-10 images, not with CINIC's"""
    near, far = study.verdict("transfer_cifar10"), study.verdict("transfer_cinic")
    return Claim(
        "Transfer learning removes it with CIFAR-10 images and not with CINIC's",
        "removed: yes; no",
        f"{study.numbers('transfer_cifar10')} ({near}); {study.numbers('transfer_cinic')} ({far})",
        _say("yes" in near and "yes" not in far),
        "ImageNet32 here is a sample: 51,000 images of 200 classes",
    )


def _adversarial(study: StudyRows) -> Claim:
    """Adversarial training removes the fingerprint"""
    names = [name for name in study.attacks if name.startswith("advtrain_cifar10")]
    if not names:
        raise KeyError("advtrain_cifar10")
    return Claim(
        "Adversarial training on CIFAR-10 removes it and keeps the accuracy",
        f"CAEAcc {TEXT['cae_acc_advtrain_cifar10_eps_0.025']} at 89.75 %",
        "; ".join(f"{study.numbers(name)} ({study.verdict(name)})" for name in names),
        _say(any("yes" in study.verdict(name) for name in names)),
        "a few epochs with few PGD steps cost more accuracy than the paper's training; "
        f"robust accuracy {_robust(study, names)}",
    )


def _robust(study: StudyRows, names: Sequence[str]) -> str:
    """Accuracy of adversarially trained nets under PGD, and the victim's."""
    facts = [study.attacks[name][0]["facts"] for name in names]
    return "; ".join(
        f"{fact['robust_accuracy']:.1%} (victim {fact['robust_accuracy_of_victim']:.1%}) at ε "
        f"{fact['epsilon']:.4f}"
        for fact in facts
    )


def _ground_truth(study: StudyRows) -> Claim:
    """More ground truth, lower CAEAcc; up to half of it does not remove"""
    names = [name for name in study.attacks if name.startswith("ground_truth")]
    if not names:
        raise KeyError("ground_truth_0.5")
    means = [study.cae(name)["mean"] for name in names]
    shares = [float(name.rpartition("_")[2]) for name in names]
    slope = float(np.polyfit(shares, means, 1)[0]) if len(names) > 1 else None
    falls = "one share only" if slope is None else f"slope {slope:.2f}"
    values = ", ".join(f"{share:g}: {mean:.2f}" for share, mean in zip(shares, means, strict=True))
    half = study.verdict("ground_truth_0.5")
    removed = "yes" in half
    known = removed or slope is not None  # of one share alone only the half can be judged
    return Claim(
        "CAEAcc falls with the share of ground truth; half of it does not remove",
        f"not removed up to {TEXT['ground_truth_robust_up_to']:.0%}",
        f"CAEAcc by share {values} ({falls}); at 0.5: {half}",
        _say(not removed and slope is not None and slope < 0) if known else "–",
        f"our source is {study.victim_accuracy:.1%} accurate, the paper's 89.3 %: ground truth "
        "contradicts it more often",
    )


def _private(study: StudyRows) -> Claim:
    """DP-SGD surrogates are too inaccurate"""
    first = study.attacks["dp_sgd"][0]["facts"]
    return Claim(
        "DP-SGD surrogates are too inaccurate to be of use",
        "76 %",
        f"{study.numbers('dp_sgd')}, privacy ε {first['epsilon']:.1f} at δ {first['delta']:g}",
        _say(study.verdict("dp_sgd") != "**yes**"),
    )


CLAIMS: Sequence[Callable[[StudyRows], Claim]] = (
    _conferrability,
    _falls,
    _gap,
    _auc,
    _evasion,
    _modifications,
    _pruned_most,
    _extractions,
    _architectures,
    _cinic,
    _transfer,
    _adversarial,
    _ground_truth,
    _private,
)
