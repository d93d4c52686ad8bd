"""Small codebooks and quantizers with every value given."""

from functools import partial

from telucodec.quantization.codebook import EMACodebook, GradientCodebook
from telucodec.quantization.dropout import KeepAll
from telucodec.quantization.evidence import Residual
from telucodec.quantization.gradient import StraightThrough
from telucodec.quantization.initial import KMeans
from telucodec.quantization.ranks import OwnRank
from telucodec.quantization.residual import ResidualVQ
from telucodec.quantization.restart import NoRestart


def slots(**given):
    return {"decay": 0.9, "initial": KMeans(iterations=10), "restart": NoRestart(), "ranks": OwnRank()} | given


def book(size=16, dim=4, kind=EMACodebook, **given):
    averaged = {"ema_input": Residual()} if issubclass(kind, EMACodebook) else {}
    return kind(codebook_size=size, dim=dim, **slots(**averaged) | given)


def learned(size=16, dim=4, **given):
    return book(size, dim, GradientCodebook, **given)


def rvq(n_q=3, gradient=None, make=book, dim=4, size=16, dropout=None, updates=1, **given):
    return ResidualVQ(
        dim=dim,
        n_q=n_q,
        codebook=partial(make, size=size, **given),
        gradient=gradient or StraightThrough(),
        dropout=dropout or KeepAll(),
        updates_per_step=updates,
    )


def filled(quantizer):
    """With random codewords, as if initialised."""
    for own in quantizer.books:
        own.codewords.data.normal_()
        own.ready.fill_(True)
    return quantizer


def flat(wanted):
    return wanted.detach().transpose(1, 2).flatten(0, 1)
