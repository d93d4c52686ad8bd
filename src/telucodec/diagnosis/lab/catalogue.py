"""All experiments of the laboratory, in the order in which they are told."""

from collections.abc import Callable

from telucodec.diagnosis.lab import (
    adam,
    decoder,
    draw_level,
    draw_training,
    level,
    losses,
    quantizer,
    rate,
    scale,
)
from telucodec.diagnosis.lab.experiment import Experiment
from telucodec.diagnosis.lab.picture import Draw

# key -> what measures (from a seed), and what draws
EXPERIMENTS: dict[str, tuple[Callable[[int], Experiment], Draw]] = {
    "i1": (level.decomposition, draw_level.decomposition),
    "i2": (level.loss_bound, draw_level.loss_bound),
    "i3": (losses.gain_optimum, draw_level.gain_optimum),
    "i4": (scale.scale_slope, draw_level.scale_slope),
    "i5": (adam.adam_walks, draw_training.adam_walks),
    "i6": (scale.rms_slopes, draw_level.rms_slopes),
    "i7": (quantizer.straight_through, draw_training.straight_through),
    "i8": (quantizer.ema_evidence, draw_training.ema_evidence),
    "i9": (decoder.decoder_gradients, draw_training.decoder_gradients),
    "i10": (losses.mixtures, draw_level.mixtures),
    "rate": (rate.rate_bound, draw_training.rate_bound),
}
