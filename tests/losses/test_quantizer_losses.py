from functools import partial

import pytest
import torch
from torch.nn import functional as F

from telucodec.losses.quantizer import CodebookLoss, Commitment
from telucodec.quantization.codebook import EMACodebook, GradientCodebook
from telucodec.quantization.dropout import KeepAll
from telucodec.quantization.evidence import Residual
from telucodec.quantization.gradient import StraightThrough
from telucodec.quantization.initial import KMeans
from telucodec.quantization.ranks import OwnRank
from telucodec.quantization.residual import ResidualVQ
from telucodec.quantization.restart import NoRestart
from telucodec.records import Quantized, Stage, Step


def term(kind, reduce="mean"):
    return kind(weight=1.0, start=0, reduce=reduce)


def step(*stages, quantized=None, audio=None):
    quantized = quantized or Quantized(torch.zeros(1, 1, 1), torch.zeros(1, 0, 1).long(), stages)
    audio = torch.zeros(1, 1, 1) if audio is None else audio
    return Step(0, audio, audio, torch.zeros(1, 1, 1), quantized, lambda audio: None)


def stage(wanted, chosen, kept=None):
    make = partial(torch.tensor, requires_grad=True)
    return Stage(make(wanted), make(chosen), torch.zeros(1, 1).long(), kept)


def rvq(kind, **given):
    slots = {"decay": 0.9, "initial": KMeans(iterations=2), "restart": NoRestart(), "ranks": OwnRank()} | given
    book = partial(kind, codebook_size=8, **slots)
    return ResidualVQ(dim=4, n_q=3, codebook=book, gradient=StraightThrough(), dropout=KeepAll(), updates_per_step=1)


@pytest.mark.parametrize(("kind", "through"), [(Commitment, "encoded"), (CodebookLoss, "codebook")])
def test_values_by_hand(kind, through):
    """Codebook 1: errors 2 and 0, mean square 2; codebook 2: 4 and 2, mean square 10."""
    stages = stage([[[3.0, 1.0]]], [[[1.0, 1.0]]]), stage([[[4.0, 0.0]]], [[[0.0, 2.0]]])
    assert term(kind)(step(*stages)).item() == 6.0
    assert term(kind, "sum")(step(*stages)).item() == 12.0
    assert term(kind)(step()).item() == 0
    assert term(kind, "sum")(step()).item() == 0
    assert kind.through == through


def test_who_moves():
    """d/dx of (x - y)^2 at 3, 1 is 4, and it goes to one of the two."""
    one = stage([[[3.0]]], [[[1.0]]])
    term(Commitment)(step(one)).backward()
    assert (one.wanted.grad.item(), one.chosen.grad) == (4.0, None)
    one = stage([[[3.0]]], [[[1.0]]])
    term(CodebookLoss)(step(one)).backward()
    assert (one.wanted.grad, one.chosen.grad.item()) == (None, -4.0)


@pytest.mark.parametrize("kind", [Commitment, CodebookLoss])
def test_dropped_items_count_as_nothing(kind):
    """Items with mean square 4 and 16; without the second the mean over both is 2."""
    wanted, chosen = [[[2.0, 2.0]], [[4.0, 4.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]
    assert term(kind)(step(stage(wanted, chosen))).item() == 10.0
    assert term(kind)(step(stage(wanted, chosen, torch.tensor([1.0, 1.0])))).item() == 10.0
    dropped = stage(wanted, chosen, torch.tensor([1.0, 0.0]))
    value = term(kind)(step(dropped))
    assert value.item() == 2.0
    value.backward()
    moved = dropped.wanted if kind is Commitment else dropped.chosen
    assert moved.grad[0].abs().sum() > 0
    assert not moved.grad[1].any()


@pytest.mark.parametrize("kind", [Commitment, CodebookLoss])
def test_sum_is_n_q_times_the_mean(kind):
    torch.manual_seed(0)
    quantized = rvq(GradientCodebook)(torch.randn(2, 4, 30))
    mean, total = (term(kind, reduce)(step(quantized=quantized)) for reduce in ("mean", "sum"))
    assert total.item() == pytest.approx(3 * mean.item())


def test_the_default_value_is_torchs_mse_to_the_last_bit():
    torch.manual_seed(0)
    stages = rvq(GradientCodebook)(torch.randn(2, 4, 30)).stages
    commitment = torch.stack([F.mse_loss(s.wanted, s.chosen) for s in stages]).mean()
    codebook = torch.stack([F.mse_loss(s.chosen, s.wanted) for s in stages]).mean()
    assert torch.equal(term(Commitment)(step(*stages)), commitment)
    assert torch.equal(term(CodebookLoss)(step(*stages)), codebook)


def test_codebook_loss_moves_no_running_means_and_does_not_break_the_backward_pass():
    torch.manual_seed(0)
    q, x = rvq(EMACodebook, ema_input=Residual()), torch.randn(2, 4, 30, requires_grad=True)
    now = step(quantized=q(x))
    alone = term(Commitment)(now)
    value = term(CodebookLoss)(now)
    assert value.item() > 0
    assert not value.requires_grad
    (want,) = torch.autograd.grad(alone, x, retain_graph=True)
    (alone + value).backward()
    assert torch.equal(x.grad, want)
    assert list(q.parameters()) == []


def test_codebook_loss_moves_codewords_and_nothing_else():
    torch.manual_seed(0)
    q, x = rvq(GradientCodebook), torch.randn(2, 4, 30, requires_grad=True)
    term(CodebookLoss)(step(quantized=q(x))).backward()
    assert x.grad is None
    assert all(book.codewords.grad.abs().sum() > 0 for book in q.books)


@pytest.mark.parametrize("kind", [Commitment, CodebookLoss])
def test_quantizer_losses_never_reach_the_decoder(kind):
    torch.manual_seed(0)
    encoder, q, decoder = torch.nn.Conv1d(1, 4, 1), rvq(GradientCodebook), torch.nn.Conv1d(4, 1, 1)
    quantized = q(encoder(torch.randn(2, 1, 30)))
    audio = decoder(quantized.latent)
    (term(kind)(step(quantized=quantized, audio=audio)) + 0 * audio.sum()).backward()
    assert not decoder.weight.grad.any()
    assert not decoder.bias.grad.any()
