"""A bundle holds as it was made; whatever was changed since is named, in whatever way."""

import dataclasses
import datetime
import json
import subprocess
import sys

import pytest

from cemfp.evidence import bundle as names
from cemfp.evidence import gather, signing, timestamp
from cemfp.evidence.commitment import PUBLIC, commit
from cemfp.evidence.findings import ABSENT, DIFFERS, OK, SKIPPED
from cemfp.evidence.opening import open_leaves
from cemfp.evidence.papers import check_path
from cemfp.evidence.problem import EvidenceError
from cemfp.storage import stored_zip
from tests.evidence.authority import Authority
from tests.evidence.cases import ask, changed, committed, copy, rechained, recheck, wrong
from tests.evidence.conftest import make

PART_OF = {
    names.FINGERPRINT: "fingerprint",
    names.QUERIES: "query log",
    names.ASKING: "asking",
    names.VERDICT: "verdict",
    names.COMMITMENT: "commitment",
    names.OPENING: "opening",
    names.TSA_ROOT: "authority",
    names.MANIFEST: "archive",
    names.MANIFEST_HASH: "archive",
}


def test_all_of_it_holds(whole, authority, pem):
    found = recheck(whole)
    absent = {part for part, (status, _) in found.items() if status != OK}
    assert absent == {"report", "page"} and len(found) == 12
    assert found["verdict"][1].startswith("match; every number")
    assert "see elsewhere" in found["timestamp"][1]
    trusted = {"roots": timestamp.read_roots(authority.root)}
    found = recheck(whole, **trusted, public_key=signing.read_public_key(pem[1]))
    assert wrong(found) == set() and "see elsewhere" not in found["timestamp"][1]
    assert "which you named" in found["signature"][1]


@pytest.mark.parametrize("name", [*PART_OF])
def test_one_changed_byte_names_its_part(whole, name):
    data = whole.to_bytes()
    content = stored_zip.unpack(data, most_bytes=len(data), most_members=99)[0][name]
    start = data.index(content)
    for place in (0, len(content) // 2, len(content) - 1):
        damaged = bytearray(data)
        damaged[start + place] ^= 1
        found = recheck(bytes(damaged))
        assert wrong(found) == {PART_OF[name]}, (name, place, found)


def test_a_byte_between_the_parts_is_no_part(whole):
    data = bytearray(whole.to_bytes())
    data[data.index(b"PK\x03\x04") + 10] ^= 1  # the time of the first member
    assert wrong(recheck(bytes(data))) == {"archive"}


def test_a_part_that_was_taken_out_is_missed(whole):
    members, _ = stored_zip.unpack(whole.to_bytes(), most_bytes=1 << 30, most_members=99)
    del members[names.OPENING]
    found = recheck(stored_zip.pack(members))
    assert wrong(found) == {"opening"} and "it is missing" in found["opening"][1]
    kept = {n: content for n, content in whole.parts.items() if n != names.OPENING}
    found = recheck(dataclasses.replace(whole, parts=kept))
    assert wrong(found) == {"opening"} and "nothing shows that" in found["opening"][1]
    del members[names.QUERIES]
    with pytest.raises(EvidenceError, match=r"a ZIP without queries\.jsonl"):
        names.from_bytes(stored_zip.pack(members))


def test_changed_answers_are_found_even_with_new_hashes(whole):
    lines = [json.loads(line) for line in whole.parts[names.QUERIES].splitlines()]
    last = max(place for place, line in enumerate(lines) if "answer" in line)
    lines[last]["answer"] = (lines[last]["answer"] + 1) % 3
    forged = rechained(lines)
    found = recheck(changed(whole, queries_jsonl=forged))
    assert wrong(found) == {"query log"} and "chain" in found["query log"][1]
    # With the asking's last hash changed, too, the verdict no longer follows.
    asking = json.loads(whole.parts[names.ASKING])
    asking["log"]["chain"] = json.loads(forged.splitlines()[-1])["chain"]
    found = recheck(changed(whole, queries_jsonl=forged, asking_json=json.dumps(asking).encode()))
    assert wrong(found) == {"verdict"} and "is stated" in found["verdict"][1]


def test_an_end_that_was_cut_off_is_found(whole):
    cut = b"".join(whole.parts[names.QUERIES].splitlines(keepends=True)[:-1])
    found = recheck(changed(whole, queries_jsonl=cut))
    assert wrong(found) == {"query log"} and found["verdict"][0] == SKIPPED


@pytest.mark.parametrize(
    ("key", "value"),
    [("matches", 9), ("threshold", 0.46), ("decision", "no match"), ("interval", [0.0, 1.0]),
     ("queries", 10.0), ("confidence", "0.95")],
)  # fmt: skip
def test_a_changed_number_does_not_follow(whole, key, value):
    stated = json.loads(whole.parts[names.VERDICT])
    assert stated[key] != value or type(stated[key]) is not type(value)
    forged = changed(whole, verdict_json=json.dumps({**stated, key: value}).encode())
    found = recheck(forged)
    assert wrong(found) == {"verdict"} and key in found["verdict"][1]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("options", {"confidence": 0.9}, "is stated"),
        ("options", {"threshold": 2}, "no verdict follows"),
        ("options", {"eval": "1"}, "options among"),
        ("options", {"confidence": [0.9]}, "a number or a word"),
        ("layers", [], "no verdict follows"),
        ("layers", [{"layer": "shell"}], "a layer that is known"),
        ("layers", [{"layer": "resized", "shape": [10**9] * 3, "method": "box"}], "a size"),
        ("takes", {"input_shape": "x", "classes": 3, "class_names": []}, "an input's shape"),
        ("identity", "another", "the log of this suspect"),
    ],
)
def test_another_way_of_asking_is_found(whole, key, value, words):
    asking = {**json.loads(whole.parts[names.ASKING]), key: value}
    found = recheck(changed(whole, asking_json=json.dumps(asking).encode()))
    assert len(wrong(found)) == 1
    assert words in " ".join(text for status, text in found.values() if status == DIFFERS)


def test_a_fingerprint_that_was_not_committed_to_is_found(whole, tmp_path):
    other = make()
    lower = dataclasses.replace(other.calibration, threshold=0.2)
    other = dataclasses.replace(other, calibration=lower)
    made = ask(other, copy, tmp_path / "log")
    parts = {n: whole.parts[n] for n in (names.COMMITMENT, names.OPENING, names.TSA_ROOT)}
    found = recheck(dataclasses.replace(made, parts={**made.parts, **parts}))
    assert "opening" in wrong(found) and "another: the calibration" in found["opening"][1]


def test_the_signature_of_another_and_none_are_found(whole, pem):
    _, other = signing.new_key("x")
    found = recheck(whole, public_key=signing.read_public_key(other))
    assert wrong(found) == {"signature"}
    said = json.loads(whole.parts[names.COMMITMENT])
    forged = {**said, "made": "2020-01-01T00:00:00+00:00"}
    found = recheck(changed(whole, commitment_json=json.dumps(forged).encode()))
    assert wrong(found) == {"opening", "signature", "timestamp"}


def test_another_authority_and_a_late_time_are_found(whole, pem, authority, monkeypatch):
    assert wrong(recheck(whole, roots=timestamp.read_roots(Authority().root))) == {"timestamp"}
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    monkeypatch.setattr(authority, "time", now + datetime.timedelta(hours=1))
    opening = committed(make(), pem, authority)
    parts = {names.COMMITMENT: opening.commitment.to_bytes(), names.OPENING: opening.to_bytes()}
    late = dataclasses.replace(whole, parts={**whole.parts, **parts})
    found = recheck(late)
    assert wrong(found) == {"timestamp"} and "before the suspect was asked" in found["timestamp"][1]
    del late.parts[names.TSA_ROOT]
    assert recheck(late)["timestamp"][0] == SKIPPED


def test_nothing_is_gathered_that_would_not_stand(tmp_path):
    commitment, salts = commit({PUBLIC: make()})
    opening = open_leaves(commitment, salts, make(), inputs=[1])
    with pytest.raises(EvidenceError, match=r"would not stand: opening.*the statement"):
        ask(make(), copy, tmp_path / "log", opening=opening)


def test_a_plain_bundle_says_what_is_not_in_it(tmp_path):
    found = recheck(ask(make(), copy, tmp_path / "log"))
    assert {part for part, (status, _) in found.items() if status == ABSENT} == {
        *("commitment", "opening", "authority", "report", "page", "signature", "timestamp"),
    }
    assert wrong(found) == set()


def test_who_names_a_key_or_an_authority_wants_them(tmp_path, authority, pem):
    made = ask(make(), copy, tmp_path / "log")
    trusted = {"roots": timestamp.read_roots(authority.root)}
    found = recheck(made, **trusted, public_key=signing.read_public_key(pem[1]))
    assert wrong(found) == {"signature", "timestamp"}
    commitment, salts = commit({PUBLIC: make()})
    opening = open_leaves(commitment, salts, make())
    made = ask(make(), copy, tmp_path / "another", opening=opening)
    assert wrong(recheck(made)) == set()
    found = recheck(made, **trusted, public_key=signing.read_public_key(pem[1]))
    assert wrong(found) == {"signature", "timestamp"}


def test_files_are_told_apart(whole, tmp_path):
    commitment, salts = commit({PUBLIC: make()})
    opening = open_leaves(commitment, salts, make(), inputs=[1, 2])
    files = {"bundle": whole, "opening": opening, "commitment": commitment}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.to_bytes())
        found = check_path(tmp_path / name)
        assert DIFFERS not in {one.status for one in found}
        assert (name == "bundle") == (len(found) > 4)
    forged = (tmp_path / "opening").read_text().replace('\\"key\\":1', '\\"key\\":0')
    (tmp_path / "opening").write_text(forged)
    assert [one.part for one in check_path(tmp_path / "opening") if one.status == DIFFERS] == [
        "opening"
    ]
    for content in (b"", b"{}", b"PK\x03\x04", b"\xff" * 9):
        (tmp_path / "else").write_bytes(content)
        with pytest.raises(EvidenceError, match="else: expected"):
            check_path(tmp_path / "else")


def test_neither_tensorflow_nor_the_network_is_needed(whole, tmp_path):
    (tmp_path / "e.zip").write_bytes(whole.to_bytes())
    code = (
        "import sys\nfrom cemfp.cli import main\n"
        "try:\n    main(['recheck', 'e.zip'], prog_name='cemfp')\n"
        "finally:\n    print([n for n in ('tensorflow', 'keras', 'httpx') "
        "if n in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) == 12


def test_nothing_that_a_terminal_obeys_is_printed(whole):
    stated = {**json.loads(whole.parts[names.VERDICT]), "\x1b[31m": 1}
    found = recheck(changed(whole, verdict_json=json.dumps(stated).encode()))
    assert found["verdict"][1] == r"\x1b[31m: stated, but nowhere found"


def test_gathering_checks_itself(whole):
    gather.check(whole)
    forged = changed(whole, verdict_json=b"{}")
    with pytest.raises(EvidenceError, match="would not stand: verdict"):
        gather.check(forged)
