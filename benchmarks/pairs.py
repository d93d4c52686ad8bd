"""Ways of doing one thing, timed in turns in one run, and how many times as fast one is as another.

Machines are shared and change their speed from minute to minute: only what was timed in turns is compared. On a CPU
the clock counts this process's processor time, on a GPU the time between two events on the device.
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as a base something is: median and quartiles over pairs, and fastest against fastest."""

    median: float
    low: float  # first quartile
    high: float  # third quartile
    fastest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} (quartiles {self.low:.2f} to {self.high:.2f}, fastest {self.fastest:.2f})"


def parser(doc: str, rounds: int) -> argparse.ArgumentParser:
    """The options that all comparisons have."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=rounds, help=f"how often each way is timed (default {rounds})")
    made.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    return made


def settle(device: str) -> torch.device:
    """One thread, one seed, no TF32 that is not asked for, and the device to measure on."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    return torch.device(device)


class Clock:
    """Starts when it is made."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.event = None
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
            self.event = torch.cuda.Event(enable_timing=True)
            self.event.record()  # type: ignore[no-untyped-call]
        self.since = time.process_time()

    def stop(self) -> float:
        """Seconds since it started."""
        if self.event is None:
            return time.process_time() - self.since
        end = torch.cuda.Event(enable_timing=True)
        end.record()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        return float(self.event.elapsed_time(end)) / 1000  # type: ignore[no-untyped-call]


def in_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, device: torch.device | None = None, warm: int = 1
) -> dict[str, list[float]]:
    """Seconds of each round of each way: A B C A B C ..., after `warm` rounds that are not timed."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-warm, rounds):
        for name, work in ways.items():
            clock = Clock(device)
            work()
            seconds = clock.stop()
            if turn >= 0:
                found[name].append(seconds)
    return found


def ratio(base: Sequence[float], other: Sequence[float]) -> Ratio:
    """How many times as fast as `base` the other way was.

    >>> ratio([2.0, 4.0, 6.0], [1.0, 2.0, 2.0])
    Ratio(median=2.0, low=2.0, high=2.5, fastest=2.0)
    """
    pairs = [b / o for b, o in zip(base, other, strict=True)]
    low, median, high = statistics.quantiles(pairs, n=4, method="inclusive") if len(pairs) > 1 else pairs * 3
    return Ratio(median, low, high, min(base) / min(other))


def same(what: str, ours: Any, theirs: Any, within: float) -> float:
    """The largest relative difference of two lists of numbers, which compute the same: what does not is not timed."""
    a, b = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (ours, theirs))
    apart = float(((a - b).abs() / b.abs().clamp(min=1e-12)).max()) if a.shape == b.shape else float("inf")
    if not apart <= within:
        sys.exit(f"{what}: not the same, {apart:.2g} apart, where {within:g} is allowed:\n  ours   {a}\n  theirs {b}")
    return apart


def say(line: str) -> None:
    """Print at once: a benchmark takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def machine(device: torch.device | None = None) -> dict[str, Any]:
    """What a figure was measured on."""
    if device is not None and device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        told = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform.startswith("linux") else []
        names = [line for line in told if line.startswith("model name")]
        flags = torch.backends.cpu.get_cpu_capability()
        name = f"{names[0].partition(':')[2].strip() if names else platform.machine()}, {flags}"
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__, "day": str(date.today())}


def most_memory() -> int:
    """The most that this process has held at once, bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def write(name: str, rows: Sequence[Mapping[str, Any]], device: torch.device | None = None) -> None:
    """Keep figures in results/NAME.json, or results/NAME_cuda.json, with the command and the machine."""
    RESULTS.mkdir(exist_ok=True)
    suffix = "_cuda" if device is not None and device.type == "cuda" else ""
    path = RESULTS / f"{name}{suffix}.json"
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    kept = [{key: asdict(value) if isinstance(value, Ratio) else value for key, value in row.items()} for row in rows]
    path.write_text(json.dumps({"command": command, **machine(device), "rows": kept}, indent=1) + "\n")
    say(f"wrote {path}")
