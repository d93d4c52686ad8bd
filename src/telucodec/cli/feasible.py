"""`telucodec feasible`."""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.data.entry import Entry
    from telucodec.data.manifest import Manifest
    from telucodec.diagnosis.feasible import Heard, Reason, Wish

DESCRIPTION = """\
Say whether figures can be reached at all, before anything trains: what SNR, RMS ratio, bitrate and losses imply about
each other, and how far an optimizer can move a parameter. Give what is expected; each check shows its formula and its
number. `Feasible` means that nothing here rules it out.

examples:
  telucodec feasible --snr 35 --rms-ratio 0.95 --kbps 8
  telucodec feasible --snr 20                               the correlation and the RMS ratios that 20 dB needs
  telucodec feasible --snr 22 --kbps 6 --data ~/recordings  what 6 kbit/s can buy on these recordings at most
  telucodec feasible --snr 5 --mse 0.4                      how loud the target would have to be
  telucodec feasible --move output_scale 1.0 3.0 --steps 300 --lr 1e-5
"""
SHORTEST = 10.0  # seconds: rather fewer files than shorter pieces of them


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    add = parser.add_argument
    add("--snr", type=float, metavar="DB", help="SNR, dB")
    add("--rms-ratio", type=float, metavar="R", help="RMS of the output over RMS of the target")
    add("--kbps", type=float, metavar="K", help="bitrate, kbit/s")
    add("--sample-rate", type=int, default=16000, metavar="HZ", help="of the codec (default 16000)")
    add("--mse", type=float, metavar="X", help="mean squared error, full scale = 1; beside --snr")
    add("--l1-plus-mse", type=float, metavar="X", help="mean absolute plus mean squared error; beside --snr")
    add(
        "--data",
        type=Path,
        metavar="PATH",
        help="a manifest, or a folder of WAV or FLAC: recordings to hold --kbps and the losses against",
    )
    add("--minutes", type=float, default=15.0, metavar="M", help="of --data to read, spread over it (default 15)")
    add("--move", nargs=3, metavar=("NAME", "FROM", "TO"), help="a parameter and the value it should take")
    add("--steps", type=int, metavar="N", help="optimizer steps for --move")
    add("--lr", type=float, metavar="X", help="learning rate for --move")
    add("--betas", type=float, nargs=2, metavar=("B1", "B2"), help="Adam's, for --move (default 0.9 0.999)")
    add("--json", action="store_true", help="print an object instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, read, reason, print."""
    from telucodec.diagnosis.feasible import Wish, reasons, steps_needed, verdict

    wish = Wish(options.snr, options.rms_ratio, options.kbps, options.sample_rate, options.mse, options.l1_plus_mse)
    moves = [steps_needed(_outlook(options))] if _speaks_of_a_move(options) else []
    _refuse_too_little(options, wish)
    heard, read = (None, None) if options.data is None else _hear(options)
    found = [*reasons(wish, heard), *moves]
    feasible, told = not any(reason.rules_out for reason in found), verdict(found)
    if options.json:
        rows = [{key: _finite(value) for key, value in asdict(reason).items()} for reason in found]
        asked = {key: value for key, value in asdict(wish).items() if value is not None}
        content = {"feasible": feasible, "verdict": told, "wish": asked, "data": read, "reasons": rows}
        sys.stdout.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 160)
    if read is not None:
        minutes = f"{read['minutes_read']:.1f} of {read['minutes']:.1f} minutes, {read['files_read']} files"
        console.print(f"{read['path']}: read {minutes}", highlight=False, markup=False, soft_wrap=True)
    console.print(_table(found), highlight=False)
    console.print(told, highlight=False, markup=False, soft_wrap=True)
    return 0


def spread(seconds: Sequence[float], budget: float) -> list[float]:
    """How many seconds to take of each recording so that they come from all over, and add up to no more than a budget.

    >>> spread([20.0, 20.0, 20.0, 20.0], 40.0), spread([3600.0], 900.0), spread([4.0, 5.0], 60.0)
    ([10.0, 10.0, 10.0, 10.0], [900.0], [4.0, 5.0])
    """
    share, due, taken = min(1.0, budget / max(sum(seconds), 1e-9)), 0.0, []
    for length in seconds:
        due += share * length
        worth = due + 1e-6 >= min(length, SHORTEST, budget / 4)
        taken.append(min(length, due) if worth and share < 1 else length if share == 1 else 0.0)
        due -= taken[-1]
    return taken


def _speaks_of_a_move(options: argparse.Namespace) -> bool:
    parts = {"--move": options.move, "--steps": options.steps, "--lr": options.lr}
    missing = [name for name, value in parts.items() if value is None]
    if missing and (len(missing) < len(parts) or options.betas is not None):
        raise InputError(f"{missing[0]}: is missing. --move NAME FROM TO needs --steps N and --lr X.")
    return not missing


def _outlook(options: argparse.Namespace) -> Any:
    from telucodec.diagnosis.reach import Move, Pace, outlook

    name, *ends = options.move
    try:
        start, goal = map(float, ends)
    except ValueError:
        raise InputError(f"--move {' '.join(options.move)}: FROM and TO must be numbers.") from None
    first, second = options.betas or (0.9, 0.999)
    if not max(abs(start), abs(goal)) < 1e6:
        raise InputError(f"--move {' '.join(options.move)}: FROM and TO must be finite, and below a million.")
    if options.steps < 1:
        raise InputError(f"--steps: must be >= 1, got {options.steps}.")
    if not 1e-12 <= options.lr < 1e6:
        raise InputError(f"--lr: must be at least 1e-12 and below a million, got {options.lr}.")
    if not (0 <= first < 1 and 0 <= second < 1):
        raise InputError(f"--betas: must both be in [0, 1), got {first} {second}.")
    return outlook(Move(name, start, goal), Pace(options.lr, (first, second), 0.0, options.steps, options.steps))


def _refuse_too_little(options: argparse.Namespace, wish: "Wish") -> None:
    if options.move is None and wish.snr is None and wish.rms_ratio is None and wish.kbps is None:
        raise InputError("Nothing to check: give --snr, --rms-ratio, --kbps or --move. See telucodec feasible --help.")
    if options.data is not None and wish.kbps is None and wish.mse is None and wish.l1_plus_mse is None:
        raise InputError("--data: no check reads recordings without --kbps, --mse or --l1-plus-mse. Give one.")
    if not (math.isfinite(options.minutes) and options.minutes > 0):
        raise InputError(f"--minutes: must be > 0, got {options.minutes}.")


def _hear(options: argparse.Namespace) -> tuple["Heard", dict[str, Any]]:
    """What the checks need of the recordings, and how much was read."""
    import numpy as np

    from telucodec.cli.data import read_any
    from telucodec.data.manifest import check_files
    from telucodec.diagnosis.feasible import Heard, loudest_second
    from telucodec.diagnosis.rate import WaterFilling, spectra

    console = Console(stderr=True)
    manifest = read_any(options.data.expanduser(), console, options.sample_rate)
    check_files(manifest, manifest.entries)
    parts = spread([entry.seconds for entry in manifest.entries], 60 * options.minutes)
    chosen = [(entry, part) for entry, part in zip(manifest.entries, parts, strict=True) if part > 0]
    powers, found, energy, samples = [], 0.0, 0.0, 0
    pieces = _read(manifest, chosen, options.sample_rate)
    for audio in track(pieces, "reading", len(chosen), console=console, transient=True):
        powers.append(spectra(audio, options.sample_rate))
        found = max(found, loudest_second(audio, options.sample_rate))
        energy, samples = energy + float(np.var(audio, dtype=np.float64)) * len(audio), samples + len(audio)
    if not energy > 0:
        raise InputError(f"{manifest.path}: these recordings are silent throughout. Give some with speech in them.")
    whole = sum(entry.seconds for entry in manifest.entries) / 60
    read = {"path": str(options.data), "minutes": whole, "minutes_read": samples / options.sample_rate / 60}
    heard = Heard(WaterFilling(powers), math.sqrt(energy / samples), found)
    return heard, read | {"files": len(manifest.entries), "files_read": len(chosen)}


def _read(manifest: "Manifest", chosen: "Sequence[tuple[Entry, float]]", sample_rate: int) -> Iterator[Any]:
    """From the middle of each recording as many seconds as are given with it, one channel at the wanted rate."""
    import numpy as np

    from telucodec.audio.files import read_segment
    from telucodec.audio.resample import resample

    for entry, seconds in chosen:
        count = min(entry.samples, max(1, round(seconds * entry.sample_rate)))
        file = manifest.locate(entry)
        audio = read_segment(file, (entry.samples - count) // 2, count)[:1]
        if not np.isfinite(audio).all():
            raise InputError(f"{file}: holds samples that are not finite. Remove it, or prepare the recordings again.")
        yield resample(audio, entry.sample_rate, sample_rate)[0]


def _table(found: "Sequence[Reason]") -> Table:
    table = Table("check", "formula", "number", "rules out", "says")
    for reason in found:
        number = f"{reason.number:,.5g}" if math.isfinite(reason.number) else "-"
        table.add_row(reason.identity, reason.formula, number, "yes" if reason.rules_out else "", reason.text)
    return table


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
