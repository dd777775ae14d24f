"""Where the time of a training step goes: `python -m benchmarks.steps [--write]`.

The step is that of the benchmark `training`, with Muon as the study's nets have it, on one thread:
the operations then follow each other, and their times add up.
"""

from __future__ import annotations

import collections
import json
import tempfile
from pathlib import Path

import click
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import harness
from benchmarks.training import prepare_train
from cemfp.numerics import precision as precisions
from cemfp.storage.files import write_atomic
from cemfp.training import loop as training

RESULT = Path(__file__).parent / "results" / "steps.json"
POLICIES = ("float32", "mixed_bfloat16")
PROFILED = training.STEPS_PER_CALL  # steps
REST = "all else: optimiser, augmentation, loss, what lies between operations"
# TensorFlow's names of operations, oneDNN's included, by what they do.
KINDS = {
    "convolutions": ("Conv2D",),
    "convolutions' gradient for kernels": ("Conv2DBackpropFilter",),
    "convolutions' gradient for images": ("Conv2DBackpropInput",),
    "batch norm, some with its ReLU": ("FusedBatchNormV3", "FusedBatchNormEx"),
    "batch norm's gradient": ("FusedBatchNormGradV3",),
    "ReLU": ("Relu",),
    "ReLU's gradient": ("ReluGrad",),
    "sums of branches, and of gradients": ("AddV2", "AddN"),
}


@click.command()
@click.option("--write", is_flag=True, help="Keep the rows in benchmarks/results.")
def main(write: bool) -> None:
    """Say which kinds of operation a training step spends its time on."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    facts = harness.machine()
    if write:
        try:
            harness.require_idle(facts["load_before"])
        except harness.MachineBusy as error:
            raise click.ClickException(str(error)) from error
    policies = [name for name in POLICIES if precisions.computes(name.removeprefix("mixed_"))]
    found = {policy: profiled(policy) for policy in policies}
    click.echo(table(found))
    if write:
        write_atomic(
            RESULT, json.dumps({"machine": facts, "milliseconds": found}, indent=2).encode() + b"\n"
        )


def profiled(policy: str) -> dict[str, float]:
    """Return the milliseconds of a step by kind of operation; their sum is the step's."""
    steps = prepare_train(policy, "muon")
    steps()  # the first are slower
    with tempfile.TemporaryDirectory() as folder:
        # Python's own calls are left out: there is one for all steps.
        options = tf.profiler.experimental.ProfilerOptions(python_tracer_level=0)
        with tf.profiler.experimental.Profile(folder, options):
            steps()
        (file,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    times = _times(space)
    of_kind = {kind: sum(times[name] for name in names) for kind, names in KINDS.items()}
    whole = max(times.values())  # the call that encloses all others
    return {
        kind: round(1e3 * seconds / PROFILED, 2)
        for kind, seconds in {**of_kind, REST: whole - sum(of_kind.values())}.items()
    }


def _times(space: xplane_pb2.XSpace) -> collections.Counter[str]:
    """Return the seconds of each type of operation, and of the calls around them."""
    times: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                kind = name.rpartition(":")[2].partition("#")[0].removeprefix("_MklNative")
                times[kind] += event.duration_ps / 1e12
    return times


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the shares as a Markdown table."""
    heads = [f"{policy}, ms" for policy in found]
    lines = [f"| operations of a step | {' | '.join(heads)} |", "| --- |" + " --- |" * len(found)]
    wholes = {policy: sum(times.values()) for policy, times in found.items()}
    for kind in (*KINDS, REST):
        cells = [f"{found[p][kind]:.1f} ({found[p][kind] / wholes[p]:.0%})" for p in found]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines.append("| a step | " + " | ".join(f"{whole:.1f}" for whole in wholes.values()) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
