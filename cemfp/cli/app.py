"""The command `cemfp` and what all of its commands share."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from cemfp import __version__
from cemfp.cli.attacks import attack
from cemfp.cli.auditing import audit
from cemfp.cli.commitments import commit, keygen, open_inputs
from cemfp.cli.data import data
from cemfp.cli.demo import demo
from cemfp.cli.detection import detect
from cemfp.cli.errors import Failure, one_line_errors, terminable
from cemfp.cli.fingerprints import calibrate, fingerprint
from cemfp.cli.inspection import inspect
from cemfp.cli.models import models
from cemfp.cli.power import power
from cemfp.cli.pretrained import pretrained
from cemfp.cli.protect import protect
from cemfp.cli.quiet import quiet_libraries
from cemfp.cli.rechecking import recheck
from cemfp.cli.reporting import report
from cemfp.cli.study import study
from cemfp.cli.suspects import suspect
from cemfp.cli.training import evaluate, train
from cemfp.cli.verification import verify

DEBUG = "CEMFP_DEBUG"


class Program(click.Group):
    """A group whose failures are one line and exit status 2, whatever raised them."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options that stand before the command."""
        with one_line_errors(debug=bool(os.environ.get(DEBUG))):
            if sys.flags.optimize > 1:
                raise Failure(
                    "expected Python with docstrings, which TensorFlow needs and the help is made "
                    "of. Received: -OO or PYTHONOPTIMIZE=2; leave it out"
                )
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        quiet_libraries()
        with one_line_errors(debug=ctx.params["debug"]), terminable():
            return super().invoke(ctx)


@click.group(cls=Program)
@click.version_option(__version__, prog_name="cemfp")
@click.option("--debug", is_flag=True, envvar=DEBUG, help="Show the traceback of a failure.")
def main(debug: bool) -> None:
    """Fingerprint an image classifier, and find out whether another model is a copy of it.

    Exit status: 0 success, 2 bad use or failure, 130 interrupted, 143 terminated. `verify` and
    `audit` have 1 and 3, too, `recheck` and `study` 1; their help says for what.

    \b
    Example: cemfp demo
    """
    del debug  # read by Program.invoke


for command in (
    *(train, pretrained, evaluate, fingerprint, calibrate, power, verify, audit),
    *(keygen, commit, open_inputs, recheck, report),
    *(attack, detect, data, inspect, suspect, models, protect, demo, study),
):
    main.add_command(command)
