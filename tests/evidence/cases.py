"""Evidence on a suspect whose answers are chosen, and what a recheck says of it."""

import dataclasses

import numpy as np

from cemfp.evidence import bundle as names
from cemfp.evidence import gather, signing, timestamp
from cemfp.evidence.asking import hash_of_questions
from cemfp.evidence.commitment import PUBLIC, commit
from cemfp.evidence.findings import DIFFERS
from cemfp.evidence.opening import open_leaves
from cemfp.evidence.recheck import Recheck
from cemfp.models.convention import Convention
from cemfp.suspects import Fed, QueryLog, Relabelled, Remembered, Resize, Resized
from cemfp.suspects.chain import chained
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


def copy(images):
    """A copy that wants 0 to 255 and has its classes in another order: see `cases.ask`."""
    return (np.rint(images[:, 0, 0, 0]).astype(int) + 2) % 3


def recheck(bundle, **means):
    """Part -> (status, text)."""
    content = bundle if isinstance(bundle, bytes) else bundle.to_bytes()
    found = Recheck(names.from_bytes(content), **means)()
    return {one.part: (one.status, one.text) for one in found}


def wrong(found):
    return {part for part, (status, _) in found.items() if status == DIFFERS}


def changed(bundle, **parts):
    """With some parts changed, and all hashes of the manifest made again."""
    by_name = {name.replace(".", "_"): name for name in names.PARTS}
    new = {by_name[name.replace("tsa_", "tsa-")]: value for name, value in parts.items()}
    return dataclasses.replace(bundle, parts={**bundle.parts, **new})


def rechained(lines):
    """The same lines with hashes that fit again."""
    chain, made = "", []
    for line in lines:
        raw, chain = chained({k: v for k, v in line.items() if k != "chain"}, chain)
        made.append(raw)
    return b"".join(made)
