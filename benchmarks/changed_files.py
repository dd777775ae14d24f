"""Valid files, changed: bytes anywhere, or values of what is inside, with all hashes made again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import strategies as st

from cemfp.evidence import bundle as names
from cemfp.storage import stored_zip
from cemfp.storage.files import hash_bytes
from cemfp.suspects.chain import linked

Bytes = st.SearchStrategy[bytes]


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
