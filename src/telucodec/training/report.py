"""Tables at the start and at the end of a run."""

import json
import shutil
import sys
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from telucodec.models.codec import Codec
from telucodec.training.context import Run

LINES = (
    ("snr", "SNR, dB", "{:.2f}"),
    ("snr_pooled", "SNR over all samples, dB", "{:.2f}"),
    ("si_sdr", "SI-SDR, dB", "{:.2f}"),
    ("rho", "correlation rho", "{:.3f}"),
    ("rms_ratio", "RMS ratio", "{:.3f}"),
    ("snr_best_gain_pooled", "SNR at the best gain, dB", "{:.2f}"),
    ("snr_ceiling", "SNR ceiling (no DC either), dB", "{:.2f}"),
    ("loss_at_rms_1_pooled", "what RMS ratio 1 would cost, dB", "{:.2f}"),
    ("shape_share", "noise from shape", "{:.1%}"),
    ("gain_share", "noise from gain", "{:.1%}"),
    ("dc_share", "noise from DC", "{:.1%}"),
    ("mel_distance", "log-mel distance", "{:.3f}"),
    ("noise_floor_dbfs", "noise floor, dBFS", "{:.1f}"),
    ("codebook/usage_min", "least used codebook: usage", "{:.1%}"),
    ("codebook/perplexity_min", "least used codebook: perplexity", "{:.0f}"),
    ("kbps", "kbit/s", "{:.2f}"),
    ("utterances", "utterances", "{:.0f}"),
)


def start_table(run: Run, codec: Codec) -> Table:
    """What is about to be trained, on what, for how long."""
    train = run.data.manifest.split("train")
    hours = sum(entry.seconds for entry in train) / 3600
    heard = run.max_steps * run.data.seconds_per_step / 3600
    rate, size, field = codec.frame_rate, codec.parameter_count / 1e6, codec.receptive_field
    cost = f"{codec.macs_per_second() / 1e6:.0f} M multiply-adds a second of audio"
    bits = codec.quantizer.bits_per_frame
    table = Table("run", escape(str(run.folder)), show_edge=False)
    table.add_row("codec", f"{size:.2f} M parameters, {cost}")
    table.add_row("rate", f"{codec.bitrate:.2f} kbit/s: {rate:g} frames/s (hop {codec.hop_length}), {bits:g} bits each")
    reach = f"{field:.0f} samples, {1000 * field / codec.sample_rate:.0f} ms" if isfinite(field) else "unbounded"
    table.add_row("receptive field", reach)
    where = escape(str(run.data.manifest.path))
    table.add_row("speech", f"{hours * 60:.1f} minutes in {len(train)} utterances ({where})")
    epoch = run.data.steps_per_epoch
    told = f"{run.max_steps}: {run.max_steps / epoch:.1f} epochs of {epoch:.1f} steps, {heard:.2f} hours heard in all"
    table.add_row("steps", told)
    return table


def report(run: Run, adversary_start: int) -> None:
    """Print the end of a run: figures before and after the adversary came in, and where everything is."""
    summary = json.loads((run.folder / "summary.json").read_text(encoding="utf-8"))
    before = run.record.row_at("val/snr", adversary_start)
    columns = {"untrained": run.record.row_at("val/snr", 0)}
    if 0 < before.get("step", 0) < summary["steps"]:
        columns[f"step {before['step']:.0f}"] = before
    columns[f"step {summary['steps']}"] = summary["final"]
    columns["held out"] = summary.get("test", {})
    run.console.print(figures_table(columns))
    found = summary["diagnosis"]
    run.console.print(f"diagnosis: {found['label']}: {found['means']} {found.get('advice', '')}", markup=False)
    folder = run.folder
    here = command_prefix()
    paths = {
        "listen": f"{folder}/audio",
        "look": f"{folder}/pictures",
        "record": f"{folder}/summary.json, metrics.jsonl, config.yaml, run.json",
        "why": f"{here}telucodec diagnose {folder}",
        "curves": f"{here}tensorboard --logdir {folder.parent}",
        "measure": f"{here}telucodec evaluate {folder}",
        "try it": f"{here}telucodec reconstruct {folder} IN.wav OUT.wav",
    }
    text = "\n".join(f"{name + ':':<9} {path}" for name, path in paths.items())
    run.console.print(text, highlight=False, markup=False, soft_wrap=True)


def command_prefix() -> str:
    """What to put before a command so that the shell finds it: nothing, or the environment's folder and a slash."""
    if shutil.which("telucodec"):
        return ""
    folder = Path(sys.executable).parent
    return f"{folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}/"


def figures_table(columns: Mapping[str, Mapping[str, float]]) -> Table:
    """Figures as rows, sets of utterances as columns."""
    shown = {name: figures for name, figures in columns.items() if figures}
    table = Table("", *shown, title="validation voice, and the held-out voice last" if "held out" in shown else None)
    for key, label, text in LINES:
        cells = [_find(figures, key) for figures in shown.values()]
        if any(cell is not None for cell in cells):
            table.add_row(label, *("" if cell is None else text.format(cell) for cell in cells))
    return table


def _find(figures: Mapping[str, float], key: str) -> float | None:
    for candidate in (key, f"val/{key}", f"test/{key}"):
        if figures.get(candidate) is not None:
            return figures[candidate]
    return None
