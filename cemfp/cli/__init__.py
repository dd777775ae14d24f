"""The command line; thin functions over the library, imported by nobody."""

from cemfp.cli.app import main

__all__ = ["main"]
