"""Feed the parsers of strangers' files with changed ones: `python -m benchmarks.fuzzing`.

Each parser may raise its own error and nothing else, and may take no more memory than `MOST_BYTES`.
What is changed: bytes anywhere; single values of the JSON inside, with all hashes made again, so
that what lies behind the hashes is reached, too; and random bytes.
"""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.changed_files import (
    Bytes,
    changed_bundle,
    changed_bytes,
    changed_fingerprint,
    changed_json,
    changed_log,
)
from cemfp.evidence import bundle as names
from cemfp.evidence import commitment as commitments
from cemfp.evidence import gather, opening, signing, timestamp
from cemfp.evidence.asking import hash_of_questions
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.recheck import Recheck
from cemfp.fingerprint.artifact import Calibration, Fingerprint, FingerprintError
from cemfp.models.convention import Convention
from cemfp.storage.files import write_atomic
from cemfp.suspects import Fed, LogError, QueryLog, Remembered, SuspectError
from cemfp.suspects.network.description import parse_yaml
from cemfp.suspects.record import read_log
from cemfp.suspects.transforms import through
from cemfp.verification import verify

MOST_BYTES = 64 << 20
AT_ONCE = 500  # inputs between two looks at the clock
RESULT = Path(__file__).parent / "results" / "fuzzing.json"

YAML = b"""url: https://host/classify
headers: {Authorization: "Bearer ${TOKEN}"}
image: {format: png}
shape: [32, 32, 3]
body: {json: {image: "{image}", size: "{shape}"}}
answer: {path: "$.scores", kind: scores}
labels: [cat, dog]
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """A parser.

    Attributes:
        parse: Takes a file's content.
        error: What it may raise.
        valid: A valid file.
        inner: Makes files whose hashes hold from the valid one.
    """

    parse: Callable[[bytes], Any]
    error: type[Exception]
    valid: bytes
    inner: Callable[[bytes], Bytes]

    def inputs(self) -> Bytes:
        """What it is fed with."""
        return st.one_of(changed_bytes(self.valid), self.inner(self.valid), st.binary(max_size=300))

    def check(self, content: bytes) -> bool:
        """Feed it; return whether it took it.

        Raises:
            AssertionError: It took too much memory; and whatever the parser should not raise.
        """
        tracemalloc.start()
        try:
            self.parse(content)
            return True
        except self.error:
            return False
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < MOST_BYTES, f"{peak} bytes of memory for {len(content)}"


def targets(folder: Path, stamped: tuple[bytes, bytes] | None = None) -> dict[str, Target]:
    """Return the parsers by name.

    Args:
        folder: To write to.
        stamped: A response of a timestamp authority, and its root certificates; none without.
    """
    fingerprint = _fingerprint()
    made, salts = commitments.commit({commitments.PUBLIC: fingerprint}, "07" * 32)
    key = signing.read_key(signing.new_key("secret")[0], "secret")
    made = dataclasses.replace(made, signature=signing.sign(key, made.body))
    opened = opening.open_leaves(made, salts, fingerprint)
    log = folder / "fuzzing.log"
    log.unlink(missing_ok=True)
    bundle = _bundle(fingerprint, opened, log)
    file = folder / "fuzzing.zip"
    file.write_bytes(bundle.to_bytes())
    gather.add_report(file, {"parties": (("Owner", "One"),)})
    found = {
        "fingerprint": Target(
            Fingerprint.from_bytes, FingerprintError, fingerprint.to_bytes(), changed_fingerprint
        ),
        "query log": Target(read_log, LogError, log.read_bytes(), changed_log),
        "commitment": Target(
            commitments.Commitment.from_bytes, EvidenceError, made.to_bytes(), changed_json
        ),
        "opening": Target(_opening, EvidenceError, opened.to_bytes(), changed_json),
        "bundle": Target(_recheck, EvidenceError, file.read_bytes(), changed_bundle),
        "API description": Target(parse_yaml, SuspectError, YAML, changed_bytes),
    }
    if stamped is not None:
        roots = timestamp.read_roots(stamped[1])

        def check(content: bytes) -> Any:
            return timestamp.check_response(content, b"content", roots)

        found["timestamp"] = Target(check, EvidenceError, stamped[0], changed_bytes)
    return found


def run(target: Target, count: int, number: int) -> int:
    """Feed a parser `count` inputs; return how many it took.

    Args:
        target: Which.
        count: Inputs.
        number: Seed.
    """
    taken: list[bool] = []

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs())
    def feed(content: bytes) -> None:
        taken.append(target.check(content))

    feed()
    return sum(taken)


@click.command()
@click.argument("which", nargs=-1, metavar="[NAME]...")
@click.option("--seconds", default=120.0, show_default=True, help="For each parser.")
@click.option("--write", is_flag=True, help=f"Write {RESULT.name} to the results.")
def main(which: tuple[str, ...], seconds: float, write: bool) -> None:
    """Feed each parser for some time; the first that raises something else ends it."""
    import tempfile

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, target in targets(Path(folder)).items():
            if which and name not in which:
                continue
            start, inputs, taken = time.monotonic(), 0, 0
            while time.monotonic() - start < seconds:
                taken += run(target, AT_ONCE, random.SystemRandom().getrandbits(32))
                inputs += AT_ONCE
            spent = time.monotonic() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            row = {"parser": name, "inputs": inputs, "taken": taken, "seconds": round(spent)}
            rows.append({**row, "peak_mib": peak})
            click.echo(json.dumps(rows[-1]))
    if write:
        write_atomic(RESULT, (json.dumps(rows, indent=1) + "\n").encode())


def _opening(content: bytes) -> None:
    read = opening.Opening.from_bytes(content)
    read.check()
    read.compare(_fingerprint())


def _recheck(content: bytes) -> None:
    Recheck(names.from_bytes(content))()


def _fingerprint() -> Fingerprint:
    levels = np.arange(8, dtype=np.float32)[:, None, None, None] / np.float32(255)
    inputs = np.tile(levels, (1, 2, 2, 1))
    return Fingerprint(
        inputs=inputs,
        keys=np.arange(8) % 3,
        classes=3,
        method="by hand",
        parameters={"steps": 3},
        source_sha256="ab" * 32,
        data={"name": "none"},
        controls=inputs[::-1],
        control_labels=(7 - np.arange(8)) % 3,
        calibration=Calibration((0.875,), (0.125,), 0.5, "midpoint", ("a",), ("b",), 8),
        surrogate_hits=np.array([[1] * 7 + [0]], np.uint8),
        reference_hits=np.array([[0] * 7 + [1]], np.uint8),
    )


def _bundle(fingerprint: Fingerprint, opened: opening.Opening, path: Path) -> names.Bundle:
    def answer(images: np.ndarray) -> np.ndarray:
        return np.eye(3)[np.rint(images[:, 0, 0, 0]).astype(int) % 3]

    about = {"suspect": "any", "fingerprint": hash_of_questions(fingerprint)}
    with QueryLog(path, about) as log:
        suspect = through(Fed(Remembered(answer, log), Convention(255.0)), "bit-depth=8")
        verdict = verify(fingerprint, suspect)
    return gather.gather(
        fingerprint,
        suspect,
        verdict,
        path.read_bytes(),
        shown="any",
        sha256="",
        options={},
        limits={},
        opening=opened,
    )


if __name__ == "__main__":
    main()
