"""The command `telucodec`: finds the subcommand, and turns a user's mistake into one message and exit code 2."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from telucodec import __version__
from telucodec.errors import DivergedError, InputError, LostError
from telucodec.training.processes import find_place

LOST = 3  # exit code of a process that cannot go on because another one of its run did not
COMMANDS = {
    "train": "train a codec from a Hydra configuration",
    "evaluate": "measure a trained codec on whole utterances",
    "reconstruct": "code and decode one audio file",
    "diagnose": "say why a run's output is as it is: shape, gain or DC",
    "feasible": "say whether figures can be reached at all, before anything trains",
    "claims": "list the five documents' claims, each with a verdict and the formula that decides it",
    "fixes": "list every fix that can be switched, with its source and owner",
    "diff": "show how two presets or runs differ, with the documents' lines",
    "study": "plan, run, collect and report many runs that answer one question",
    "compare": "compare any runs: arms with intervals, paired differences, effect sizes",
    "data": "prepare, describe and make recordings",
    "doctor": "say what there is to train with, and what will not work here",
    "lab": "hold the identities of docs/science.md against the code, on synthetic signals",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    # two OpenMP threads that spin beside a busy neighbour are ten times slower than one; must be set before torch loads
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given and given[0] in COMMANDS else None
    parser = argparse.ArgumentParser(
        prog="telucodec",
        description="A laboratory for training neural audio codecs: every part a config group, every fix a switch.",
    )
    parser.add_argument("--version", action="version", version=f"telucodec {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    try:
        for command, summary in COMMANDS.items():
            sub = commands.add_parser(command, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
            if command == name:
                import_module(f"telucodec.cli.{command}").configure(sub)
        parsed, rest = parser.parse_known_args(given)
        if rest and not getattr(parsed, "takes_rest", False):
            parser.error(f"unrecognised: {' '.join(rest)}")
        parsed.rest = rest
        code: int = parsed.run(parsed)
    except InputError as error:
        place = find_place()
        known = isinstance(error, DivergedError | LostError)  # of several processes all know, or one says why
        if not (known and place and place.rank):
            where = f" in process {place.rank}" if place and place.rank else ""
            sys.stderr.write(f"telucodec: error{where}: {error}\n")
        return LOST if isinstance(error, LostError) else 2
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ntelucodec: interrupted. Preparation goes on where it was when the same command is given again.\n"
        )
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
