"""`telucodec lab`."""

import argparse
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from telucodec.disk import write_text
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.diagnosis.lab.experiment import Experiment

DESCRIPTION = """\
Hold the identities of docs/science.md against the project's own losses, metrics, optimizers and quantizers, on
synthetic signals of chosen correlation, loudness and offset: what must come out is known beforehand. Needs no data, no
GPU, and less than two minutes on one core.

Writes a picture of each (i1.png ... i10.png, rate.png) and results.json, with every number, into DIR. Ends with exit
code 1 where a measurement is farther from its prediction than its tolerance.

examples:
  telucodec lab
  telucodec lab --only i3 i10 --seed 1
  telucodec lab --out docs/science        the pictures of docs/science.md
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("--out", type=Path, default=Path("lab"), metavar="DIR", help="where to write (default: lab)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all noise, >= 0 (default: 0)")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="some of i1 ... i10 and rate (default: all)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, draw, write, show; 1 where a prediction fails."""
    from telucodec.build import nearest
    from telucodec.diagnosis.lab.catalogue import EXPERIMENTS
    from telucodec.diagnosis.lab.picture import picture, save

    chosen = options.only or list(EXPERIMENTS)
    for key in chosen:
        if key not in EXPERIMENTS:
            raise InputError(f"--only {key}: there is no such experiment. {nearest(key, list(EXPERIMENTS))}")
    if options.seed < 0:
        raise InputError(f"--seed must be >= 0, got {options.seed}")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {options.out}: is a file. Give a folder.")
    done = []
    for key in track(chosen, "experiments", console=Console(stderr=True), transient=True):
        measure, draw = EXPERIMENTS[key]
        experiment = measure(options.seed)
        save(picture(experiment, draw), options.out / f"{key}.png")
        done.append(experiment)
    write_text(options.out / "results.json", _results(done, options.seed))
    _show(done, options.out)
    failed = [(e, check) for e in done for check in e.checks if not check.holds]
    for experiment, check in failed:
        sys.stderr.write(
            f"telucodec lab: {experiment.key}: {check.what}: measured {check.measured:.6g}, predicted {check.relation} "
            f"{check.predicted:.6g}, which is off by {check.difference:.3g} where {check.tolerance:.3g} is allowed\n"
        )
    return 1 if failed else 0


def _show(experiments: Sequence["Experiment"], out: Path) -> None:
    """One row for each experiment: the check that fails, or comes nearest to it."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("identity", "nearest to failing", "predicted", "measured", "largest difference", "allowed", "checks")
    for experiment in experiments:
        worst = experiment.worst
        relation = "" if worst.relation == "=" else f"{worst.relation} "
        figures = (f"{relation}{worst.predicted:.5g}", f"{worst.measured:.5g}", f"{worst.difference:.1e}")
        told = f"{sum(c.holds for c in experiment.checks)} of {len(experiment.checks)} hold"
        table.add_row(f"{experiment.key}  {experiment.title}", worst.what, *figures, f"{worst.tolerance:.1e}", told)
    console.print(table, highlight=False)
    console.print(f"written: {out}/results.json and a picture for each", highlight=False, soft_wrap=True)


def _results(experiments: Sequence["Experiment"], seed: int) -> str:
    packages = ("telucodec", "torch", "numpy", "scipy", "matplotlib")
    about = {
        "seed": seed,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "holds": all(e.holds for e in experiments),
        "experiments": {e.key: e.plain() for e in experiments},
    }
    return json.dumps(_tidy(about), indent=1, ensure_ascii=False) + "\n"


def _tidy(value: Any) -> Any:
    """Ten digits of each number, and null where JSON has none for it."""
    if isinstance(value, Mapping):
        return {key: _tidy(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(child) for child in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value
