"""Experiments on quantizers: the gradient's gain through them (I7), and what an EMA codebook learns from (I8)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.signals import seeded, step_of
from telucodec.losses.quantizer import CodebookLoss
from telucodec.quantization.codebook import Codebook, EMACodebook, EMAGradientCodebook
from telucodec.quantization.dropout import KeepAll
from telucodec.quantization.evidence import Chosen, Residual
from telucodec.quantization.gradient import Chained, Detached, PerStep, PerStepAttached, StraightThrough
from telucodec.quantization.initial import Normal
from telucodec.quantization.ranks import OwnRank
from telucodec.quantization.residual import ResidualVQ
from telucodec.quantization.restart import NoRestart

# policy -> the gain through n codebooks: n, 1, or 0 where nothing passes
POLICIES: dict[str, tuple[StraightThrough, Callable[[int], float]]] = {
    "around each codebook": (PerStep(), lambda n: identities.straight_through_gain(n, True)),
    "the same, not detached": (PerStepAttached(), lambda n: identities.straight_through_gain(n, True)),
    "around all codebooks": (StraightThrough(), lambda n: identities.straight_through_gain(n, False)),
    "chained": (Chained(), lambda n: identities.straight_through_gain(n, False)),
    "nowhere": (Detached(), lambda n: 0.0),
}
MOST = 8  # codebooks
DIM, SIZE, FRAMES = 4, 16, 512
UPDATES = 300
DECAY = 0.99


def begun(book: Callable[..., Codebook], n_q: int, gradient: StraightThrough, seen: Tensor, seed: int) -> ResidualVQ:
    """A residual quantizer whose codebooks have begun with these frames.

    Args:
        book: builds one codebook from `dim`, `decay`, `restart` and `ranks`.
        n_q: number of codebooks.
        gradient: how the decoder's gradient crosses it.
        seen: frames [1, D, F].
        seed: of what the codebooks draw.
    """
    made = partial(book, decay=DECAY, restart=NoRestart(), ranks=OwnRank())
    quantizer = ResidualVQ(
        dim=seen.shape[1], n_q=n_q, codebook=made, gradient=gradient, dropout=KeepAll(), updates_per_step=1
    )
    with seeded(seed), torch.no_grad():
        quantizer(seen)
    return quantizer


def small(n_q: int, gradient: StraightThrough, ema_input: Residual | Chosen, seed: int) -> ResidualVQ:
    """One of width 4, whose EMA codebooks of 16 codewords begin as normal noise."""
    book = partial(EMACodebook, ema_input=ema_input, codebook_size=SIZE, initial=Normal(std=1.0))
    return begun(book, n_q, gradient, frames(seed), seed)


def straight_through(seed: int) -> Experiment:
    """I7: the Jacobian of the latent to the encoder's output is a multiple of the identity, 1 or N."""
    numbers = range(1, MOST + 1)
    frame = frames(seed)[:, :, :1]
    found = {
        name: [_jacobian(small(n, p, Residual(), seed), frame) for n in numbers] for name, (p, _) in POLICIES.items()
    }
    told = {name: [gain(n) * torch.eye(DIM) for n in numbers] for name, (_, gain) in POLICIES.items()}
    checks = tuple(
        compare(f"Jacobian, straight through {name}", _flat(told[name]), _flat(found[name]), 1e-5) for name in POLICIES
    )
    gains = {name: [float(jacobian.diagonal().mean()) for jacobian in found[name]] for name in POLICIES}
    data = {"codebooks": list(numbers), "gain": gains}
    return Experiment("i7", "Gain of the gradient through a quantizer", "d latent / d encoded = 1 or N", checks, data)


def ema_evidence(seed: int) -> Experiment:
    """I8: an EMA codebook is descent on the codebook loss; fed its own codewords it stands still."""
    fed = {"its inputs": _updates(Residual(), seed), "its own codewords": _updates(Chosen(), seed)}
    moved, error = ({name: curves[k] for name, curves in fed.items()} for k in (0, 1))
    ema, descent = _one_update(seed)
    checks = (
        Check(
            "movement, fed its own codewords", 0.0, moved["its own codewords"][-1], 1e-4
        ),  # rounding of 300 float32 updates
        Check("error left, fed its own codewords", error["its own codewords"][0], error["its own codewords"][-1], 1e-4),
        Check("error left, fed its inputs", 0.9 * error["its inputs"][0], error["its inputs"][-1], 0, "<="),
        Check("movement, fed its inputs", 0.1, moved["its inputs"][-1], 0, ">="),
        Check("gradient of the codebook loss at EMA codewords", 0.0, _codebook_gradient(seed), 0),
        compare("one update, against descent on that loss", descent.tolist(), ema.tolist(), 2e-6),
    )
    data = {"update": list(range(UPDATES + 1)), "movement": moved, "error": error}
    return Experiment("i8", "What an EMA codebook learns from", "c <- (1 - decay) mean + decay c", checks, data)


def frames(seed: int) -> Tensor:
    """Latent frames with a mean of their own, [1, D, F]."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + torch.randn(1, DIM, FRAMES, generator=generator)


def _jacobian(quantizer: ResidualVQ, frame: Tensor) -> Tensor:
    found: Tensor = torch.autograd.functional.jacobian(lambda v: quantizer(v).latent.flatten(), frame)  # type: ignore[no-untyped-call]
    return found.view(DIM, DIM)


def _flat(matrices: list[Tensor]) -> list[float]:
    values: list[float] = torch.stack(matrices).flatten().tolist()
    return values


@torch.no_grad()
def _updates(evidence: Residual | Chosen, seed: int) -> tuple[list[float], list[float]]:
    """Movement of a codebook over its size, and squared error over the frames' variance, after 0, 1, 2 ... updates."""
    quantizer, seen = small(1, StraightThrough(), evidence, seed), frames(seed)
    (book,) = quantizer.books
    assert isinstance(book, EMACodebook)
    start, variance = book.codewords.clone(), seen.var(dim=2).mean()
    moved, error = [0.0], []
    for _ in range(UPDATES):
        quantized = quantizer(seen)
        error.append(float((quantized.latent - seen).square().mean() / variance))
        quantizer.update([quantized])
        moved.append(float((book.codewords - start).norm() / start.norm()))
    return moved, [*error, float((quantizer(seen).latent - seen).square().mean() / variance)]


def _codebook_gradient(seed: int) -> float:
    """Norm of what the codebook loss sends to encoder and codewords of an EMA quantizer."""
    quantizer, encoded = small(2, StraightThrough(), Residual(), seed), frames(seed).requires_grad_()
    value = CodebookLoss(weight=1.0, start=0, reduce="mean")(step_of(encoded, encoded, quantizer(encoded)))
    reached = [encoded, *quantizer.parameters()]
    if not value.requires_grad:
        return 0.0
    found = torch.autograd.grad(value, reached, allow_unused=True)
    return float(sum(g.norm() for g in found if g is not None))


def _one_update(seed: int) -> tuple[Tensor, Tensor]:
    """How far an EMA update moves each codeword, and how far descent with its learning rate would.

    Of the mean over M frames and D components, with a codeword chosen n times: (1 - decay) M D / (2 n).
    """
    own = partial(EMAGradientCodebook, ema_input=Residual(), codebook_size=SIZE, initial=Normal(std=1.0))
    seen = frames(seed)
    quantizer = begun(own, 1, StraightThrough(), seen, seed)
    (book,) = quantizer.books
    assert isinstance(book, EMAGradientCodebook)
    quantized = quantizer(seen)
    counts = torch.bincount(quantized.codes.flatten(), minlength=SIZE).float()
    book.counts.copy_(counts)  # as often as ever
    loss = CodebookLoss(weight=1.0, start=0, reduce="mean")(step_of(seen, seen, quantized))
    (gradient,) = torch.autograd.grad(loss, book.codewords)
    before = book.codewords.detach().clone()
    quantizer.update([quantized])
    rates = (1 - DECAY) * FRAMES * DIM / (2 * counts.clamp(min=1))
    return (book.codewords.detach() - before).flatten(), (-rates[:, None] * gradient).flatten()
