"""One training step, ours against descript-audio-codec's own: DAC's 16 kHz networks and losses at three sizes.

    python benchmarks/step.py
    python benchmarks/step.py --size full --batch 4 --rounds 10

Ours is the step of `telucodec train experiment=dac_16k`, in Lightning's loop, as a user's run makes it. Each has a
process of its own, for ours has the C library keep freed memory, and they move in turns. Both begin from the same
weights and hear the same batch; the losses of a step must agree to 1e-5, and those of the next to 1e-4, before anything
is timed (5e-2 with --bf16, both in bfloat16). On a GPU (`--device cuda --size full --batch 72`) the clock is its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from dac_step import WEIGHTS, DacStep
from pairs import Clock, in_turns, most_memory, parser, ratio, same, say, settle, write
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.flop_counter import FlopCounterMode

from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.records import Batch
from telucodec.training.module import CodecTraining
from telucodec.training.quiet import quiet

SIZES = {"full": (64, 1536), "small": (24, 384), "tiny": (16, 256)}  # widths of encoder's and decoder's first layers
BATCHES = {"full": 2, "small": 4, "tiny": 1}
SAMPLES = 6080  # 0.38 s
WARM = 2  # steps that are compared, not timed


def compare(size: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Time both at one size, and say what came of it."""
    ours, dac = (Arm(name, size, options) for name in ("ours", "dac"))
    seconds: dict[str, list[float]] = {"ours": [], "dac": []}
    for turn in range(-WARM, options.rounds):
        other, own = dac.step(), ours.step()
        if turn < 0:  # Adam's first update is the gradient's sign alone: rounding counts for more after it
            within = 0.05 if options.bf16 else 1e-5 if turn == -WARM else 1e-4
            same(f"the losses of step {turn + WARM + 1}", own["losses"], other["losses"], within)
        elif turn >= 0:
            seconds["ours"].append(own["seconds"])
            seconds["dac"].append(other["seconds"])
    flop, batch = ours.step()["flop"], options.batch or BATCHES[size]
    memory = {"memory": ours.end(), "dac_memory": dac.end()}
    found, peak = ratio(seconds["dac"], seconds["ours"]), convolutions(device, options.bf16)
    middle = {name: statistics.median(spent) for name, spent in seconds.items()}
    reached = flop / min(seconds["ours"]) / 1e9
    held, dac_held = (memory[name] / 2**20 for name in ("memory", "dac_memory"))
    say(f"{size:>6}, {batch} x 0.38 s{', bf16' if options.bf16 else ''}: {found} times as fast as DAC")
    say(f"{'':8}{middle['ours']:.3f} s, DAC's {middle['dac']:.3f} s; at most {held:.0f} MiB, DAC's {dac_held:.0f}")
    say(f"{'':8}{flop / 1e9:.0f} GFLOP at {reached:.0f} a second, where a convolution has {peak:.0f}")
    row = {"size": size, "batch": batch, "bf16": options.bf16, "against_fp32": options.against_fp32, "ratio": found}
    timed = {"seconds": middle["ours"], "dac_seconds": middle["dac"], "flop": flop, "share_of_peak": reached / peak}
    return row | timed | memory


class Arm:
    """A process that makes one step whenever it is asked to."""

    def __init__(self, name: str, size: str, options: argparse.Namespace) -> None:
        words = [sys.executable, __file__, f"--arm={name}", f"--size={size}", f"--device={options.device}"]
        words += [f"--batch={options.batch or BATCHES[size]}", *options.overrides]
        words += [word for word, given in (("--bf16", options.bf16), ("--against-fp32", options.against_fp32)) if given]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self) -> dict[str, Any]:
        """What it says of its next step."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):  # Lightning has words of its own
                told: dict[str, Any] = json.loads(line)
                return told
        sys.exit("one of the two has failed: its error is above")

    def end(self) -> int:
        """The most memory it held, bytes."""
        most = int(self.step()["memory"])
        self.process.kill()
        self.process.wait()
        return most


def asked() -> Iterator[None]:
    """Once for each line of standard input."""
    for _ in sys.stdin:
        yield


def tell(seconds: float, losses: list[float], flop: int, device: torch.device) -> None:
    """Answer."""
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else most_memory()
    say(json.dumps({"seconds": seconds, "losses": losses, "flop": flop, "memory": memory}))


class Turns(IterableDataset[Batch]):
    """Hands one batch to Lightning whenever a step is asked for."""

    def __init__(self, audio: Tensor, module: CodecTraining) -> None:
        self.audio, self.module = audio, module

    def __iter__(self) -> Iterator[Batch]:
        batch, device = Batch(self.audio, ()), self.audio.device
        yield batch  # Lightning asks one batch ahead: a step is made when the next batch has been asked for
        for turn, _ in enumerate(asked()):
            counter = FlopCounterMode(display=False)
            with counter if turn < WARM else nullcontext():
                clock = Clock(device)
                yield batch
                seconds = clock.stop()
            self.flop = counter.get_total_flops() if turn < WARM else self.flop
            figures = self.module.figures
            judged = sum(float(value) for name, value in figures.items() if name.startswith("adversary/"))
            tell(seconds, [judged, *(float(figures[f"loss/{name}"]) for name in WEIGHTS)], self.flop, device)


def work(options: argparse.Namespace, device: torch.device) -> None:
    """One of the two, in its own process."""
    (size,) = options.size
    first, last = SIZES[size]
    audio = 0.1 * torch.randn(options.batch, 1, SAMPLES, device=device)
    config = compose_config(overrides(first, last, options, device), None)
    module = build(config["training"], "training").to(device)
    module.codec(audio)  # codebooks begin
    if options.arm == "ours":
        with tempfile.TemporaryDirectory() as folder:
            trainer = build(config["trainer"], "trainer").trainer([], [], 10**6, folder)
            trainer.fit(module, DataLoader(Turns(audio, module), batch_size=None))
        return
    shortened = options.bf16 and not options.against_fp32
    dac = DacStep(first, last, device, torch.bfloat16 if shortened else torch.float32)
    dac.take_over(module)
    del module
    for _ in asked():
        clock = Clock(device)
        dac(audio)
        tell(clock.stop(), [float(dac.losses[name]) for name in ("judged", *WEIGHTS)], 0, device)


def overrides(first: int, last: int, options: argparse.Namespace, device: torch.device) -> list[str]:
    """DAC's configuration at a size."""
    widths = [first * 2**k for k in range(5)]
    return [
        "experiment=dac_16k",
        f"trainer={'gpu' if device.type == 'cuda' else 'cpu'}",
        "trainer.tf32=false",
        f"trainer.precision={'bf16-mixed' if options.bf16 else '32-true'}",
        "training.accumulate=1",
        "quantizer_dropout=none",  # what it draws differs
        "callback=[]",
        f"encoder.channels={widths}",
        f"encoder.dim={widths[-1]}",
        f"decoder.channels={[last // 2**k for k in range(4, -1, -1)]}",
        *options.overrides,
    ]


def convolutions(device: torch.device, bf16: bool) -> float:
    """GFLOP a second of a convolution that suits the machine: 256 channels, kernel 7, forward and backward."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    layer = torch.nn.Conv1d(256, 256, 7, padding=3, device=device, dtype=dtype)
    x = torch.randn(4, 256, 3040, device=device, dtype=dtype, requires_grad=True)
    spent = in_turns({"": lambda: layer(x).sum().backward()}, 5, device)[""]
    return 3 * 2 * x.numel() * 256 * 7 / min(spent) / 1e9


def main() -> None:
    """Compare at each size."""
    options = parser(__doc__, rounds=8)
    options.add_argument("--size", choices=SIZES, action="append", help="which networks (default: all)")
    options.add_argument("--batch", type=int, help="crops of 0.38 s (default 2, 4, 1 by size)")
    options.add_argument("--bf16", action="store_true", help="both in bfloat16, as DAC's script asks for on a GPU")
    options.add_argument("--against-fp32", action="store_true", help="with --bf16: DAC's in float32")
    options.add_argument("overrides", nargs="*", help="of our configuration, for example trainer.compile=true")
    options.add_argument("--arm", choices=["ours", "dac"], help=argparse.SUPPRESS)
    given = options.parse_args()
    quiet()
    warnings.filterwarnings("ignore")
    device = settle(given.device)
    if given.arm:
        work(given, device)
        return
    rows = [compare(size, given, device) for size in given.size or SIZES]
    write("step_bf16" if given.bf16 else "step", rows, device)


if __name__ == "__main__":
    main()
