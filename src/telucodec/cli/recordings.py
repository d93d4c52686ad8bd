"""What the data commands print."""

from rich.console import Console
from rich.table import Table

from telucodec.data.info import UNKNOWN, Description


def table(described: dict[str, Description], title: str) -> Table:
    """Hours, speakers and medians of each split."""
    made = Table(title=title, title_justify="left", title_style="bold")
    made.add_column("split")
    for name in ("utterances", "hours", "speakers", "RMS dBFS", "bandwidth Hz", "seconds"):
        made.add_column(name, justify="right")
    for name, part in described.items():
        voices = len(part.speakers) - (UNKNOWN in part.speakers)
        middle = (f"{part.rms_dbfs['50']:.1f}", f"{part.bandwidth_hz['50']:.0f}", f"{part.duration_seconds['50']:.1f}")
        made.add_row(name, str(part.utterances), f"{part.hours:.2f}", str(voices or "unknown"), *middle)
    made.caption = "level, bandwidth and duration: medians"
    return made


def levels(described: dict[str, Description]) -> Table:
    """Percentiles over everything."""
    part = described["all"]
    made = Table(title="percentiles", title_justify="left", title_style="bold")
    made.add_column("")
    for percentile in part.rms_dbfs:
        made.add_column({"0": "least", "100": "most"}.get(percentile, f"{percentile} %"), justify="right")
    rows = (("RMS dBFS", part.rms_dbfs), ("bandwidth Hz", part.bandwidth_hz), ("seconds", part.duration_seconds))
    for name, values in rows:
        made.add_row(name, *(f"{value:.0f}" if "Hz" in name else f"{value:.1f}" for value in values.values()))
    return made


def voices(part: Description) -> str:
    """Languages, source rates and the longest speakers in words."""
    languages = ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in part.languages.items())
    rates = ", ".join(f"{rate} Hz ({count})" for rate, count in part.source_sample_rates.items())
    longest = [f"{name[:24]} {seconds / 60:.1f} min" for name, seconds in list(part.speakers.items())[:8]]
    more = f", and {len(part.speakers) - 8} more" if len(part.speakers) > 8 else ""
    return f"languages: {languages}\nrecorded at: {rates}\nspeakers: {', '.join(longest)}{more}"


def say(console: Console, text: str) -> None:
    """Print plain text: paths are not markup, and are not wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
