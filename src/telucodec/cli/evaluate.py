"""`telucodec evaluate`."""

import argparse
import csv
import hashlib
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from telucodec.cli.loading import load
from telucodec.disk import no_links, write_text
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.data.entry import Entry
    from telucodec.data.manifest import Manifest

DESCRIPTION = """\
Measure a trained codec on whole utterances: SNR and SI-SDR, correlation and RMS ratio, the split of the noise into
shape, gain and DC, the SNR that the best gain would reach, log-mel distance, use of the codebooks; with --perceptual
also PESQ-WB, STOI and ViSQOL. The summary has the split by loudness and by frequency band, too.

Writes files.csv and files.json (one row a file) and summary.json (means with 95 % intervals by language and speaker,
and everything that decides the figures) into RUN/evaluation/<data>-<split>; the run's own data are called `own`.

examples:
  telucodec evaluate runs/embedded_default/2026-01-31_12-00-00
  telucodec evaluate RUN --data PREPARED/manifest.jsonl --split test --perceptual
  telucodec evaluate RUN --data ~/recordings --split all      a folder of WAV or FLAC at the codec's sample rate
"""

FIGURES = (
    "snr", "si_sdr", "rho", "rms_ratio", "snr_ceiling", "shape_share", "gain_share", "dc_share",
    "snr_best_gain", "loss_at_rms_1", "peak_ratio", "range_ratio", "mel_distance", "pesq_wb", "stoi", "visqol",
)  # fmt: skip
SHOWN = ("snr", "si_sdr", "rho", "rms_ratio", "mel_distance", "pesq_wb", "stoi", "visqol")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--data", type=Path, metavar="PATH", help="a manifest, or a folder (default: the run's own data)"
    )
    splits = ["train", "valid", "test", "all"]
    parser.add_argument("--split", choices=splits, help="default: test; all for a bare folder")
    parser.add_argument("--perceptual", action="store_true", help="PESQ-WB, STOI, ViSQOL (extra 'perceptual'; slow)")
    parser.add_argument(
        "--worst", type=int, default=5, metavar="N", help="how many of the worst files to list (default 5)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: in the run folder)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Load, measure, write, show."""
    load("telucodec.models.stored")
    import torch

    from telucodec.build import build
    from telucodec.data.level import Level
    from telucodec.data.segments import Utterances
    from telucodec.metrics.evaluation import Evaluator
    from telucodec.metrics.perceptual import Perceptual
    from telucodec.models.assess import Assessment
    from telucodec.models.stored import load_codec
    from telucodec.study.results.groups import by_group, table_row

    codec, config = load_codec(options.run_folder)
    evaluator = build(config["evaluator"], "evaluator", Evaluator)
    if options.perceptual:
        evaluator.metrics["perceptual"] = Perceptual()
    level = build(config["level"], "level", Level)
    manifest, bare = _manifest(options, config, codec.sample_rate)
    split = options.split or ("all" if bare else "test")
    entries = _entries(manifest, split)
    name = f"{_label(options.data)}-{split}"
    if not options.out:
        no_links(options.run_folder, ["evaluation", f"evaluation/{name}"])
    if torch.cuda.is_available():
        codec.cuda()
    assessment, utterances = Assessment(codec, evaluator), Utterances(manifest, entries, codec.sample_rate, level)
    console = Console(width=None if sys.stdout.isatty() else 160)  # a file has room for the whole table
    for index in track(range(len(utterances)), "evaluating", console=Console(stderr=True), transient=True):
        assessment.hear(utterances[index])
    rows, summary = assessment.evaluation.rows, assessment.summary()
    groups = by_group(rows, FIGURES)
    out = options.out or options.run_folder / "evaluation" / name
    about = {"run": str(options.run_folder), "data": str(manifest.path), "split": split}
    about |= {"evaluator": evaluator.describe(codec.sample_rate)}
    table = [dict(table_row(row)) for row in rows]
    write_text(out / "files.csv", _csv(table))
    write_text(out / "files.json", _json(table))
    write_text(out / "summary.json", _json(about | {"summary": summary, "groups": groups}))
    _show(console, groups, summary, rows, options.worst)
    console.print(f"written: {out}/summary.json, files.csv, files.json", highlight=False, soft_wrap=True, markup=False)
    return 0


def _label(data: Path | None) -> str:
    if data is None:
        return "own"
    data = data.expanduser().resolve()
    name = data.name if data.is_dir() else data.parent.name
    return f"{name}-{hashlib.sha256(str(data).encode()).hexdigest()[:6]}"  # folders of one name are told apart


def _manifest(options: argparse.Namespace, config: Mapping[str, Any], sample_rate: int) -> tuple["Manifest", bool]:
    """What to evaluate on, and whether it is a folder that nobody has split."""
    from telucodec.build import build
    from telucodec.cli.data import read_any
    from telucodec.data.manifest import read_manifest
    from telucodec.data.source import Source

    if options.data is not None:
        data = options.data.expanduser()
        return read_any(data, Console(stderr=True), sample_rate), data.is_dir() and not (
            data / "manifest.jsonl"
        ).exists()
    kept = options.run_folder / "data.jsonl"  # as the run was started with, whatever has come into its folder since
    if kept.exists():
        return _from_pack(read_manifest(kept), config), False
    return build(config.get("data"), "data", Source)(), False


def _entries(manifest: "Manifest", split: str) -> "Sequence[Entry]":
    """What to measure; the files are there, unless a pack has what is in them."""
    from telucodec.data.manifest import check_files

    entries = manifest.entries if split == "all" else manifest.split(split)
    if manifest.pack is None:
        check_files(manifest, entries)
    return entries


def _from_pack(listed: "Manifest", config: Mapping[str, Any]) -> "Manifest":
    """The recordings that a run has listed, read where it read them: in a pack, if it was trained on one."""
    import numpy as np

    from telucodec.build import build
    from telucodec.data.columns import chosen, texts
    from telucodec.data.manifest import Manifest
    from telucodec.data.source import FromPack, Source

    data = config.get("data")
    if not isinstance(data, Mapping) or data.get("_target_") != f"{FromPack.__module__}.{FromPack.__name__}":
        return listed
    try:
        now = build(data, "data", Source)()
        here = {path: row for row, path in enumerate(path for block in texts(now.absolute(), "path") for path in block)}
        rows = [here.get(path, -1) for block in texts(listed.entries, "path") for path in block]
        found = Manifest(now.path, chosen(now.entries, np.array(rows)), now.pack)
        if -1 in rows or found.absolute() != listed.entries:
            raise InputError(f"{now.path}: is not what it was when the run began.")
    except InputError as error:
        told = f"{error} So the recordings are read from their own files, which hold the same samples."
        Console(stderr=True).print(told, highlight=False, markup=False, soft_wrap=True)
        return listed
    return replace(found, entries=found.absolute())  # named as a run's own list names them


def _show(
    console: Console, groups: Mapping[str, Any], summary: Mapping[str, float], rows: Sequence[Any], count: int
) -> None:
    from telucodec.study.results.groups import worst

    shown = [figure for figure in SHOWN if figure in groups["all"]]
    table = Table(
        "", "files", *shown, title=f"means with 95 % intervals, over {groups['all']['interval_over']} in the first row"
    )
    for name, group in groups.items():
        cells = [_cell(group[f]) for f in shown]
        table.add_row(escape(name), str(group["utterances"]), *cells)
    console.print(table)
    usage, perplexity = (summary.get(f"codebook/{figure}_min", math.nan) for figure in ("usage", "perplexity"))
    console.print(
        f"{summary['kbps']:.2f} kbit/s; noise floor {summary['noise_floor_dbfs']:.1f} dBFS; "
        f"{summary['silent_utterances']:.0f} silent files left out; least used codebook: "
        f"usage {usage:.1%}, perplexity {perplexity:.0f}",
        highlight=False,
    )
    for row in worst(rows, "snr", count):
        figures = ", ".join(f"{figure} {row.figures[figure]:.3f}" for figure in shown)
        console.print(f"  worst: {row.name}: {figures}", highlight=False, soft_wrap=True, markup=False)


def _cell(figure: Mapping[str, float]) -> str:
    told = f"{figure['mean']:.3f}"
    return told if math.isnan(figure["low"]) else f"{told} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        raise InputError("There is no utterance to evaluate.")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json(content: Any) -> str:
    return json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
