"""Does a bundle say what it should? Each part is checked and named, the verdict is made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cemfp.evidence import bundle as names
from cemfp.evidence import vouched
from cemfp.evidence.asking import Asking, hash_of_questions, in_log, versions
from cemfp.evidence.bundle import Read
from cemfp.evidence.commitment import Commitment
from cemfp.evidence.findings import ABSENT, DIFFERS, OK, SHOWN, SKIPPED, Finding, Skipped
from cemfp.evidence.opening import Opening
from cemfp.evidence.problem import EvidenceError, expect, read_object
from cemfp.evidence.replay import differences, replay
from cemfp.fingerprint.artifact import Fingerprint, FingerprintError
from cemfp.suspects import LogError
from cemfp.suspects.record import Record, read_log

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MOST_DIFFERENCES = 5


class Recheck:
    """The checks of one bundle; calling it runs them all.

    Attributes:
        read: The bundle.
        roots: Certificates of timestamp authorities that one trusts; None takes the bundle's own.
        public_key: Of the owner, 64 hexadecimal digits; None believes the commitment.
    """

    def __init__(
        self,
        read: Read,
        *,
        roots: Sequence[Certificate] | None = None,
        public_key: str | None = None,
    ) -> None:
        self.read, self.roots, self.public_key = read, roots, public_key
        self.found: list[Finding] = []

    def __call__(self) -> list[Finding]:
        """Return one line for each part."""
        self.found = []
        self._part("archive", "", self._archive)
        fingerprint = self._part("fingerprint", names.FINGERPRINT, self._fingerprint)
        asking = self._part("asking", names.ASKING, self._asking)
        log = self._part("query log", names.QUERIES, lambda x: self._log(x, asking, fingerprint))
        self._part("verdict", names.VERDICT, lambda x: self._verdict(x, fingerprint, asking, log))
        commitment = self._part("commitment", names.COMMITMENT, self._commitment)
        self._part("opening", names.OPENING, lambda x: self._opening(x, commitment, fingerprint))
        roots = self._part("authority", names.TSA_ROOT, vouched.authority)
        if commitment is None and names.COMMITMENT in self.read.bundle.parts:
            wrong = "the commitment is wrong"
            self.found += [Finding(part, SKIPPED, wrong) for part in ("signature", "timestamp")]
        else:
            self._vouched(commitment, log, roots)
        report = self._part("report", names.REPORT, self._report)
        self._part("page", names.PAGE, lambda x: self._page(x, report))
        return self.found

    def _vouched(
        self,
        commitment: Commitment | None,
        log: Record | None,
        roots: Sequence[Certificate] | None,
    ) -> None:
        """Check who vouches for the commitment."""
        own, began = self.roots is None, "" if log is None else log.began
        self.found.append(vouched.signature(commitment, self.public_key))
        trusted = roots if own else self.roots
        self.found.append(vouched.timestamp(commitment, trusted, own=own, asked=began))

    def _part(self, part: str, name: str, check: Callable[[bytes], tuple[Any, str]]) -> Any:
        """Add a part's line; return what its check did, or None if something is wrong."""
        content = self.read.bundle.parts.get(name)
        damage = self.read.damaged.get(name, "") if name else ""
        if name and content is None:
            self.found.append(self._absent(part, name, damage))
            return None
        found, status = None, OK
        try:
            found, text = check(content or b"")
        except Skipped as error:
            status, text = SKIPPED, str(error)
        except (EvidenceError, FingerprintError, LogError) as error:
            status, text = DIFFERS, str(error)
        if damage:
            text = f"{damage}; {text}" if status == DIFFERS else damage
            found, status = None, DIFFERS
        self.found.append(Finding(part, status, text))
        return found

    def _absent(self, part: str, name: str, damage: str) -> Finding:
        if name == names.OPENING and names.COMMITMENT in self.read.bundle.parts:
            damage = damage or "nothing shows that the commitment is to this fingerprint"
        return Finding(part, DIFFERS if damage else ABSENT, damage or "not in this bundle")

    def _archive(self, _: bytes) -> tuple[Any, str]:
        wrong = {name: text for name, text in self.read.damaged.items() if name not in names.PARTS}
        if wrong:
            raise EvidenceError("; ".join(f"{name}: {text}" for name, text in wrong.items()))
        bundle = self.read.bundle
        return bundle, (
            f"{len(bundle.parts)} parts, {self.read.size} bytes, made {bundle.made} by cemfp "
            f"{bundle.version}; SHA-256 {self.read.sha256}"
        )

    def _fingerprint(self, content: bytes) -> tuple[Fingerprint, str]:
        loaded = Fingerprint.from_bytes(content)
        source = loaded.source_sha256[:SHOWN]
        return loaded, f"{len(loaded)} inputs by {loaded.method}, of the source {source}"

    def _asking(self, content: bytes) -> tuple[Asking, str]:
        asking = Asking.from_bytes(content)
        return asking, f"{asking.suspect}, with {len(asking.layers)} changes on the way to it"

    def _log(
        self, content: bytes, asking: Asking | None, fingerprint: Fingerprint | None
    ) -> tuple[Record, str]:
        head, record = read_log(content)
        if asking is not None:
            expect(head.get("suspect") == asking.identity, "the log of this suspect", "another")
            found = list(differences(asking.log, in_log(record)))
            expect(not found, "the log that the asking ended with", "; ".join(found))
        if fingerprint is not None:
            own = head.get("fingerprint") == hash_of_questions(fingerprint)
            expect(own, "the log of this fingerprint", "another")
        return record, (
            f"{record.asked} queries from {record.began} to {record.ended}; the lines hang "
            f"together up to {record.chain[:SHOWN]}"
        )

    def _verdict(
        self,
        content: bytes,
        fingerprint: Fingerprint | None,
        asking: Asking | None,
        log: Record | None,
    ) -> tuple[dict[str, Any], str]:
        stated = read_object(content, "a verdict")
        if fingerprint is None or asking is None or log is None:
            raise Skipped("another part, from which it follows, is wrong")
        found = json.loads(json.dumps(replay(fingerprint, asking, log).to_dict()))
        wrong = list(differences(stated, found))
        if wrong:
            more = len(wrong) - MOST_DIFFERENCES
            text = "; ".join(wrong[:MOST_DIFFERENCES]) + (f"; {more} more" if more > 0 else "")
            if asking.versions != versions():
                text += f" (made with {_said(asking.versions)}, checked with {_said(versions())})"
            raise EvidenceError(text)
        return stated, f"{stated['decision']}; every number follows from the logged answers"

    def _commitment(self, content: bytes) -> tuple[Commitment, str]:
        commitment = Commitment.from_bytes(content)
        reserve = commitment.parts.get("reserve")
        also = f", {reserve} inputs in reserve" if reserve else ""
        return commitment, f"root {commitment.root[:SHOWN]}, made {commitment.made}{also}"

    def _opening(
        self, content: bytes, commitment: Commitment | None, fingerprint: Fingerprint | None
    ) -> tuple[Opening, str]:
        opening = Opening.from_bytes(content)
        opening.check()
        if commitment is None or fingerprint is None:
            raise Skipped("another part, which it belongs to, is wrong")
        expect(opening.commitment == commitment, "an opening of this commitment", "another")
        wrong = opening.compare(fingerprint)
        expect(not wrong, "what was committed to", f"another: {', '.join(wrong[:9])}")
        return opening, f"all {len(opening.leaves)} leaves of the fingerprint were committed to"

    def _report(self, content: bytes) -> tuple[dict[str, Any], str]:
        from cemfp.evidence.reporting import check_report  # needs Jinja, which most bundles do not

        read_object(content, "a report")
        needed = {*names.NEEDED, names.COMMITMENT}
        if needed & self.read.damaged.keys():
            raise Skipped("another part, from which it follows, is wrong")
        return check_report(self.read.bundle.parts), "it follows from the other parts"

    def _page(self, content: bytes, report: dict[str, Any] | None) -> tuple[bytes, str]:
        from cemfp.evidence.reporting import check_page

        if report is None:
            raise Skipped("the report, from which it follows, is wrong or missing")
        return content, check_page(content, report)


def _said(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))[:200]
