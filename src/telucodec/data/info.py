"""What a manifest holds: hours, voices, levels, bandwidths; and whether its files are still what it says."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from telucodec.data.entry import SPLITS, Entry
from telucodec.data.manifest import Manifest
from telucodec.data.measure import file_sha256

UNKNOWN = "(unknown)"
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Description:
    """One split, or everything."""

    utterances: int
    hours: float
    seconds: float
    speakers: dict[str, float]  # speaker -> seconds, longest first; UNKNOWN for those without
    languages: dict[str, float]  # language -> seconds, longest first
    source_sample_rates: dict[str, int]  # Hz -> utterances
    rms_dbfs: dict[str, float]  # percentile -> level
    bandwidth_hz: dict[str, float]  # percentile -> bandwidth
    duration_seconds: dict[str, float]  # percentile -> length


def describe(manifest: Manifest) -> dict[str, Description]:
    """Describe each split that is there, and "all"."""
    parts = {name: [entry for entry in manifest.entries if entry.split == name] for name in SPLITS}
    described = {name: describe_entries(entries) for name, entries in parts.items() if entries}
    return described | {"all": describe_entries(manifest.entries)}


def describe_entries(entries: Sequence[Entry]) -> Description:
    """Describe at least one entry."""
    seconds = sum(entry.seconds for entry in entries)
    rates = Counter(str(entry.source_sample_rate) for entry in entries)
    return Description(
        utterances=len(entries),
        hours=round(seconds / 3600, 4),
        seconds=round(seconds, 2),
        speakers=_seconds_by(entries, lambda entry: entry.speaker),
        languages=_seconds_by(entries, lambda entry: entry.language),
        source_sample_rates=dict(sorted(rates.items(), key=lambda item: int(item[0]))),
        rms_dbfs=_percentiles(entry.rms_dbfs for entry in entries),
        bandwidth_hz=_percentiles(entry.bandwidth_hz for entry in entries),
        duration_seconds=_percentiles(entry.seconds for entry in entries),
    )


def as_json(described: dict[str, Description]) -> dict[str, Any]:
    """The description in plain containers."""
    return {name: asdict(part) for name, part in described.items()}


def verify(manifest: Manifest, report: Callable[[int], None] = lambda done: None) -> list[str]:
    """Read every file and hold its hash against the manifest.

    Args:
        manifest: whose files are read.
        report: called with the number of files done, for a progress bar.

    Returns:
        One line for each file that is missing or changed; empty when all is well.
    """
    wrong = []
    for done, entry in enumerate(manifest.entries, 1):
        file = manifest.locate(entry)
        if not file.is_file():
            wrong.append(f"{file}: missing")
        elif file_sha256(file) != entry.sha256:
            wrong.append(f"{file}: changed since the manifest was made")
        report(done)
    return wrong


def draw(manifest: Manifest, png: Path) -> None:
    """Draw histograms of level, bandwidth and duration by split, and the minutes of each speaker, to a PNG.

    Raises:
        InputError: the picture cannot be written.
    """
    from telucodec.data.picture import draw_entries  # matplotlib takes a second to import

    draw_entries(manifest.entries, str(manifest.path), png)


def _seconds_by(entries: Iterable[Entry], name: Callable[[Entry], str | None]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for entry in entries:
        found[name(entry) or UNKNOWN] += entry.seconds
    return {key: round(value, 2) for key, value in sorted(found.items(), key=lambda item: (-item[1], item[0]))}


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    found = np.percentile(np.fromiter(values, float), PERCENTILES)
    return {str(p): round(float(value), 2) for p, value in zip(PERCENTILES, found, strict=True)}
