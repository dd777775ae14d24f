"""The owner's whole way on digits, with nets of seconds: each job for real, in this process."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import cemfp
from cemfp.data import load
from cemfp.engine.executors import Outcome
from cemfp.engine.jobs import obtain, plan
from cemfp.evidence.reporting import limits
from cemfp.fingerprint.artifact import Fingerprint
from cemfp.jobs.fingerprint import FINGERPRINT
from cemfp.jobs.source import LIVE, identity, load_source
from cemfp.jobs.train import Net
from cemfp.models.classifier import Classifier, ClassifierError
from cemfp.models.convention import COMMON, Convention
from cemfp.models.roles import Origin, Role, RoleError
from cemfp.numerics.agreement import first_as_good
from cemfp.owner.jobs import Owner, Protection
from cemfp.owner.opening import open_independent, open_source
from cemfp.owner.planning import Wish, _owner
from cemfp.owner.probe import NotItsTask, probe
from cemfp.owner.protect import REPORT, SUMMARY, _warning, carry_out
from cemfp.owner.running import ProtectionError
from cemfp.owner.schedule import Schedule
from cemfp.owner.self_test import INDEPENDENT, ITSELF, STOLEN, judge_net
from cemfp.storage.store import Store
from cemfp.training.recipe import Recipe

NET = Net("resnet20", (("width", 4), ("depth", 8)))
RECIPE = Recipe(batch_size=64, learning_rate=0.1, flip=False, pad=0, precision="float32")
PLAN = Schedule((2, 1), (2, 1), 1, 12, ("quantize", "ftal"), (0.3,), 60)
CLASSES = load("digits").classes


class Runs:
    """Obtains jobs in this process, and remembers what was asked of it."""

    def __init__(self, store):
        self.store, self.jobs = store, []

    def __call__(self, jobs):
        before = {job.key() for job in plan(jobs) if self.store.has(job.key())}
        for job in jobs:
            obtain(job, self.store)
        self.jobs += [job for job in plan(jobs) if job.key() not in before]
        return Outcome(tuple(jobs), (), (), 0.0)


def protection_of(spec, store, plan=PLAN, size=20):
    source, found = open_source(str(spec), "digits", store)
    return Protection(Owner(source, "digits", (NET,), NET, RECIPE, size), plan), found


@pytest.fixture(scope="module")
def made(tiny_zoo, tmp_path_factory):
    """Everything, once: what it said, what it ran, and where it is."""
    out = tmp_path_factory.mktemp("protected")
    store, said = Store(out / "store"), []
    protection, _ = protection_of(tiny_zoo.path("source"), store)
    runs = Runs(store)
    result = carry_out(protection, out, store, runs, say=said.append, classes=CLASSES)
    return dataclasses.make_dataclass("Made", ["out", "said", "runs", "result", "protection"])(
        out, said, runs, result, protection
    )


def test_what_is_written(made):
    held = Fingerprint.load(made.result.path)
    assert 0 < len(held) <= 20 and held.calibration is not None and held.epsilon == 0.3
    summary = json.loads((made.out / SUMMARY).read_bytes())
    assert summary["plan"]["started"] is False
    assert limits(made.out / SUMMARY) == {"limits": tuple(summary["conclusion"]), "started": False}
    assert summary["inputs"] == len(held) and summary["plan"]["surrogates"] == [2, 1]
    assert [row["is"] for row in summary["self_test"]] == [ITSELF, STOLEN, STOLEN, INDEPENDENT]
    page = (made.out / REPORT).read_text("utf-8")
    assert page.count("data:image/png;base64,") == 2 and 'src="http' not in page
    assert "stand-in" in page and held.source_sha256 in page


def test_the_source_and_its_eight_bit_copy_are_recognised(made):
    by_name = {one.name: one for one in made.result.judged}
    assert by_name["the model itself"].verdict.cae_accuracy == 1.0
    assert by_name["weights at 8 bits"].right
    assert any(line.startswith("Survives: ") for line in made.said)
    assert any(re.fullmatch(r"Independent nets accused: \d of 1.*", line) for line in made.said)


def test_a_net_is_judged_as_what_it_learned_from_makes_it(made):
    known = made.protection.calibration
    one, other = (
        judge_net(made.result.fingerprint, net, 0.99, made.runs.store)
        for net in (known.surrogates[0], known.references[0])
    )
    assert (one.truth, other.truth) == (STOLEN, INDEPENDENT) and not one.useful
    assert one.name == "a copy (resnet20:width=4:depth=8), seed 2000"
    assert other.name.startswith("independent net (resnet20") and other.name.endswith("seed 2500")
    record = made.result.fingerprint.calibration
    assert [one.verdict.cae_accuracy] == list(record.surrogate_scores)


def test_a_weak_fingerprint_is_called_so(made):
    held = made.result.fingerprint
    bare = dataclasses.replace(held, surrogate_hits=None, reference_hits=None)

    def warned(above, below):
        record = dataclasses.replace(
            held.calibration, surrogate_scores=(above,), reference_scores=(below,)
        )
        return _warning(dataclasses.replace(bare, calibration=record))

    assert "known copies" not in "".join(warned(0.9, 0.6))
    (line,) = warned(0.45, 0.4)
    assert line.startswith("A weak fingerprint: known copies are only +0.05 from")
    fields = ("inputs", "keys", "originals", "true_labels", "conferrability")
    first = {n: array[:3] for n in fields if (array := getattr(held, n)) is not None}
    record = dataclasses.replace(held.calibration, queries=3)
    few = dataclasses.replace(bare, calibration=record, **first)
    assert "its 3 inputs are too few for any match" in _warning(few)[0]


def test_a_suspect_is_not_protected(tiny_zoo, tmp_path):
    with pytest.raises(RoleError, match="the model to protect"):
        protection_of(tiny_zoo.paths("evaluation", "reference")[0], Store(tmp_path))


def test_roles_do_not_mix(made):
    protection = made.protection
    groups = [protection.defender.everyone, protection.calibration.everyone, protection.unseen]
    seeds = [job.seed for jobs in groups for job in jobs]
    assert len(set(seeds)) == len(seeds) == 7
    record = made.result.fingerprint.calibration
    hashes = {*record.surrogate_sha256, *record.reference_sha256}
    unseen = Classifier.load(made.runs.store.get(protection.unseen[0].key()))
    assert len(hashes) == 2 and unseen.weights_sha256 not in hashes


def test_nets_of_ones_own_set_the_threshold_too(made, tiny_zoo):
    path = str(tiny_zoo.paths("calibration", "reference")[0])
    owner, (radius,) = made.protection.owner, PLAN.radii
    own = open_independent(path, load("digits"), owner.source)
    with_it = Protection(dataclasses.replace(owner, independents=(own,)), made.protection.plan)
    before, after = (
        Fingerprint.load(obtain(one.calibrated(radius), made.runs.store) / FINGERPRINT).calibration
        for one in (made.protection, with_it)
    )
    assert after.reference_scores[:-1] == before.reference_scores
    assert after.reference_sha256[-1] == Classifier.load(Path(path)).weights_sha256
    assert after.surrogate_scores == before.surrogate_scores


def test_a_keras_file_as_a_net_of_ones_own(made, tiny_zoo, tmp_path):
    file = str(tmp_path / "again.keras")
    net = Classifier.load(tiny_zoo.paths("calibration", "reference")[0])
    net.model.save(file)
    owner, digits = made.protection.owner, load("digits")
    wish = Wish(owner.source.spec, "digits", independents=(file,))
    source = load_source(made.runs.store.get(owner.source.key()))
    (own,) = _owner(wish, owner.source, source, digits).independents
    config = Classifier.load(obtain(own, Store(tmp_path / "store"))).config
    assert (config.role, config.origin) == (Role.CALIBRATION, Origin.REFERENCE)
    twice = dataclasses.replace(wish, independents=(file, file))
    with pytest.raises(ValueError, match="one of them twice"):
        _owner(twice, owner.source, source, digits)


def test_who_is_no_independent_net(made, tiny_zoo):
    digits, source = load("digits"), made.protection.owner.source
    with pytest.raises(ClassifierError, match=r"Received: .*, the model to protect"):
        open_independent(source.spec, digits, source)
    with pytest.raises(RoleError, match="an independent net"):
        open_independent(str(tiny_zoo.paths("defender", "reference")[0]), digits, source)
    with pytest.raises(ClassifierError, match=r"expected a \.keras file or a classifier directory"):
        open_independent("python:mine:ask", digits, source)


def test_a_second_run_does_nothing_again(made):
    again, said = Runs(made.runs.store), []
    carry_out(made.protection, made.out, made.runs.store, again, say=said.append, classes=CLASSES)
    assert again.jobs == [] and said == made.said


def test_no_radius_that_separates_is_an_error_that_helps(made):
    tiny = dataclasses.replace(PLAN, radii=(1e-6,))
    protection = dataclasses.replace(made.protection, plan=tiny)
    with pytest.raises(ProtectionError, match=r"give more time .*, more images, or a larger"):
        carry_out(
            protection, made.out / "other", made.runs.store, made.runs, say=print, classes=CLASSES
        )
    assert not (made.out / "other").exists()


def test_a_black_box_is_asked_each_image_once(tiny_zoo, tmp_path):
    source, asked = tiny_zoo.load("source"), []

    def answer(images):
        asked.extend(image.tobytes() for image in images)
        return source.predict_labels(images / 255.0)

    spec, store = "python:nowhere:answer", Store(tmp_path / "store")
    LIVE[identity(spec)] = answer
    try:
        short = dataclasses.replace(PLAN, surrogates=(1, 1), references=(1, 1), thefts=("retrain",))
        protection, found = protection_of(spec, store, short)
        assert "with [0, 255]" in found.words and found.convention == COMMON["[0, 255]"]
        result = carry_out(
            protection, tmp_path, store, Runs(store), say=lambda line: None, classes=CLASSES
        )
        moved, held = tmp_path / "moved", protection.owner.source.key()
        store.root.rename(moved)
        again = load_source(Store(moved).get(held))
        test = load("digits").test
        assert again.accuracy(test.images, test.labels) > 0.7 and not store.root.exists()
    finally:
        del LIVE[identity(spec)]
    assert len(set(asked)) == len(asked)
    # 1,200 + 597 images, 60 candidates, and 40 images in each other convention of grey images.
    assert 1_797 + 20 < len(asked) <= 1_797 + 60 + 3 * 40
    assert result.judged[0].truth == ITSELF and result.judged[0].verdict.cae_accuracy == 1.0
    assert result.fingerprint.source_sha256 == identity(spec)


def test_a_directory_is_what_all_its_files_are(tmp_path):
    (tmp_path / "variables").mkdir()
    weights = tmp_path / "variables" / "variables.data"
    weights.write_bytes(b"one")
    first = identity(str(tmp_path))
    weights.write_bytes(b"two")
    second = identity(str(tmp_path))
    weights.rename(tmp_path / "variables.data")
    assert len({first, second, identity(str(tmp_path))}) == 3


def test_what_is_not_there_and_what_does_not_fit_is_said(tmp_path):
    store, nothing = Store(tmp_path / "store"), str(tmp_path / "nothing.keras")
    with pytest.raises(ClassifierError, match=r"nothing\.keras: no such file or directory"):
        open_source(nothing, "digits", store)
    colour = tf.keras.Sequential([tf.keras.Input((16, 16, 3)), tf.keras.layers.Flatten()])
    colour.add(tf.keras.layers.Dense(10))
    colour.save(tmp_path / "colour.keras")
    expected = r"images of shape \(16, 16, 3\), .* Received: digits with \(8, 8, 1\)"
    with pytest.raises(NotItsTask, match=expected):
        open_source(str(tmp_path / "colour.keras"), "digits", store)


def test_conventions_are_found_and_said(tiny_zoo):
    source = tiny_zoo.load("source")

    class Fed:
        input_shape = (8, 8, 1)

        def __init__(self, convention):
            self.convention = convention

        def predict_labels(self, images):
            return source.predict_labels((self.convention(images) + 1) / 2)

    found = probe("net", Fed, load("digits"))
    assert found.convention == COMMON["[-1, 1]"] and found.words.endswith("(40 test images)")
    with pytest.raises(NotItsTask, match=r"hardly more than chance .*--classes"):
        probe("net", lambda c: _Constant(), load("digits"))
    assert probe("net", Fed, load("digits"), Convention(2.0, -1.0)).convention.scale == 2.0


def test_of_two_conventions_alike_the_usual_one_is_taken():
    digits = load("digits")
    truth = {
        image.tobytes(): label
        for image, label in zip(digits.test.images, digits.test.labels, strict=True)
    }

    class Fed:
        """Right on all images, but on some in [0, 1] and in [-1, 1]."""

        input_shape = (8, 8, 1)

        def __init__(self, convention):
            self.wrong = {COMMON["[0, 1]"]: 1, COMMON["[-1, 1]"]: 12}.get(convention, 0)

        def predict_labels(self, images):
            labels = np.array([truth[image.tobytes()] for image in images])
            labels[: self.wrong] = (labels[: self.wrong] + 1) % 10
            return labels

    assert probe("net", Fed, digits).convention == COMMON["[0, 1]"]
    assert first_as_good([np.arange(40) >= n for n in (12, 1, 0)]) == 1


class _Constant:
    input_shape = (8, 8, 1)

    def predict_labels(self, images):
        return np.zeros(len(images), np.int64)


def test_importing_the_package_is_quick():
    import subprocess
    import sys

    code = "import sys, cemfp; assert 'numpy' not in sys.modules; print(sorted(cemfp.__all__))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'protect'" in shown.stdout
    assert {"protect", "Fingerprint"} <= set(dir(cemfp))
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        cemfp.unknown  # noqa: B018
