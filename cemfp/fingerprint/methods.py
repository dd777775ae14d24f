"""The list of fingerprint methods by name: `METHODS[name](**hyper_parameters)` is a `Method`."""

from __future__ import annotations

import functools
from collections.abc import Callable

from cemfp.attacks import ATTACKS
from cemfp.fingerprint.cem import CEM
from cemfp.fingerprint.characteristic import Characteristic
from cemfp.fingerprint.from_attack import FromAttack
from cemfp.fingerprint.ipguard import IPGuard
from cemfp.fingerprint.misclassified import Misclassified
from cemfp.fingerprint.models import Method
from cemfp.fingerprint.sensitive import SensitiveSamples

# What a row does, where its class says it of several.
SUMMARIES = {
    **{
        name: f"Adversarial examples of the source alone, by the evasion attack {name.upper()}."
        for name in ATTACKS
    },
    "c": "C-examples: noise that the source puts into random classes. No data needed.",
    "rc": "RC-examples: C-examples under noise on the source's weights. No data needed.",
    "rc-gm": "RC-examples with the mean gradient of 10 noisy copies. No data needed.",
    "ltrc": "RC-examples without low frequencies, so that few transfer. No data needed.",
}

METHODS: dict[str, Callable[..., Method]] = {
    "cem": CEM,
    "ipguard": IPGuard,
    "misclassified": Misclassified,
    "sensitive": SensitiveSamples,
    **{name: functools.partial(FromAttack, name) for name in ATTACKS},
    # Without a filter the two domains are one.
    "c": functools.partial(Characteristic, "c", delta=0.0, draws=1, k=0, domain="image"),
    "rc": functools.partial(Characteristic, "rc", draws=1, k=0, domain="image"),
    "rc-gm": functools.partial(Characteristic, "rc-gm", draws=10, k=0, domain="image"),
    "ltrc": functools.partial(Characteristic, "ltrc"),
}
