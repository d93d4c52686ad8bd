"""Signals of chosen correlation, loudness and offset."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from telucodec.errors import above, at_least
from telucodec.records import Quantized, Step, Verdict

MEAN_RMS = 0.1  # of a batch's items on the decibel scale, full scale = 1: -20 dBFS


def pair(rho: float, rms_ratio: float, offset: float, samples: int, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    """A target and an output with exactly these figures, Gaussian but for that.

    Args:
        rho: their correlation, in [-1, 1].
        rms_ratio: output over target, both about their mean, >= 0.
        offset: mean of output minus target over sigma; the target's mean is 0.
        samples: number of samples T, >= 3.
        sigma: RMS of the target, full scale = 1, > 0.
        seed: of the noise that both are made of.

    Returns:
        Target and output, [T] of float64; the figures hold to its rounding.

    Raises:
        ValueError: a value is outside its range; the message names it.

    >>> target, output = pair(0.3, 0.5, 0.0, 100, 0.16, 0)
    >>> round(float(target.std(correction=0)), 9), round(float((target @ output) / (target @ target)), 9)
    (0.16, 0.15)
    """
    above(0, sigma=sigma)
    _check(rho, rms_ratio, offset, samples)
    return _made(rho, rms_ratio, offset, samples, sigma, torch.Generator().manual_seed(seed))


def batch(
    items: int, rho: float, rms_ratio: float, offset: float, loudness_spread_db: float, samples: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Pairs as `pair` makes them, in steps of equal decibels from the quietest item to the loudest, around -20 dBFS.

    Args:
        items: number of pairs B, >= 1.
        rho: correlation of each pair, in [-1, 1].
        rms_ratio: output over target of each pair, >= 0.
        offset: of each pair, over its target's RMS.
        loudness_spread_db: loudest over quietest target, >= 0; 0 makes all alike.
        samples: number of samples T, >= 3.
        seed: of the noise.

    Returns:
        Targets and outputs, [B, 1, T] of float64.

    Raises:
        ValueError: a value is outside its range; the message names it.

    >>> targets, outputs = batch(3, 0.5, 0.8, 0.0, 12.0, 50, 0)
    >>> [round(20 * math.log10(float(y.std(correction=0))), 6) for y in targets]
    [-26.0, -20.0, -14.0]
    """
    at_least(1, items=items)
    at_least(0, loudness_spread_db=loudness_spread_db)
    _check(rho, rms_ratio, offset, samples)
    generator = torch.Generator().manual_seed(seed)
    levels = (
        torch.linspace(-0.5, 0.5, items, dtype=torch.float64).mul(loudness_spread_db).tolist() if items > 1 else [0.0]
    )
    pairs = [_made(rho, rms_ratio, offset, samples, MEAN_RMS * 10 ** (level / 20), generator) for level in levels]
    targets, outputs = (torch.stack(list(signals))[:, None] for signals in zip(*pairs, strict=True))
    return targets, outputs


def step_of(target: Tensor, audio: Tensor, quantized: Quantized | None = None) -> Step:
    """What a loss reads of two signals [B, C, T]; without an adversary, and without a latent if none is given."""
    latent = torch.zeros(len(target), 1, 1)
    return Step(0, target, audio, latent, quantized or Quantized(latent, latent[:, :0].long()), _unasked)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While it lasts, torch's own random numbers follow from the seed; then they go on as if nothing had been."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _check(rho: float, rms_ratio: float, offset: float, samples: int) -> None:
    if not -1 <= rho <= 1:
        raise ValueError(f"rho must be in [-1, 1], got {rho}")
    at_least(0, rms_ratio=rms_ratio)
    at_least(-math.inf, offset=offset)
    at_least(3, samples=samples)


def _made(
    rho: float, rms_ratio: float, offset: float, samples: int, sigma: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    y, other = torch.randn(2, samples, generator=generator, dtype=torch.float64).unbind()
    y, other = _unit(y - y.mean()), other - other.mean()
    for _ in range(2):  # what rounding leaves of the first time is gone after the second
        other = _unit(other - (other @ y) / samples * y)
    shape = rho * y + math.sqrt(1 - rho**2) * other
    return sigma * y, sigma * (rms_ratio * shape + offset)


def _unit(signal: Tensor) -> Tensor:
    return signal / signal.square().mean().sqrt()


def _unasked(audio: Tensor) -> Verdict:
    raise AssertionError("these signals have no adversary")
