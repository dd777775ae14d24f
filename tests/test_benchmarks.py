"""The benchmarks' harness; what it measures is not tested by the clock."""

import functools
import os
import time

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import forms, graphs, harness, steps


def test_the_first_round_decides_how_many_fit():
    made = []

    def once():
        made.append(time.sleep(0.02))
        return [1.0]

    assert len(harness.repeat_in_turns(once, 5, longest=60.0)) == len(made) == 5
    # Even where one round takes longer than all may, there is a spread.
    assert len(harness.repeat_in_turns(once, 5, longest=0.01)) == harness.FEWEST_ROUNDS
    assert 2 <= len(harness.repeat_in_turns(once, 500, longest=0.2)) <= 10


def _meet(folder, others):
    """A repeat that ends only if so many processes are at it at the same time."""

    def repeat():
        (folder / str(os.getpid())).touch()
        end = time.monotonic() + 60
        while len(list(folder.iterdir())) < others:
            if time.monotonic() > end:
                raise TimeoutError(f"expected {others} processes in {folder}")
            time.sleep(0.01)
        return 5.0

    return repeat


def test_a_variant_of_several_processes_at_once(tmp_path):
    prepare = functools.partial(_meet, tmp_path, 2)
    variants = (
        harness.Variant("both at once", prepare, processes=2),
        harness.Variant("one", prepare),
    )
    result = harness.measure(harness.Section("Meeting", "meetings", variants, rounds=2))
    assert [row["name"] for row in result["rows"]] == ["both at once", "one"]
    assert len(list(tmp_path.iterdir())) == 3
    # Two processes hold about twice the memory of one.
    both, one = (row["peak_mib"] for row in result["rows"])
    assert both > 1.5 * one


def test_operations_are_told_apart_by_their_types():
    space = steps.xplane_pb2.XSpace()
    plane = space.planes.add()
    line = plane.lines.add()
    names = ("a/conv:_MklNativeConv2D#id=1#", "b/g:ReluGrad#id=2#", "c/conv:Conv2D", "Run")
    for number, name in enumerate(names, 1):
        plane.event_metadata[number].name = name
        line.events.add(metadata_id=number, duration_ps=number * 10**12)
    assert steps._times(space) == {"Conv2D": 1 + 3, "ReluGrad": 2, "Run": 4}


def test_a_busy_machine_writes_no_results(monkeypatch, tmp_path):
    harness.require_idle(harness.IDLE_LOAD)
    with pytest.raises(harness.MachineBusy, match=r"at most 0\.7\. Received: 1\.50; wait"):
        harness.require_idle(1.5)
    monkeypatch.setattr(program, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(harness, "machine", lambda: {"load_before": 1.5})
    ended = CliRunner().invoke(program.main, ["training"])
    assert ended.exit_code == 1
    assert ended.output.startswith("Error: expected an idle machine") and "--quick" in ended.output
    assert not (tmp_path / "results").exists()


@pytest.fixture
def small_resnet():
    """A ResNet with weights of no special form, images, and its scores."""
    from cemfp.models.nets import NETS

    model = NETS["resnet20"]((9, 8, 3), 4, width=3, depth=8)
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.uniform(0.5, 1.5, w.shape) - 0.8 * (w.ndim > 1) for w in model.get_weights()]
    )
    images = rng.random((5, 9, 8, 3), np.float32)
    return model, images, model(images, training=False).numpy()


def test_a_resnet_as_onnx(small_resnet, tmp_path):
    import onnxruntime

    model, images, scores = small_resnet
    graphs.write_onnx(model, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (answer,) = session.run(None, {graphs.INPUT: images.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(answer, scores, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's, of TorchScript itself
def test_a_resnet_as_torchscript(small_resnet, tmp_path):
    torch = pytest.importorskip("torch")
    model, images, scores = small_resnet
    graphs.write_torchscript(model, tmp_path / "net.pt")
    answer = torch.jit.load(tmp_path / "net.pt")(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(answer.numpy(), scores, rtol=1e-4)


def test_answers_are_compared_with_the_nets_own():
    own = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
    # The third was not asked; of the others one label is another, and 1.5 the largest difference.
    scores = [[0.0, 1.25], [0.5, 1.0], None]
    row = {"compared": 2, "other_labels": 1, "largest_difference": 1.5}
    assert forms.compared(own, scores) == row
    row = {"compared": 3, "other_labels": 1, "largest_difference": None}
    assert forms.compared(own, [1, 1, 1]) == row
