"""Evidence on a suspect whose answers are chosen."""

import dataclasses

from cemfp.evidence import gather, signing, timestamp
from cemfp.evidence.asking import hash_of_questions
from cemfp.evidence.commitment import PUBLIC, commit
from cemfp.evidence.opening import open_leaves
from cemfp.models.convention import Convention
from cemfp.suspects import Fed, QueryLog, Relabelled, Remembered, Resize, Resized
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.transforms import through
from cemfp.verification import verify


def committed(fingerprint, pem, authority):
    """An opening of all of the fingerprint, of a commitment that is signed and stamped."""
    commitment, salts = commit({PUBLIC: fingerprint})
    key = signing.read_key(pem[0], "secret")
    signature = signing.sign(key, commitment.body)
    commitment = dataclasses.replace(commitment, signature=signature)
    with authority.serve() as server:
        roots = timestamp.read_roots(authority.root)
        stamped = timestamp.stamp(commitment.signed, f"{server.url}/tsr", roots, Connection())
    commitment = dataclasses.replace(commitment, timestamp=stamped)
    return open_leaves(commitment, salts, fingerprint)


def ask(fingerprint, answer, path, *, through_all=True, options=None, **more):
    """Verify a function, through layers of every kind, and gather the evidence."""
    options = {"confidence": 0.95, **(options or {})}
    about = {"suspect": "python:their:answer", "fingerprint": hash_of_questions(fingerprint)}
    with QueryLog(path, about) as log:
        suspect = Remembered(answer, log, batch=4)
        suspect = Fed(suspect, Convention(255.0))
        if through_all:
            suspect = Relabelled(Resized(suspect, (4, 4, 1), Resize((4, 4), "nearest")), (1, 2, 0))
            suspect = through(suspect, "bit-depth=8")
        verdict = verify(fingerprint, suspect, **options)
    return gather.gather(
        fingerprint,
        suspect,
        verdict,
        path.read_bytes(),
        shown="python:their:answer",
        sha256="",
        options=options,
        limits={"budget": None},
        **more,
    )
