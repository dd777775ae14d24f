"""Evasion attacks on the source alone, through the Adversarial Robustness Toolbox."""

from __future__ import annotations

from cemfp.attacks.art_attacks import ATTACKS, Attack

__all__ = ["ATTACKS", "Attack"]
