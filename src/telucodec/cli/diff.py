"""`telucodec diff`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from telucodec.errors import InputError

DESCRIPTION = """\
Print how two whole configurations differ: presets of conf/experiment, `default`, or run folders. Beside each value of a
preset stands where it comes from: the document and line, the paper, or why it was chosen.

examples:
  telucodec diff s002 s000
  telucodec diff s004_before s004
  telucodec diff default dac_16k
  telucodec diff runs/mine/2026-01-31_12-00-00 runs/mine/2026-01-31_13-00-00
"""
REPEATED = ("training", "codec", "loader", "evaluator")  # they hold groups once more
ABSENT = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("first", metavar="A", help="a preset, `default`, or a run folder")
    parser.add_argument("second", metavar="B", help="the same")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compose both, compare, print."""
    from telucodec.study.overlays import note_for

    (first, why_first), (second, why_second) = _configuration(options.first), _configuration(options.second)
    rows = []
    for key in dict.fromkeys([*first, *second]):
        before, after = first.get(key, ABSENT), second.get(key, ABSENT)
        if before != after and key not in ("name", "run_root", "resume"):
            told = [note_for(key, why_first), note_for(key, why_second)]
            rows.append({"key": key, "first": before, "second": after, "why_first": told[0], "why_second": told[1]})
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 180)
    if not rows:
        console.print(f"{options.first} and {options.second} are the same.", highlight=False, markup=False)
        return 0
    names = (escape(options.first), escape(options.second))
    table = Table("key", *names, *(f"{name}: source" for name in names), title=f"{len(rows)} values differ")
    for row in rows:
        table.add_row(*(_shown(row[column]) for column in ("key", "first", "second", "why_first", "why_second")))
    console.print(table, highlight=False)
    return 0


def _configuration(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The leaves of a configuration by their keys, and where a preset's values come from."""
    from telucodec.build import nearest
    from telucodec.cli.compose import compose_config, conf_dir, members
    from telucodec.study.overlays import notes

    if name == "default":
        return flat(compose_config([], None)), {}
    if Path(name).is_dir():  # only what reads a run needs torch
        from telucodec.models.stored import CONFIG, read_config

        if (Path(name) / CONFIG).exists():
            return flat(read_config(Path(name))), {}
    presets = members("experiment")
    if name not in presets:
        raise InputError(f"{name}: is no preset and no run folder. {nearest(name, [*presets, 'default'])}")
    return flat(compose_config([f"experiment={name}"], None)), notes(conf_dir() / "experiment" / f"{name}.yaml")


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """The leaves of a configuration by their keys, those that repeat a group left out."""
    from telucodec.cli.compose import leaves

    own = {key: value for key, value in config.items() if key not in REPEATED}
    return {
        k: v for k, v in leaves(own | _unrepeated(config)) if not isinstance(v, dict) and not k.endswith("_partial_")
    }


def _unrepeated(config: dict[str, Any]) -> dict[str, Any]:
    """What training and loader say themselves."""
    loader = {key: value for key, value in config["loader"].items() if not isinstance(value, dict)}
    training = config["training"]
    plain = {key: value for key, value in training.items() if not isinstance(value, dict)}
    clips = {f"players.{name}.clip_norm": player["clip_norm"] for name, player in training["players"].items()}
    return {"loader": loader, "training": plain | clips}


def _shown(value: Any) -> str:
    return escape(str(value).removeprefix("telucodec."))
