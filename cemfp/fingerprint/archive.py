"""A ZIP of plain arrays and one JSON manifest, hashed throughout, safe to read from strangers.

    manifest.json     human-readable; type, shape, size and SHA-256 of every array
    manifest.sha256   SHA-256 of manifest.json
    <name>.npy        one NumPy array each, not compressed

The hashes find damage. They are no signature: who rewrites the file can rewrite its hashes.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import tokenize
from collections.abc import Mapping
from typing import Any

import numpy as np

from cemfp.storage import stored_zip

MAX_FILE_BYTES = 1 << 30
MAX_MANIFEST_BYTES = 1 << 22
MAX_MEMBERS = 16

_MANIFEST = "manifest.json"
_MANIFEST_HASH = "manifest.sha256"
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)


class FingerprintError(ValueError):
    """A fingerprint, or a file that should hold one, is not valid."""


def pack(manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Serialise a manifest and named arrays; equal content gives equal bytes.

    Args:
        manifest: JSON-able, without the key "members", which is filled in here.
        arrays: Arrays by name, numbers only.
    """
    members = {f"{name}.npy": _array_bytes(array) for name, array in arrays.items()}
    described = {
        f"{name}.npy": {
            "dtype": array.dtype.name,
            "shape": list(array.shape),
            "bytes": len(members[f"{name}.npy"]),
            "sha256": hashlib.sha256(members[f"{name}.npy"]).hexdigest(),
        }
        for name, array in arrays.items()
    }
    text = json.dumps({**manifest, "members": described}, indent=2, allow_nan=False) + "\n"
    content = text.encode()
    digest = hashlib.sha256(content).hexdigest().encode()
    return stored_zip.pack({_MANIFEST: content, _MANIFEST_HASH: digest, **members})


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `pack` wrote, trusting nothing.

    No size is believed before it is compared with the bytes that are there, no member may be
    compressed (so no small file can grow), and nothing is unpickled.

    Returns:
        The manifest without "members", and the arrays by name.

    Raises:
        FingerprintError: In one line, what is wrong with the file.
    """
    members = _unzip(data)
    if not {_MANIFEST, _MANIFEST_HASH} <= members.keys():
        raise FingerprintError("not a fingerprint file: it has no manifest.")
    content = members.pop(_MANIFEST)
    if members.pop(_MANIFEST_HASH) != hashlib.sha256(content).hexdigest().encode():
        raise FingerprintError("the file is damaged: the manifest does not match its hash.")
    manifest = _parse(content)
    described = manifest.pop("members", None)
    if not isinstance(described, dict) or described.keys() != members.keys():
        raise FingerprintError("the manifest does not list exactly the members of the file.")
    arrays = {
        name.removesuffix(".npy"): _read_array(name, members[name], described[name])
        for name in members
    }
    return manifest, arrays


def _unzip(data: bytes) -> dict[str, bytes]:
    try:
        members, damaged = stored_zip.unpack(
            data, most_bytes=MAX_FILE_BYTES, most_members=MAX_MEMBERS
        )
    except stored_zip.ZipError as error:
        raise FingerprintError(f"the file is damaged or not a fingerprint: {error}") from error
    for name in damaged:
        raise FingerprintError(f"the file is damaged: {name!a} does not match its checksum.")
    return members


def _parse(content: bytes) -> dict[str, Any]:
    if len(content) > MAX_MANIFEST_BYTES:
        raise FingerprintError(f"expected a manifest of at most {MAX_MANIFEST_BYTES} bytes.")
    try:
        manifest = json.loads(content.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FingerprintError("the manifest is not valid JSON.") from error
    if not isinstance(manifest, dict):
        raise FingerprintError("the manifest is not a JSON object.")
    return manifest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _array_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read_array(name: str, content: bytes, described: Any) -> np.ndarray:
    digest = hashlib.sha256(content).hexdigest()
    if not isinstance(described, dict) or described.get("sha256") != digest:
        raise FingerprintError(f"the file is damaged: {name} does not match its hash.")
    stream = io.BytesIO(content)
    try:
        # Read piecewise, because NumPy would allocate the claimed shape before looking at the data.
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("unknown version")
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(stream)
    except _HEADER_ERRORS as error:
        raise FingerprintError(f"{name} is not a NumPy array of version 1.0.") from error
    rest = content[stream.tell() :]
    if dtype.kind not in "uif" or column_major or any(size < 1 for size in shape):
        raise FingerprintError(f"{name}: expected row-major numbers, at least one.")
    if math.prod(shape) * dtype.itemsize != len(rest):
        raise FingerprintError(f"{name}: shape {shape} does not fit its {len(rest)} bytes.")
    if described.get("dtype") != dtype.name or described.get("shape") != list(shape):
        raise FingerprintError(f"{name}: type and shape differ from the manifest.")
    return np.frombuffer(rest, dtype).reshape(shape)
