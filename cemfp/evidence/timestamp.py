"""Timestamps of an authority that is nobody's party [RFC 3161]: this existed at that time."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cemfp.evidence.problem import EvidenceError, expect, fields_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from cemfp.suspects.network.connection import Connection

MOST_BYTES = 1 << 16  # an answer with its certificates has some 5,000
MOST_ROOTS = 100
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


@dataclasses.dataclass(frozen=True)
class Timestamp:
    """An authority's answer.

    Attributes:
        authority: Its address, as asked.
        answer: The response of RFC 3161, base64.
    """

    authority: str
    answer: str

    def __post_init__(self) -> None:
        plain = isinstance(self.authority, str) and self.authority.isprintable()
        expect(plain and len(self.authority) <= 2_000, "an authority's address", self.authority)
        expect(isinstance(self.answer, str), "a timestamp in base64", type(self.answer).__name__)
        self.response()

    @classmethod
    def from_dict(cls, values: Any) -> Timestamp:
        """Rebuild from `dataclasses.asdict`."""
        return cls(**fields_of(values, {"authority", "answer"}, "a timestamp"))

    def response(self) -> bytes:
        """The response as it came."""
        expect(len(self.answer) <= 2 * MOST_BYTES, f"at most {MOST_BYTES} bytes", len(self.answer))
        try:
            return base64.b64decode(self.answer, validate=True)
        except (binascii.Error, ValueError):
            raise EvidenceError("expected a timestamp in base64. Received: other text.") from None

    def says(self) -> str:
        """The time in the answer, unchecked."""
        import rfc3161_client as rfc3161

        try:
            decoded = rfc3161.decode_timestamp_response(self.response())
            return decoded.tst_info.gen_time.astimezone(datetime.UTC).isoformat()
        except (ValueError, OverflowError):
            raise EvidenceError("expected a timestamp. Received: other bytes.") from None

    def check(self, content: bytes, roots: Sequence[Certificate]) -> datetime.datetime:
        """Return the time before which the content existed.

        Args:
            content: What was stamped.
            roots: The certificates one trusts.

        Raises:
            EvidenceError: It is of other content, or no authority below one of the roots signed it.
        """
        return check_response(self.response(), content, roots)


def stamp(
    content: bytes, authority: str, roots: Sequence[Certificate], connection: Connection
) -> Timestamp:
    """Have content stamped; only its SHA-256 is sent.

    Args:
        content: Anything.
        authority: Address of a server of RFC 3161 over HTTP.
        roots: The answer has to be signed by one below these.
        connection: How it is reached.

    Raises:
        EvidenceError: The answer is no timestamp of this.
        SuspectError: It cannot be reached, or says no.
    """
    import rfc3161_client as rfc3161

    from cemfp.suspects import SuspectError, names
    from cemfp.suspects.network.client import Client

    builder = rfc3161.TimestampRequestBuilder().data(content)
    request = builder.hash_algorithm(rfc3161.HashAlgorithm.SHA256).build()
    try:
        reply = Client(connection, authority).ask(
            "POST", authority, request.as_bytes(), {"content-type": QUERY, "accept": REPLY}
        )
    except SuspectError as error:
        error.args = (f"{names.shown(authority)}: {error}",)
        raise
    expect(len(reply.body) <= MOST_BYTES, f"at most {MOST_BYTES} bytes", len(reply.body))
    check_response(reply.body, content, roots, request.nonce)
    return Timestamp(names.shown(authority), base64.b64encode(reply.body).decode())


def read_roots(pem: bytes) -> list[Certificate]:
    """Return the certificates of a PEM file.

    Raises:
        EvidenceError: There are none, or too many.
    """
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        found = []
    expect(0 < len(found) <= MOST_ROOTS, "certificates in a PEM file", "none, or too many")
    return found


def check_response(
    response: bytes, content: bytes, roots: Sequence[Certificate], nonce: int | None = None
) -> datetime.datetime:
    """Return the time that a response says, once everything about it is right.

    Args:
        response: Of RFC 3161, DER.
        content: What was stamped.
        roots: The certificates one trusts.
        nonce: Of the request; None where it is not known any more.

    Raises:
        EvidenceError: Something about it is wrong.
    """
    import rfc3161_client as rfc3161

    try:
        decoded = rfc3161.decode_timestamp_response(response)
        if decoded.status != rfc3161.PKIStatus.GRANTED:
            said = " ".join(decoded.status_string)[:200]
            raise EvidenceError(f"the authority stamps nothing: {said!a}.")
        builder = rfc3161.VerifierBuilder(roots=list(roots), nonce=nonce)
        builder.build().verify_message(decoded, content)
        return decoded.tst_info.gen_time.astimezone(datetime.UTC)
    except EvidenceError:
        raise
    except (rfc3161.VerificationError, ValueError, TypeError, OverflowError) as error:
        what = " ".join(str(error).split())[:150]
        raise EvidenceError(f"the timestamp does not hold: {what!a}.") from None
