"""All arms of a study or sweep in one TensorBoard: links under names that sort, and charts of all arms together."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

HOME = "tensorboard"  # the folder of events, in a run's folder as in a sweep's

# chart -> pattern of the keys that it draws; what no run logs makes no chart
CHARTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "level": [
        ("SNR (dB)", "val/snr"),
        ("RMS ratio", "val/rms_ratio"),
        ("rho", "val/rho"),
        ("SNR's ceiling at this rho (dB)", "val/snr_ceiling"),
        ("SI-SDR (dB)", "val/si_sdr"),
        ("output scale", "train/output_scale"),
    ],
    "error shares": [(f"share of {part}", f"val/{part}_share") for part in ("shape", "gain", "dc")],
    "spectrum": [("mel distance", "val/mel_distance")],
    "losses": [(r"\1", r"loss/(.+)"), ("sum", "train/loss")],
    "codebook": [
        ("usage, the least used", "codebook/usage_min"),
        ("perplexity, the least", "codebook/perplexity_min"),
        ("share of the bits that is used", "codebook/bits_share"),
        (r"usage of codebook \1", r"codebook/(\d+)/usage"),
    ],
    "gradient shares": [(r"\2 at \1", r"gradient_share/([^/]+)/(.+)")],
    "steps": [("gradient norm of the codec", "gradient_norm/codec"), ("learning rate", "lr/codec")],
}


def gather_arms(folder: Path, runs: Sequence[tuple[str, Path]]) -> Path:
    """As `link_arms`, with charts of whatever the runs have logged by now."""
    from telucodec.training.record import read_rows  # brings torch, which the links do without

    logged = (row for _, run in runs for row in read_rows(run / "metrics.jsonl"))
    write_layout(folder, {key for row in logged for key in row})
    return link_arms(folder, runs)


def link_arms(folder: Path, runs: Sequence[tuple[str, Path]]) -> Path:
    """Bring many runs under one folder for TensorBoard, by links to where they are.

    A run may not have begun: TensorBoard finds it once it has. Links of runs that are not given any more go.

    Args:
        folder: of the sweep or study.
        runs: (label, run folder) in the order to be shown; "arm/seed" puts the seeds of an arm under its name.

    Returns:
        What to give TensorBoard as its logdir.
    """
    home = folder / HOME
    wanted = {home / name: run / HOME for name, (_, run) in zip(sorting([n for n, _ in runs]), runs, strict=True)}
    for old in _links(home):
        if old not in wanted:
            old.unlink(missing_ok=True)
            with suppress(OSError):  # other seeds are still there
                old.parent.rmdir()
    home.mkdir(parents=True, exist_ok=True)
    for link, run in wanted.items():
        target = os.path.relpath(run.resolve(), link.parent.resolve())
        if not link.is_symlink() or os.readlink(link) != target:
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return home


def sorting(labels: Sequence[str]) -> list[str]:
    """Labels as names of folders that sort in the order given, each arm behind its number.

    What stands before the first slash is the arm; its seeds share its number.

    >>> sorting(["base/seed 0", "base/seed 1", "no_clip/seed 0"])
    ['1_base/seed_0', '1_base/seed_1', '2_no_clip/seed_0']
    """
    arms = {arm: n for n, arm in enumerate(dict.fromkeys(label.partition("/")[0] for label in labels), 1)}
    width = len(str(len(arms)))
    names = []
    for label in labels:
        arm, slash, rest = label.partition("/")
        clean = [re.sub(r"[^\w.,=+@-]+", "_", part) for part in (arm, rest)]
        names.append(f"{arms[arm]:0{width}}_{clean[0]}{slash}{clean[1]}")
    return names


def write_layout(folder: Path, keys: Collection[str]) -> None:
    """Write charts that draw all arms together, one figure a chart, for TensorBoard's custom scalars.

    Args:
        folder: of the sweep or study.
        keys: what its runs logged.
    """
    from torch.utils.tensorboard import SummaryWriter

    home, layout = folder / HOME, charts(keys)
    suffix = f".layout-{sha256(repr(layout).encode()).hexdigest()[:8]}"
    if list(home.glob(f"events.out.tfevents.*{suffix}")):
        return
    for old in home.glob("events.out.tfevents.*.layout-*"):
        old.unlink()
    with SummaryWriter(str(home), filename_suffix=suffix) as writer:
        writer.add_custom_scalars(layout)


def charts(keys: Collection[str]) -> dict[str, dict[str, list[object]]]:
    """Group -> chart -> what torch's SummaryWriter takes for it.

    TensorBoard reads each key as the beginning of one, unless it ends with a dollar.

    >>> charts(["val/snr", "val/snr_ceiling"])["level"]["SNR (dB)"]
    ['Multiline', ['val/snr$']]
    """
    layout: dict[str, dict[str, list[object]]] = {}
    for group, patterns in CHARTS.items():
        for name, pattern in patterns:
            for key in sorted(keys):
                if found := re.fullmatch(pattern, key):
                    layout.setdefault(group, {})[found.expand(name)] = ["Multiline", [f"{re.escape(key)}$"]]
    return layout


def _links(home: Path) -> Iterator[Path]:
    for path in list(home.glob("*")):
        if path.is_symlink():
            yield path
        elif path.is_dir():
            yield from [inner for inner in path.iterdir() if inner.is_symlink()]
