"""`python -m cemfp` is the command `cemfp`."""

from cemfp.cli import main

if __name__ == "__main__":
    main(prog_name="cemfp")
