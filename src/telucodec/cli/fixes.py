"""`telucodec fixes`."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from telucodec.errors import InputError

DESCRIPTION = """\
List every fix that can be switched: which document or paper it is from, which module owns it, what should come of it,
and the file of conf/ablation that turns it off (or to the value that a document gave it).

examples:
  telucodec fixes                              the table
  telucodec fixes --json                       a list of objects: key, fix, source, owner, expect, overlay
  telucodec train 'ablation=[tanh]'            one arm
  telucodec train -m 'ablation=glob(*)'        all of them
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="a folder with ablations of your own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read the headers and print them, one row for each row of the list of switches."""
    from telucodec.cli.compose import conf_dir
    from telucodec.study.overlays import read_overlays, sort_key

    homes = [conf_dir(), *([options.config_dir] if options.config_dir else [])]
    if options.config_dir is not None and not (options.config_dir / "ablation").is_dir():
        raise InputError(f"--config-dir {options.config_dir}: holds no folder `ablation`.")
    rows = [
        {"key": key, "fix": o.fix, "source": o.source, "owner": o.owner, "expect": o.expect, "overlay": o.name}
        for folder in homes
        for o in read_overlays(folder / "ablation")
        for key in o.keys
    ]
    rows.sort(key=lambda row: (sort_key(row["key"]), row["overlay"]))
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table("key", "overlay", "fix", "source", "expect", "owner", title=f"{len(rows)} switches")
    for row in rows:
        owner = row["owner"].removeprefix("telucodec.")
        table.add_row(row["key"], row["overlay"], row["fix"], row["source"], row["expect"], owner)
    console.print(table, highlight=False)
    return 0
