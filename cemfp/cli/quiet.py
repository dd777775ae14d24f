"""Keep the libraries' own chatter out of the terminal."""

from __future__ import annotations

import logging
import os
import warnings


def quiet_libraries() -> None:
    """Silence TensorFlow's start-up lines and ART's note on PyTorch; call it before they load.

    A user who has set `TF_CPP_MIN_LOG_LEVEL` keeps that.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "PyTorch not found", UserWarning)
