"""One training step of residual vector quantizers: forward, backward, and the running means where there are any.

    python benchmarks/quantizers.py
    python benchmarks/quantizers.py --size "D128 Q8 T150" --rounds 20

Ours, straight through once (`quantizer=encodec`) and chained (`gradient=chained`, encodec's own formula), stand beside
the cores of encodec 0.1.1 and vector-quantize-pytorch; ours of `quantizer=dac` beside descript-audio-codec's. All begin
from the same codewords, averages and projections, move no dead codeword, and hear the same 16 items. Codes must be
equal but for 1e-4 of the choices, where two codewords are as near as rounding tells (what follows from such a choice
is not counted); elsewhere the outputs must agree to 1e-5 and the codewords after the step to 1e-4 before anything is
timed. Gradients are not compared: encodec's commitment loss does not reach the encoder through the chain. The most
memory that two steps take is measured in a fresh process each, after a small step of the same kind, which loads what
the libraries load late, with freed memory given back at once: else it tells what the C library had kept before.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from dac.nn.quantize import ResidualVectorQuantize
from encodec.quantization.core_vq import ResidualVectorQuantization
from pairs import in_turns, parser, ratio, same, say, settle, write
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualVQ

from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.losses.quantizer import distance
from telucodec.quantization.codebook import Codebook, EMACodebook

SIZES = {  # width D, codebooks Q, frames T of an item; the share of --rounds
    "D128 Q8 T50": (128, 8, 50, 1.0),
    "D128 Q8 T150": (128, 8, 150, 1.0),
    "D128 Q32 T150": (128, 32, 150, 0.5),
    "D512 Q8 T150": (512, 8, 150, 0.5),
    "D512 Q32 T150": (512, 32, 150, 0.3),
}
ITEMS, WORDS, NARROW = 16, 1024, 8
COMMITMENT = 0.25


class Given:
    """What all start from: latents [B, D, T], their gradient, codewords and how often each was chosen."""

    def __init__(self, items: int, width: int, books: int, frames: int, device: torch.device) -> None:
        torch.manual_seed(0)
        self.width, self.books = width, books
        self.encoded = torch.randn(items, width, frames).to(device).requires_grad_()
        self.gradient = torch.randn(items, width, frames).to(device)
        scales = 0.95 ** torch.arange(books)[:, None, None]
        self.words = (torch.randn(books, WORDS, width) * scales / 2).to(device)
        self.counts = (torch.rand(books, WORDS) + 1).to(device)
        self.device = device


class Ours:
    """Our quantizer, as the training step calls it."""

    overrides = ("quantizer=encodec", "restart=none", "initial=normal")

    def __init__(self, given: Given) -> None:
        sizes = (f"encoder.dim={given.width}", f"quantizer.n_q={given.books}", "quantizer_dropout=none")
        sizes += (f"quantizer.codebook.codebook_size={WORDS}",)
        config = compose_config([*self.overrides, *sizes], None)
        self.core = build(config["training"]["codec"]["quantizer"], "quantizer").to(given.device).train()
        self.books: list[Any] = [book for book in self.core.modules() if isinstance(book, Codebook)]
        for k, book in enumerate(self.books):
            book.ready.fill_(True)
            if isinstance(book, EMACodebook):
                book.codewords.copy_(given.words[k])
                book.counts.copy_(given.counts[k])
                book.sums.copy_(given.words[k] * given.counts[k][:, None])
        self.given = given

    def __call__(self) -> tuple[Tensor, Tensor]:
        quantized = self.core(self.given.encoded)
        pulled = sum(distance(stage.wanted, stage.chosen.detach(), None) for stage in quantized.stages)
        finish(self.given, quantized.latent, COMMITMENT * pulled)
        self.core.update([quantized])
        return quantized.codes, quantized.latent.detach()

    def codewords(self) -> Tensor:
        """[K, N, D]."""
        return torch.stack([book.codewords.detach() for book in self.books])


class OursChained(Ours):
    """Ours with encodec's way for the gradient."""

    overrides = (*Ours.overrides, "gradient=chained")


class Encodec:
    """EnCodec's core, without k-means and dead codes."""

    def __init__(self, given: Given) -> None:
        self.core = ResidualVectorQuantization(
            num_quantizers=given.books,
            dim=given.width,
            codebook_size=WORDS,
            decay=0.99,
            kmeans_init=False,
            threshold_ema_dead_code=0,
            commitment_weight=COMMITMENT,
        ).to(given.device)
        self.books = [layer._codebook for layer in self.core.layers]
        for k, book in enumerate(self.books):
            book.embed.copy_(given.words[k])
            book.cluster_size.copy_(given.counts[k])
            book.embed_avg.copy_(given.words[k] * given.counts[k][:, None])
        self.given = given

    def __call__(self) -> tuple[Tensor, Tensor]:
        latent, codes, pulled = self.core(self.given.encoded)
        finish(self.given, latent, pulled.sum())
        return codes.transpose(0, 1), latent.detach()

    def codewords(self) -> Tensor:
        """[K, N, D]."""
        return torch.stack([book.embed for book in self.books])


class Vqpt:
    """vector-quantize-pytorch's, with running means and the plain straight-through gradient."""

    def __init__(self, given: Given) -> None:
        self.core = ResidualVQ(
            dim=given.width,
            num_quantizers=given.books,
            codebook_size=WORDS,
            decay=0.99,
            rotation_trick=False,
            threshold_ema_dead_code=0,
            commitment_weight=COMMITMENT,
        ).to(given.device)
        self.books = [layer._codebook for layer in self.core.layers]
        for k, book in enumerate(self.books):
            book.embed[0].copy_(given.words[k])
            book.cluster_size[0].copy_(given.counts[k])
            book.embed_avg[0].copy_(given.words[k] * given.counts[k][:, None])
        self.given = given

    def __call__(self) -> tuple[Tensor, Tensor]:
        latent, codes, pulled = self.core(self.given.encoded.transpose(1, 2))
        finish(self.given, latent.transpose(1, 2), pulled.sum())
        return codes.movedim(-1, 1), latent.detach().transpose(1, 2)

    def codewords(self) -> Tensor:
        """[K, N, D]."""
        return torch.stack([book.embed[0] for book in self.books])


class OursDac(Ours):
    """Our quantizer of DAC, with its two losses."""

    overrides = ("quantizer=dac", f"quantizer.codebook.codebook_dim={NARROW}")

    def __init__(self, given: Given) -> None:
        torch.manual_seed(1)  # the projections are drawn here
        super().__init__(given)
        with torch.no_grad():
            for k, book in enumerate(self.books):
                book.codewords.copy_(given.words[k, :, :NARROW])

    def __call__(self) -> tuple[Tensor, Tensor]:
        self.core.zero_grad()
        quantized = self.core(self.given.encoded)
        lost = [
            distance(stage.wanted, stage.chosen.detach(), None) * COMMITMENT
            + distance(stage.chosen, stage.wanted.detach(), None)
            for stage in quantized.stages
        ]
        finish(self.given, quantized.latent, sum(lost))
        self.core.update([quantized])
        return quantized.codes, quantized.latent.detach()


class Dac:
    """Descript-audio-codec's, on our projections."""

    def __init__(self, given: Given) -> None:
        self.core = ResidualVectorQuantize(given.width, given.books, WORDS, NARROW).to(given.device)
        ours = OursDac(given)
        with torch.no_grad():
            for a, b in zip(_convolutions(ours.core), _convolutions(self.core), strict=True):
                b.weight_g.copy_(a.parametrizations.weight.original0)
                b.weight_v.copy_(a.parametrizations.weight.original1)
                b.bias.copy_(a.bias)
            for book, quantizer in zip(ours.books, self.core.quantizers, strict=True):
                quantizer.codebook.weight.copy_(book.codewords)
        self.given = given

    def __call__(self) -> tuple[Tensor, Tensor]:
        self.core.zero_grad()
        latent, codes, _, commitment, codebook = self.core(self.given.encoded)
        finish(self.given, latent, COMMITMENT * commitment + codebook)
        return codes, latent.detach()

    def codewords(self) -> Tensor:
        """[K, N, D]."""
        return torch.stack([each.codebook.weight.detach() for each in self.core.quantizers])


WAYS: Mapping[str, Callable[[Given], Any]] = {
    "ours": Ours,
    "chained": OursChained,
    "encodec": Encodec,
    "vqpt": Vqpt,
    "ours_dac": OursDac,
    "dac": Dac,
}
PAIRS = [("ours", "encodec"), ("ours", "vqpt"), ("chained", "encodec"), ("ours_dac", "dac")]


def finish(given: Given, latent: Tensor, lost: Any) -> None:
    """The backward pass, with the gradient that a decoder would send."""
    given.encoded.grad = None
    ((latent * given.gradient).sum() + lost).backward()


def agree(what: str, ours: tuple[Tensor, Tensor, Tensor], theirs: tuple[Tensor, Tensor, Tensor]) -> float:
    """Hold codes, output and codewords of a step against each other; returns the share of codes that are equal."""
    (a, latent, words), (b, other, others) = ours, theirs
    share = float((a == b).double().mean())
    astray = (a != b).cumsum(1) > 0  # a frame that chose another codeword goes its own way from there on
    if int(astray[:, -1].sum()) > 1e-4 * a.numel():
        sys.exit(f"{what}: only {share:.6f} of the codes are equal")
    kept = ~astray[:, -1:]
    same(f"{what}: the output", [1 + _apart(latent * kept, other * kept)], [1], 1e-5)
    for k in range(a.shape[1]):
        met = torch.cat([each[:, k][astray[:, k]] for each in (a, b)])
        clean = torch.ones(len(words[k]), 1, device=words.device).index_fill_(0, met, 0)
        same(f"{what}: codebook {k}", [1 + _apart(words[k] * clean, others[k] * clean)], [1], 1e-4)
    return share


def compare(size: str, rounds: int, device: torch.device) -> dict[str, Any]:
    """Time all at one size, and say what came of it."""
    width, books, frames, part = SIZES[size]
    given = Given(ITEMS, width, books, frames, device)
    made = {name: kind(given) for name, kind in WAYS.items()}
    first = {name: (*way(), way.codewords()) for name, way in made.items()}
    row: dict[str, Any] = {"size": size, "items": ITEMS, "codewords": WORDS}
    shares = {f"{own}_{other}": agree(f"{size}, {own} and {other}", first[own], first[other]) for own, other in PAIRS}
    del first
    spent = in_turns(made, max(3, round(part * rounds)), device)
    row |= {"seconds": {name: statistics.median(each) for name, each in spent.items()}, "equal_codes": shares}
    row["memory"] = {name: int(arm(name, size, device)) for name in WAYS}
    for own, other in PAIRS:
        row[f"{own}_{other}"] = ratio(spent[other], spent[own])
        less = row["memory"][own] / row["memory"][other]
        row[f"memory_{own}_{other}"] = less
        equal = shares[f"{own}_{other}"]
        say(f"{size:>14} {own:>8}: {row[f'{own}_{other}']} times as fast as {other}, {less:.2f} x its memory ({equal})")
    milliseconds = ", ".join(f"{name} {1000 * each:.0f}" for name, each in row["seconds"].items())
    say(f"{'':>14} ms: {milliseconds}; MiB: " + ", ".join(f"{n} {m / 2**20:.0f}" for n, m in row["memory"].items()))
    return row


def arm(name: str, size: str, device: torch.device) -> str:
    """What a fresh process says of the memory of two steps, bytes."""
    words = [sys.executable, __file__, f"--arm={name}", f"--size={size}", f"--device={device}"]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}  # freed is given back
    told = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
    return str(json.loads(told.splitlines()[-1])["memory"])


def hold(name: str, size: str, device: torch.device) -> None:
    """Two steps in this process, and the most memory that they added."""
    width, books, frames, _ = SIZES[size]
    WAYS[name](Given(2, 16, 2, 8, device))()
    way = WAYS[name](Given(ITEMS, width, books, frames, device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
    before = peak(device)
    for _ in range(2):
        way()
    say(json.dumps({"memory": peak(device) - before}))


def peak(device: torch.device) -> int:
    """The most memory this process has held, bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def _convolutions(module: nn.Module) -> list[Any]:
    return [each for each in module.modules() if isinstance(each, nn.Conv1d)]


def main() -> None:
    """Compare at each size."""
    options = parser(__doc__, rounds=12)
    options.add_argument("--size", choices=SIZES, action="append", help="which (default: all)")
    options.add_argument("--arm", choices=WAYS, help=argparse.SUPPRESS)
    given = options.parse_args()
    device = settle(given.device)
    if given.arm:
        hold(given.arm, given.size[0], device)
        return
    rows = [compare(size, given.rounds, device) for size in given.size or SIZES]
    write("quantizers", rows, device)


if __name__ == "__main__":
    main()
