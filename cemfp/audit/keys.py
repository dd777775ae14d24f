"""Does the source answer the key?"""

from __future__ import annotations

import numpy as np

from cemfp.audit.checks import Check, missing, of
from cemfp.fingerprint.artifact import Fingerprint

# A processor may round another way, and two labels whose scores are close then change places.
AGREE = 0.98


def check_keys(
    fingerprint: Fingerprint, answers: np.ndarray | None, sha256: str | None = None
) -> Check:
    """Compare the keys with the source's answers.

    Args:
        fingerprint: Under audit.
        answers: The source's labels of the inputs (n,); None if the judge has no source.
        sha256: Hash of the source's weights, if it is known.
    """
    if answers is None:
        return missing("keys", "not compared with the source's answers: name it with --source")
    count, equal = len(fingerprint), int(np.sum(answers == fingerprint.keys))
    problems = []
    if equal < AGREE * count:
        problems.append(f"the source answers the key on {equal} of {count} inputs only")
    if sha256 is not None and sha256 != fingerprint.source_sha256:
        problems.append(
            f"the source has weights {sha256[:12]}..., the fingerprint was made of "
            f"{fingerprint.source_sha256[:12]}..."
        )
    passed = f"the source answers the key on {equal} of {count} inputs"
    return of("keys", problems, passed, inputs=count, equal=equal)
