"""Write the tables of README.md anew from results/*.json, which the other scripts leave.

python benchmarks/tables.py
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pairs import RESULTS, say

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->"
Row = Mapping[str, Any]
Column = Callable[[Row], str]


def times(ratio: Mapping[str, float] | None) -> str:
    """A ratio with its quartiles.

    >>> times({"median": 1.684, "low": 1.66, "high": 1.75, "fastest": 1.9})
    '**1.68** (1.66 to 1.75)'
    """
    return f"**{ratio['median']:.3g}** ({ratio['low']:.3g} to {ratio['high']:.3g})" if ratio else ""


def mib(size: float) -> str:
    """Bytes in MiB."""
    return f"{size / 2**20:.0f}"


TABLES: dict[str, tuple[str, dict[str, Column]]] = {
    "step": (
        "One training step, DAC's 16 kHz networks and losses: times as fast as descript-audio-codec's own step",
        {
            "networks": lambda r: r["size"] + (", bf16" if r["bf16"] else ""),
            "crops of 0.38 s": lambda r: str(r["batch"]),
            "times as fast": lambda r: times(r["ratio"]),
            "seconds, DAC's": lambda r: f"{r['seconds']:.2f}, {r['dac_seconds']:.2f}",
            "MiB, DAC's": lambda r: f"{mib(r['memory'])}, {mib(r['dac_memory'])}",
            "GFLOP": lambda r: f"{r['flop'] / 1e9:.0f}",
            "share of a convolution's speed": lambda r: f"{r['share_of_peak']:.0%}",
        },
    ),
    "columns": (
        "Single layers, forward and backward: times as fast as torch's own",
        {
            "layer": lambda r: r["layer"],
            "input": lambda r: " x ".join(map(str, r["shape"])),
            "times as fast": lambda r: times(r["ratio"]),
        },
    ),
    "quantizers": (
        "One step of a quantizer (16 items, 1024 codewords): times as fast as the peer, and its memory times ours",
        {
            "size": lambda r: r["size"],
            "encodec": lambda r: times(r["ours_encodec"]),
            "memory": lambda r: f"{1 / r['memory_ours_encodec']:.1f}",
            "vector-quantize-pytorch": lambda r: times(r["ours_vqpt"]),
            "memory ": lambda r: f"{1 / r['memory_ours_vqpt']:.1f}",
            "DAC (quantizer=dac)": lambda r: times(r["ours_dac_dac"]),
        },
    ),
    "losses": (
        "Spectral losses, forward and backward: times as fast as descript-audio-codec's (`_dac`) or auraloss's",
        {
            "loss": lambda r: r["loss"],
            "crops": lambda r: f"{r['items']} x {r['seconds']} s",
            "times as fast": lambda r: times(r["ratio"]),
        },
    ),
    "coding": (
        "Encoding and decoding 10 s, whole, equal codes: times as fast as DAC's own code, or transformers' code",
        {
            "codec": lambda r: r["codec"],
            "encode": lambda r: times(r["as_stored"]["encode"]),
            "decode": lambda r: times(r["as_stored"]["decode"]),
            "times real time, encode and decode": lambda r: " and ".join(
                f"{r['as_stored']['times_real_time'][way]:.1f}" for way in ("encode", "decode")
            ),
        },
    ),
    "loading": (
        "Random crops a second, one process, files in memory: times as many as DAC's loader gives (audiotools, -40 dB)",
        {
            "crop, s": lambda r: str(r["seconds"]),
            "way": lambda r: r["way"],
            "crops a second": lambda r: f"{r['crops_per_second']:.0f}",
            "times as many": lambda r: times(r["against -40 dB"]),
            "as without a cutoff": lambda r: times(r["against no cutoff"]),
        },
    ),
    "startup": (
        "Start-up, each in a process of its own",
        {
            "what": lambda r: r["what"],
            "way": lambda r: f"`{r['way']}`",
            "CPU, s": lambda r: f"{r['cpu_seconds']:.2f}",
            "times as fast as": lambda r: f"`{r['base']}`: {times(r['cpu'])}",
        },
    ),
    "million": (
        "A list of 1,000,000 files: the stages of the first start on it, and of a later one",
        {
            "stage": lambda r: r["stage"],
            "start": lambda r: r["start"],
            "CPU, s": lambda r: f"{r['processor_seconds']:.1f}",
            "clock, s": lambda r: f"{r['seconds']:.1f}",
            "most memory, GB": lambda r: f"{r['memory_gb']:.2f}",
        },
    ),
    "scheduling": (
        "Short runs of a sweep, from start to end: forked, times as cheap as started",
        {"runs": lambda r: str(r["runs"]), "times as cheap": lambda r: times(r["ratio"])},
    ),
}


def table(title: str, columns: Mapping[str, Column], told: Mapping[str, Any]) -> str:
    """One file of results as Markdown."""
    lines = [f"### {title}", ""]
    lines += [
        f"`{told['command']}`, {told['device']}, {told['threads']} thread, torch {told['torch']}, {told['day']}",
        "",
    ]
    lines += [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(column(row) for column in columns.values())} |" for row in told["rows"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite what is between the marks."""
    found = [
        (name, RESULTS / f"{name}{suffix}.json") for name in TABLES for suffix in ("", "_bf16", "_cuda", "_bf16_cuda")
    ]
    parts = [table(*TABLES[name], json.loads(path.read_text())) for name, path in found if path.exists()]
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(before + BEGIN + "\n" + "\n".join(parts) + "\n" + END + rest.partition(END)[2])
    say(f"wrote {README}")


if __name__ == "__main__":
    main()
