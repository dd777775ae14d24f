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

from cemfp.evidence import bundle as names
from cemfp.evidence import commitment as commitments
from cemfp.evidence import gather, opening, signing, timestamp
from cemfp.evidence.asking import hash_of_questions
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.recheck import Recheck
from cemfp.fingerprint.artifact import Calibration, Fingerprint, FingerprintError
from cemfp.models.convention import Convention
from cemfp.storage import stored_zip
from cemfp.storage.files import hash_bytes, write_atomic
from cemfp.suspects import Fed, LogError, QueryLog, Remembered, SuspectError
from cemfp.suspects.chain import linked
from cemfp.suspects.network.description import parse_yaml
from cemfp.suspects.record import read_log
from cemfp.suspects.transforms import through
from cemfp.verification import verify

MOST_BYTES = 64 << 20
AT_ONCE = 500  # inputs between two looks at the clock
RESULT = Path(__file__).parent / "results" / "fuzzing.json"

Bytes = st.SearchStrategy[bytes]

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


@st.composite
def changed_bytes(draw: st.DrawFn, valid: bytes) -> bytes:
    """A few bytes changed, put in, taken out or repeated, or the end cut off."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 8)))
        new = draw(st.one_of(st.binary(max_size=8), st.just(bytes(content[start:stop]) * 2)))
        content[start:stop] = new
    end = draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return bytes(content[:end])


_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from([2**31, 2**63, -1, 10**30, 1e308, "", "00" * 32, "\ud800", "\x1b[31m"]),
)  # fmt: skip
JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@st.composite
def changed_json(draw: st.DrawFn, valid: bytes) -> bytes:
    """Some values within replaced, taken out or doubled."""
    value = json.loads(valid)
    for _ in range(draw(st.integers(1, 2))):
        value = _changed(draw, value)
    return json.dumps(value).encode()


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """Go down some way, and change what is there."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    value = dict(value) if isinstance(value, dict) else list(value)
    what = draw(st.integers(0, 9))
    if what == 0:
        del value[key]
    elif what == 1 and isinstance(value, list):
        value.insert(key, value[key])
    elif what == 1:
        value[draw(st.text(max_size=5))] = value[key]
    else:
        value[key] = _changed(draw, value[key])
    return value


@st.composite
def changed_log(draw: st.DrawFn, valid: bytes) -> bytes:
    """Lines changed, and chained again."""
    lines = valid.splitlines()
    place = draw(st.integers(0, len(lines) - 1))
    lines[place] = draw(changed_json(lines[place]))
    chain, made = "", []
    for line in lines:
        value = json.loads(line)
        value = value if isinstance(value, dict) and value else {"value": value}
        value.pop("chain", None)
        # Not `chained`, which writes no NaN.
        raw, chain = linked(json.dumps(value).encode(), chain)
        made.append(raw)
    return b"".join(made)


@st.composite
def changed_fingerprint(draw: st.DrawFn, valid: bytes) -> bytes:
    """The manifest, or an array's bytes, changed, and hashed again."""
    members, _ = stored_zip.unpack(valid, most_bytes=1 << 30, most_members=99)
    manifest = json.loads(members["manifest.json"])
    name = draw(st.sampled_from([*manifest["members"]]))
    members[name] = draw(st.one_of(st.just(members[name]), changed_bytes(members[name])))
    manifest["members"][name]["sha256"] = hash_bytes(members[name])
    manifest["members"][name]["bytes"] = len(members[name])
    content = draw(changed_json(json.dumps(manifest).encode()))
    members["manifest.json"] = content
    members["manifest.sha256"] = hash_bytes(content).encode()
    return stored_zip.pack(members)


@st.composite
def changed_bundle(draw: st.DrawFn, valid: bytes) -> bytes:
    """One part changed as fits it, and hashed again."""
    bundle = names.from_bytes(valid).bundle
    name = draw(st.sampled_from([*bundle.parts]))
    kinds = {names.FINGERPRINT: changed_fingerprint, names.QUERIES: changed_log}
    by_kind = changed_json if name.endswith(".json") else kinds.get(name, changed_bytes)
    part = draw(st.one_of(by_kind(bundle.parts[name]), changed_bytes(bundle.parts[name])))
    return dataclasses.replace(bundle, parts={**bundle.parts, name: part}).to_bytes()


def changed_stamp(valid: bytes) -> Bytes:
    """A response's bytes changed."""
    return changed_bytes(valid)


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

        found["timestamp"] = Target(check, EvidenceError, stamped[0], changed_stamp)
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
