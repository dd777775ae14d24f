"""What a report says follows from its bundle; whatever else it says is found."""

import dataclasses
import json

import pytest

from cemfp.evidence import bundle as names
from cemfp.evidence import gather, provenance, report
from cemfp.evidence.alternatives import NOT_TESTED, TESTED, alternatives
from cemfp.evidence.findings import DIFFERS, OK
from cemfp.evidence.page import page
from cemfp.evidence.problem import EvidenceError
from cemfp.evidence.recheck import Recheck
from cemfp.evidence.reporting import limits
from cemfp.fingerprint.artifact import Calibration
from tests.evidence.cases import ask, copy, recheck
from tests.evidence.conftest import make
from tests.small_classifiers import linear

ADDED = {
    "case": "Example Ltd against <b>Copycat</b>",
    "parties": (("Owner", "Example Ltd"),),
    "limits": ("Survives: fine-tuning.",),
}


@pytest.fixture
def reported(tmp_path):
    """A bundle with a report: its path."""
    path = tmp_path / "e.zip"
    path.write_bytes(ask(make(), copy, tmp_path / "log").to_bytes())
    gather.add_report(path, ADDED)
    return path


def test_it_is_in_the_bundle_and_follows_from_it(reported):
    bundle = names.read(reported).bundle
    found = recheck(bundle)
    assert found["report"][0] == found["page"][0] == OK
    html = bundle.parts[names.PAGE].decode()
    assert "Example Ltd against &lt;b&gt;Copycat&lt;/b&gt;" in html and "<script" not in html
    assert "Survives: fine-tuning." in html and "cemfp recheck e.zip" in html
    assert "src=" not in html and "href=" not in html
    again = gather.add_report(reported, {"case": "another"})
    assert json.loads(again[0])["given"]["case"] == "another"
    assert DIFFERS not in {status for status, _ in recheck(names.read(reported).bundle).values()}


@pytest.mark.parametrize("name", [names.REPORT, names.PAGE])
def test_one_changed_byte_is_its_own(reported, name):
    data = bytearray(reported.read_bytes())
    content = names.read(reported).bundle.parts[name]
    data[data.index(content) + len(content) // 2] ^= 1
    found = {one.part for one in Recheck(names.from_bytes(bytes(data)))() if one.status == DIFFERS}
    assert found == {"report" if name == names.REPORT else "page"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("claim", "The suspect was stolen."), ("recheck", "rm -rf /"), ("rates", None), ("more", 1),
     ("given", {}), ("given", None), ("calibration", {})],
)  # fmt: skip
def test_what_does_not_follow_is_found(reported, key, value):
    bundle = names.read(reported).bundle
    said = {**json.loads(bundle.parts[names.REPORT]), key: value}
    parts = {**bundle.parts, names.REPORT: json.dumps(said).encode()}
    found = recheck(dataclasses.replace(bundle, parts=parts))
    assert {part for part, (status, _) in found.items() if status == DIFFERS} == {"report"}


def test_another_page_is_found(reported):
    bundle = names.read(reported).bundle
    html = bundle.parts[names.PAGE].replace(b"10 of 10", b"10 of 11")
    found = recheck(dataclasses.replace(bundle, parts={**bundle.parts, names.PAGE: html}))
    assert found["page"] == (DIFFERS, "expected the page of this report. Received: 'another page'.")


def test_the_wording_of_another_version_is_its_own(reported):
    bundle = names.read(reported).bundle
    said = json.loads(bundle.parts[names.REPORT])
    said |= {"given": {**said["given"], "version": "0.0.9"}, "claim": "In other words."}
    parts = {**bundle.parts, names.REPORT: json.dumps(said).encode()}
    found = recheck(dataclasses.replace(bundle, parts=parts))
    assert found["report"][0] == OK and "made by cemfp 0.0.9: not compared" in found["page"][1]
    said["fingerprint"]["inputs"] = 99
    parts[names.REPORT] = json.dumps(said).encode()
    found = recheck(dataclasses.replace(bundle, parts=parts))
    assert found["report"][0] == DIFFERS and "fingerprint.inputs: 99" in found["report"][1]


def test_nothing_is_reported_of_what_does_not_hold(tmp_path):
    bundle = ask(make(), copy, tmp_path / "log")
    forged = dataclasses.replace(bundle, parts={**bundle.parts, names.VERDICT: b"{}"})
    (tmp_path / "e.zip").write_bytes(forged.to_bytes())
    with pytest.raises(EvidenceError, match="would not stand: verdict"):
        gather.add_report(tmp_path / "e.zip", ADDED)


def test_a_verdict_without_a_score_has_a_page(tmp_path):
    bundle = ask(make(), lambda images: images[:, 0, 0, 0] * 0, tmp_path / "log")
    facts = report.facts(bundle.parts, report.given("e.zip"))
    assert facts["verdict"]["cae_accuracy"] is None
    assert facts["claim"].startswith("It was not found out") and "It was not" in page(facts)


def test_without_a_calibration_nothing_is_claimed(tmp_path):
    plain = dataclasses.replace(make(), calibration=None, surrogate_hits=None, reference_hits=None)
    bundle = ask(plain, copy, tmp_path / "log", options={"threshold": 0.5})
    facts = report.facts(bundle.parts, report.given("e.zip"))
    assert facts["verdict"]["decision"] == "match" and "not measured" in facts["claim"]
    html = page(facts)
    assert "nothing is known about how often it is wrong" in html and "<svg" not in html


def test_rates_count_models_and_bound_what_was_not_seen():
    record = Calibration((0.9, 0.4), (0.1, 0.2, 0.3), 0.5, "by hand", ("a", "b"), ("c",) * 3, 10)
    found = report.rates(record)
    assert found["accused"]["wrong"] == 0 and found["accused"]["models"] == 3
    # None of three: (1 - p)^3 = 0.05 gives p = 1 - 0.05^(1/3) = 0.6316.
    assert found["accused"]["bound"] == pytest.approx(0.6316, abs=1e-4)
    # One of two: 1 - p^2 = 0.05 gives p = sqrt(0.95) = 0.9747.
    assert found["missed"]["wrong"] == 1
    assert found["missed"]["bound"] == pytest.approx(0.9747, abs=1e-4)


def model(digest, **changes):
    data = {"name": "d", "sha256": "11" * 32}
    return {
        "weights_sha256": digest, "net": "resnet20", "arguments": {}, "origin": "reference",
        "data": data, "images": 100, "labels": "truth", "seed": 0, **changes,
    }  # fmt: skip


def test_other_explanations_are_tested_by_references_that_share_them():
    source = model("ab" * 32)
    record = Calibration((0.9,), (0.1, 0.2), 0.5, "by hand", ("s",), ("one", "two"), 10)
    fingerprint = dataclasses.replace(
        make(),
        calibration=record,
        data={"name": "d", "sha256": "11" * 32},
        surrogate_hits=None,
        reference_hits=None,
    )
    two = model("two", net="vgg16", data={"name": "e", "sha256": "22" * 32})
    rows = alternatives(fingerprint, [source, model("one"), two], True)
    found = {row["reason"]: (row["status"], row["text"]) for row in rows}
    assert found["the same data"] == (TESTED, "1 of 2 references learned the same data")
    assert found["the same architecture"][1].startswith("1 of 2 references have")
    assert found["the same wrong labels"][0] == found["the same pre-trained start"][0] == TESTED
    rows = alternatives(fingerprint, [two], None)
    assert {row["status"] for row in rows} == {NOT_TESTED}
    assert "of 1 it is not known" in rows[0]["text"]


def test_the_hash_of_weights_is_the_classifiers(tmp_path):
    classifier = linear([[1, 0.1], [0, 1e-9]])  # the first of two arrays fits into float16
    classifier.save(tmp_path / "one")
    found = provenance.of_classifier(tmp_path / "one")
    assert found["weights_sha256"] == classifier.weights_sha256
    assert (found["net"], found["origin"], found["data"]) == ("keras", "source", None)
    with pytest.raises(EvidenceError, match="nobody"):
        provenance.of_classifier(tmp_path / "nobody")


def test_limits_come_from_the_self_test(tmp_path):
    path = tmp_path / "summary.json"  # tests/owner reads one that `protect` wrote
    path.write_text(json.dumps({"conclusion": ["Survives: a."], "plan": {"started": True}}))
    assert limits(path) == {"limits": ("Survives: a.",), "started": True}
    path.write_text("{}")
    with pytest.raises(EvidenceError, match="cemfp protect"):
        limits(path)
