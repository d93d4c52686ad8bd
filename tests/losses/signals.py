"""Steps made of signals alone."""

import math

import torch

from telucodec.records import Quantized, Step

ON = {"weight": 1.0, "start": 0}


def never(audio):
    raise AssertionError("the adversary was asked")


def step_of(target, audio, semantic=None):
    encoded = torch.zeros(1, 2, 3)
    return Step(0, target, audio, encoded, Quantized(encoded, encoded[:, :0].long(), (), semantic), never)


def tone(amplitude=0.5, hertz=440.0, samples=16000):
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(samples) / 16000)[None, None]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def related(rho, samples=60_000):
    """Target and output of unit variance and correlation rho, [1, 1, T] each."""
    y, other = noise(2, 1, 1, samples).unbind()
    return y, rho * y + math.sqrt(1 - rho**2) * other


def best_gain(term, rho):
    y, x = related(rho)
    gains = torch.linspace(0.02, 1.2, 60)
    values = [term(step_of(y, gain * x)).item() for gain in gains]
    return gains[values.index(min(values))].item()
