"""Codecs whose output is known, to question."""

import math

import torch
from torch import nn

from telucodec.diagnosis.probe import Subject
from telucodec.losses.combine import WeightedSum
from telucodec.losses.term import Terms
from telucodec.records import Coded, Quantized


class Known(nn.Module):
    """A codec that answers crops by a function of them, and has nothing to learn."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.quantizer = answer, nn.Module()
        self.quantizer.begun = True

    def forward(self, audio):
        latent = audio[:, :, ::8]
        return Coded(self.answer(audio), latent, Quantized(latent, latent[:, :0].long()))


def pair(rho, rms_ratio, items=4, samples=8192, level=0.1):
    """Target and output [items, 1, samples], of exactly these figures over all samples, and of equally loud items."""
    generator = torch.Generator().manual_seed(3)
    y, other = torch.randn(2, items, samples, dtype=torch.float64, generator=generator)
    y = y - y.mean(1, keepdim=True)
    y = y / y.square().mean(1, keepdim=True).sqrt()
    other = other - other.mean(1, keepdim=True)
    other = other - (other * y).mean(1, keepdim=True) * y
    other = other / other.square().mean(1, keepdim=True).sqrt()
    x = rms_ratio * (rho * y + math.sqrt(1 - rho**2) * other)
    return (level * y)[:, None].float(), (level * x)[:, None].float()


def told(target, audio):
    """A codec that knows one batch: it gives `audio` for `target` and for the items of it."""
    return Known(lambda crops: torch.stack([audio[int((target == c).flatten(1).all(1).nonzero()[0])] for c in crops]))


def subject(codec, held, terms=None, adversary=None, index=0, trained=None, combine=None, ceilings=None):
    """What probes ask about, with no more than is given."""
    made = Terms(terms=terms, ceilings=ceilings or {}) if terms else nn.Module()
    trained = held if trained is None else trained
    return Subject(index, codec, adversary or nn.Module(), made, combine or WeightedSum(), held, trained)


def of(module, index, held, trained):
    """A training module's codec, adversary, terms and combine."""
    return Subject(index, module.codec, module.adversary, module.terms, module.combine, held, trained)
