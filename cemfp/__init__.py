"""Fingerprints for image classifiers: prove from black-box answers that a model was stolen.

The public interface is `protect`, `Fingerprint`, `steal` and `load_data`, see `cemfp.owner.public`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cemfp.owner.public import Fingerprint, load_data, protect, steal

__version__ = "0.1.0"
__all__ = ["Fingerprint", "load_data", "protect", "steal"]


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used: TensorFlow takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("cemfp.owner.public"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
