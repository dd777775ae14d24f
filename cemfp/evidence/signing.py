"""Ed25519 signatures, and the file of the key that makes them.

A key in hardware signs the same bytes: see docs/evidence.md.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cemfp.evidence.problem import EvidenceError, expect, fields_of, hexadecimal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LARGEST_KEY_FILE = 1 << 16
_SIGNATURE_BYTES, _KEY_BYTES = 64, 32


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature, and the public key that it is checked with.

    Attributes:
        public_key: 32 bytes in hexadecimal digits. Whose it is, nothing here says.
        value: 64 bytes in hexadecimal digits.
    """

    public_key: str
    value: str

    def __post_init__(self) -> None:
        hexadecimal(self.public_key, "a public key", _KEY_BYTES)
        hexadecimal(self.value, "a signature", _SIGNATURE_BYTES)

    @classmethod
    def from_dict(cls, values: Any) -> Signature:
        """Rebuild from `dataclasses.asdict`."""
        return cls(**fields_of(values, {"public_key", "value"}, "a signature"))

    def check(self, message: bytes) -> None:
        """Raise `EvidenceError` unless the key's owner signed the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.value), message)
        except (InvalidSignature, ValueError):
            raise EvidenceError(
                f"the signature is not the one of key {self.public_key[:16]} on this."
            ) from None


def sign(key: Ed25519PrivateKey, message: bytes) -> Signature:
    """Sign a message."""
    public = key.public_key().public_bytes_raw()
    return Signature(public.hex(), key.sign(message).hex())


def new_key(passphrase: str) -> tuple[bytes, bytes]:
    """Make a key; return its PEM file, encrypted, and the PEM file of its public part.

    Raises:
        EvidenceError: The passphrase is empty.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not passphrase:
        raise EvidenceError("expected a passphrase for the key. Received: none.")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return secret, public


def read_key(pem: bytes, passphrase: str) -> Ed25519PrivateKey:
    """Open a key's file.

    Raises:
        EvidenceError: It is none of Ed25519, it is not encrypted, or the passphrase is another.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, passphrase.encode() or b"\x00")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise EvidenceError(
            "expected an encrypted PEM file of `cemfp keygen`, and its passphrase. Received: "
            "another file or another passphrase."
        ) from None
    expect(isinstance(key, Ed25519PrivateKey), "an Ed25519 key", type(key).__name__)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def read_public_key(pem: bytes) -> str:
    """Return the hexadecimal digits of a public key's PEM file.

    Raises:
        EvidenceError: It is none of Ed25519.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise EvidenceError("expected a public key's PEM file. Received: another file.") from None
    expect(isinstance(key, Ed25519PublicKey), "an Ed25519 key", type(key).__name__)
    assert isinstance(key, Ed25519PublicKey)
    return key.public_bytes_raw().hex()
