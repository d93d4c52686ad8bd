"""`telucodec diagnose`."""

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
Say why a codec's output is as it is: how much of the noise is shape (the waveform is not there), gain (wrong level) and
DC (a constant offset), what the best gain could buy, and what to change first.

Of a run: every validation with its label, the newest with the figures that decided it, by loudness and by band; the
pictures go to RUN/diagnosis. With --probe the stored codec is questioned anew with the probes of the default
configuration: gradients of every loss, gain sweep, quantizer bypass and so on.
Of two numbers, such as a log or a paper states them: what they imply about each other.

examples:
  telucodec diagnose runs/embedded_default/2026-01-31_12-00-00
  telucodec diagnose RUN --probe
  telucodec diagnose --snr -0.11 --rms-ratio 0.159
"""
COLUMNS = (
    ("step", "step", "{:.0f}"),
    ("val/snr_pooled", "SNR", "{:.2f}"),
    ("val/rho_pooled", "rho", "{:.3f}"),
    ("val/rms_ratio_pooled", "r", "{:.3f}"),
    ("val/snr_best_gain_pooled", "at best gain", "{:.2f}"),
    ("val/snr_best_gain_per_file_pooled", "a gain a file", "{:.2f}"),
    ("val/loss_at_rms_1_pooled", "cost of r = 1", "{:.2f}"),
    ("val/shape_share_pooled", "shape", "{:.0%}"),
    ("val/gain_share_pooled", "gain", "{:.0%}"),
    ("val/dc_share_pooled", "DC", "{:.0%}"),
)
PARTS = (("snr", "SNR", "{:.2f}"), ("rho", "rho", "{:.3f}"), ("rms_ratio", "r", "{:.3f}"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("run_folder", type=Path, nargs="?", metavar="RUN", help="folder of a run")
    parser.add_argument("--probe", action="store_true", help="question the stored codec anew (needs the run's data)")
    parser.add_argument("--snr", type=float, metavar="DB", help="an SNR in dB, instead of a run")
    parser.add_argument("--rms-ratio", type=float, metavar="R", help="with --snr: RMS of the output over the target's")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Diagnose a run, or two numbers."""
    numbers = (options.snr, options.rms_ratio)
    if options.run_folder is None and numbers == (None, None):
        raise InputError("diagnose: give a run folder (see `ls runs/*`), or --snr and --rms-ratio.")
    if numbers != (None, None) and (options.run_folder is not None or None in numbers or options.probe):
        raise InputError("diagnose: give either a run folder (and --probe), or both --snr and --rms-ratio.")
    found = _numbers(*numbers) if options.run_folder is None else _run(options.run_folder, options.probe)
    if options.json:
        from telucodec.training.record import plain

        sys.stdout.write(json.dumps(plain(found), indent=2, ensure_ascii=False) + "\n")
    elif options.run_folder is None:
        Console().print(found["text"], highlight=False, soft_wrap=True, markup=False)
    else:
        _show(found)
    return 0


def _numbers(snr: float, rms_ratio: float) -> dict[str, Any]:
    from telucodec.diagnosis.pair import read_pair

    try:
        return read_pair(snr, rms_ratio).plain()
    except ValueError as error:
        raise InputError(f"diagnose: {error}.") from None


def _run(folder: Path, probe: bool) -> dict[str, Any]:
    from telucodec.diagnosis.plane import plane
    from telucodec.disk import no_links, replacing
    from telucodec.models.stored import read_config
    from telucodec.training.record import read_rows
    from telucodec.training.verdict import path, validations

    config = read_config(folder)
    found = validations(read_rows(folder / "metrics.jsonl"))
    if not found:
        raise InputError(f"{folder}: has no validation yet. Let it train to its first one (callback.validation.every).")
    no_links(folder, ["diagnosis"])
    pictures: dict[str, Any] = {}
    if probe:
        from telucodec.cli.compose import compose_config
        from telucodec.training.revive import question

        step, figures, pictures = question(folder, config, compose_config([], None))
        found[step] = found.get(step, {"step": float(step)}) | figures
    pictures["plane"] = plane({str(config["name"]): path(found)}, "How loud, and how alike")
    told = _told(folder, {step: row for step, row in found.items() if "val/snr" in row})
    for name, picture in pictures.items():
        with replacing(folder / "diagnosis" / f"{name}.png") as partial:
            picture.savefig(partial, format="png", dpi=100)
    return told | {"probed": probe, "pictures": str(folder / "diagnosis")}


def _told(folder: Path, found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The label of each validation, and the newest one explained that has finite figures."""
    from telucodec.training.verdict import verdict

    labels, wrong = {}, {}
    for step in found:
        try:
            labels[step] = verdict(found, step)
        except ValueError as error:
            wrong[step] = str(error)
    if not labels:
        raise InputError(f"{folder}: {wrong[max(wrong)]}.")
    newest = max(labels)
    names = {step: label.label for step, label in labels.items()} | dict.fromkeys(wrong)
    validations = [{**row, "label": names[step]} for step, row in found.items()]
    summary = {"run": str(folder), "step": newest, "diagnosis": labels[newest].plain(), "figures": found[newest]}
    summary["without_label"] = {str(step): why for step, why in wrong.items()}
    return summary | {"validations": validations}


def _show(found: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(*(name for _, name, _ in COLUMNS), "label", title="noise by shape, gain and DC; over all samples")
    for row in found["validations"]:
        cells = ["" if row.get(key) is None else text.format(row[key]) for key, _, text in COLUMNS]
        table.add_row(*cells, row["label"] or "none")
    console.print(table)
    for title, prefix in (("by loudness", "val/"), ("by band, Hz", "val/band/")):
        _parts(console, title, found["figures"], prefix)
    told = found["diagnosis"]
    lines = [f"step {step}: {why}." for step, why in found["without_label"].items()]
    lines += [f"step {found['step']}: {told['label']}: {told['means']}"]
    lines += [f"  {r['figure']} is {r['value']:.3g} ({r['than']} {r['limit']:.3g})" for r in told["because"]]
    lines += [f"first: {told['advice']}"]
    lines += [f"also: {', '.join(told['also'])}"] if told["also"] else []
    asked = "not examined, for want of figures: {}" + ("" if found["probed"] else " (add --probe)")
    lines += [asked.format(", ".join(told["unexamined"]))] if told["unexamined"] else []
    lines += [f"pictures: {found['pictures']}"]
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def _parts(console: Console, title: str, figures: dict[str, float], prefix: str) -> None:
    names = [key[len(prefix) : -len("/rho")] for key in figures if key.startswith(prefix) and key.endswith("/rho")]
    names = [name for name in names if name and "/" not in name]
    if not names:
        return
    table = Table(title, *map(escape, names))
    for key, label, text in PARTS:
        values = [figures.get(f"{prefix}{name}/{key}") for name in names]
        table.add_row(label, *("" if value is None else text.format(value) for value in values))
    console.print(table)
