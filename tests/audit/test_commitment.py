"""Was the fingerprint there before the suspect? Commitments of an owner, in order and not."""

import dataclasses
import datetime

import pytest

from cemfp.audit import AuditError, Judge, Papers, Status, audit, parse_date
from cemfp.audit.commitment import check_commitment
from cemfp.evidence import signing, timestamp
from cemfp.evidence.commitment import PUBLIC, commit
from cemfp.evidence.opening import open_leaves
from cemfp.evidence.reserve import split
from tests.evidence.authority import Authority
from tests.evidence.cases import committed
from tests.ruled import DATA, RULE, made

FINGERPRINT, RECORD = made()
PEM = signing.new_key("secret")
LATER = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def papers(authority):
    """All in order."""
    return Papers(
        committed(FINGERPRINT, PEM, authority),
        roots=timestamp.read_roots(authority.root),
        public_key=signing.read_public_key(PEM[1]),
        suspect=LATER,
    )


def changed(papers, **fields):
    return check_commitment(FINGERPRINT, dataclasses.replace(papers, **fields))


def test_a_commitment_that_is_older_than_the_suspect(papers):
    found = check_commitment(FINGERPRINT, papers)
    assert found.status == Status.PASSED and "before the suspect" in found.text
    assert found.numbers["root"] == papers.opening.commitment.root


def test_a_suspect_that_is_older(papers):
    found = changed(papers, suspect=LATER - datetime.timedelta(days=2))
    assert found.status == Status.FAILED and "it was stamped on" in found.text


def test_another_fingerprint_than_the_one_that_was_committed_to(papers):
    keys = FINGERPRINT.keys.copy()
    keys[1] = FINGERPRINT.true_labels[1]
    other = dataclasses.replace(FINGERPRINT, keys=keys)
    found = check_commitment(other, papers)
    assert found.status == Status.FAILED
    assert found.text == "not as it was committed to: input 1"
    rule = dataclasses.replace(FINGERPRINT.rule, statement="another")
    found = check_commitment(dataclasses.replace(FINGERPRINT, rule=rule), papers)
    assert found.text == "not as it was committed to: the statement"


def test_leaves_that_lead_to_another_root(papers):
    opening = papers.opening
    other = dataclasses.replace(opening.commitment, root="0" * 64)
    found = changed(papers, opening=dataclasses.replace(opening, commitment=other))
    assert "the statement was not committed to" in found.text


def test_a_signature_of_somebody_else(papers):
    other = signing.read_public_key(signing.new_key("secret")[1])
    found = changed(papers, public_key=other)
    assert found.status == Status.FAILED and "another key than the owner's" in found.text


def test_an_authority_that_nobody_trusts(papers):
    found = changed(papers, roots=timestamp.read_roots(Authority().root))
    assert found.status == Status.FAILED and "the timestamp does not hold" in found.text


def test_what_is_missing_is_named(papers):
    assert "--opening" in check_commitment(FINGERPRINT, None).text
    for field, option in (
        ("roots", "--tsa-root"),
        ("public_key", "--public-key"),
        ("suspect", "--suspect-date"),
    ):
        found = changed(papers, **{field: None})
        assert found.status == Status.OPEN and option in found.text
    commitment, salts = commit({PUBLIC: FINGERPRINT})
    found = check_commitment(FINGERPRINT, Papers(open_leaves(commitment, salts, FINGERPRINT)))
    assert found.status == Status.OPEN
    assert "not signed" in found.text and "not stamped" in found.text


def test_a_part_of_a_fingerprint_by_a_rule_keeps_its_places():
    public, reserve = split(FINGERPRINT, 2, seed=0)
    places = sorted(public.rule.places + reserve.rule.places)
    assert places == list(FINGERPRINT.rule.places)
    by_place = dict(zip(FINGERPRINT.rule.places, FINGERPRINT.keys, strict=True))
    assert [by_place[place] for place in reserve.rule.places] == reserve.keys.tolist()


def test_inputs_of_a_reserve_are_not_missed_if_it_is_shown():
    public, reserve = split(FINGERPRINT, 2, seed=0)
    judge = Judge(DATA, secret=RULE.secret, record=RECORD)
    states = [
        {check.name: check for check in audit(public, dataclasses.replace(judge, parts=parts))}
        for parts in ([], [reserve], [dataclasses.replace(reserve, source_sha256="0" * 64)])
    ]
    alone, both, other = (found["candidates"] for found in states)
    assert alone.status == Status.FAILED and "2 candidates that pass" in alone.text
    assert both.status == Status.PASSED
    assert other.text == "a part is of another fingerprint"


def test_dates_without_a_zone_are_utc():
    assert parse_date("2026-11-29") == datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
    assert parse_date("2026-11-29T10:00+01:00").utcoffset() == datetime.timedelta(hours=1)
    with pytest.raises(AuditError, match="expected a date"):
        parse_date("yesterday")
