"""One word for what is wrong with a run, the figures that decided it, and what to change first."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Condition(NamedTuple):
    """A figure held against a limit."""

    figure: str  # key of the log
    than: Literal["<", ">"]
    limit: float

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Whether the figure is there and beyond the limit."""
        value = figures.get(self.figure, math.nan)
        return value < self.limit if self.than == "<" else value > self.limit


@dataclass(frozen=True)
class Rule:
    """A label, when it applies, and what follows."""

    label: str
    conditions: tuple[Condition, ...]  # all must hold
    means: str
    advice: str


@dataclass(frozen=True)
class Diagnosis:
    """What a validation's figures come to."""

    label: str
    because: tuple[tuple[Condition, float], ...]  # what decided it, with the measured values
    means: str
    advice: str  # what to change first
    also: tuple[str, ...]  # labels that apply too, but come later
    unexamined: tuple[str, ...]  # labels that could not be examined: their figures were not measured

    def sentence(self) -> str:
        """The label with its figures, for a line of text."""
        told = ", ".join(f"{c.figure} {value:.3g} {c.than} {c.limit:.3g}" for c, value in self.because)
        return f"{self.label}{f' ({told})' if told else ''}: {self.means}"

    def plain(self) -> dict[str, Any]:
        """As it is written to files."""
        because = [{"figure": c.figure, "value": value, "than": c.than, "limit": c.limit} for c, value in self.because]
        told = {"label": self.label, "because": because, "means": self.means, "advice": self.advice}
        return told | {"also": list(self.also), "unexamined": list(self.unexamined)}


RHO = "val/rho_pooled"
UNLEARNED = Condition(RHO, "<", 0.5)  # below it an output as loud as its target has an SNR under 0 dB (I1)
LESS_COMMITMENT = (
    "Lower the commitment weight: it outweighs the reconstruction at the encoder (gradient_share/encoded)."
)
NO_BATCHNORM = "Take BatchNorm out of the output stage (post_norm=none, or no post_net), or train on larger batches."
# the first that applies is the label: causes before what they cause
RULES = (
    Rule(
        "shape-not-learned",
        (UNLEARNED, Condition("step", "<", 1)),
        "nothing has been trained yet.",
        "Train.",
    ),
    Rule(
        "batchnorm-gap",
        (Condition("gap/batchnorm_rho", ">", 0.1),),
        "with the statistics of the batch the same crops come out far better than with the running ones.",
        NO_BATCHNORM,
    ),
    Rule(
        "batchnorm-gap",
        (Condition("gap/batchnorm_snr", ">", 3.0),),
        "with the statistics of the batch the same crops come out far better than with the running ones.",
        NO_BATCHNORM,
    ),
    Rule(
        "latent-collapse",
        (Condition("latent/spread", "<", 0.01), UNLEARNED),
        "the encoder says nearly the same whatever it hears.",
        LESS_COMMITMENT,
    ),
    Rule(
        "latent-collapse",
        (Condition("latent/rms", "<", 1e-4), UNLEARNED),
        "the encoder's output has shrunk to nothing.",
        LESS_COMMITMENT,
    ),
    Rule(
        "codebook-collapse",
        (Condition("codebook/bits_share", "<", 1 / 3),),
        "the codebooks carry less than a third of their bits: most frames get the same few codewords.",
        "Start the codewords from data (initial=kmeans) and restart dead ones (restart=relative); where both are so "
        "already, give it more steps, and look at latent/offset: a large constant part leaves little to tell apart.",
    ),
    Rule(
        "dc-offset",
        (Condition("val/dc_share_pooled", ">", 0.5),),
        "most of the noise is a constant offset.",
        "Take the offset out of the last convolution (ablation=[no_final_bias]), or add remove_mean to the output "
        "stage (output=[scale,remove_mean]).",
    ),
    Rule(
        "overfit",
        (Condition("gap/training_rho", ">", 0.1), Condition("gap/trained_rho", ">", 0.5)),
        "utterances that it was trained on come out far better than others.",
        "Get more recordings or speakers, or stop earlier: the validation's best step is in metrics.jsonl.",
    ),
    Rule(
        "shape-not-learned",
        (UNLEARNED, Condition("bypass/rho", ">", 0.5)),
        "the waveform is there before the quantizer and lost behind it.",
        "Change the quantizer first: initial=kmeans, restart=relative, gradient=straight_through, more codebooks.",
    ),
    Rule(
        "shape-not-learned",
        (UNLEARNED, Condition("val/mel_kept", "<", 0.7), Condition("codebook/bits_share", ">", 0.5)),
        "the spectrum is learned and the waveform is not: its losses hear no phase.",
        "Judge this run by mel distance and by ear, or raise the weight of a waveform loss (l1, mse) if SNR matters.",
    ),
    Rule(
        "shape-not-learned",
        (UNLEARNED,),
        "the output does not follow the waveform; no gain can repair that, and louder makes it worse.",
        "Raise learning rate x steps first (published codecs: 1e-4 and more, 100,000 steps and more), then look at "
        "gradient_share/encoded.",
    ),
    Rule(
        "gain-shrinkage",
        (Condition("val/gain_loss", ">", 0.5), Condition("val/best_gain_pooled", ">", 1.0)),
        "the waveform is learned and too quiet for it.",
        "Give a log-spectral loss (mel) more weight, or multiply the output by val/best_gain_pooled.",
    ),
    Rule(
        "gain-excess",
        (Condition("val/gain_loss", ">", 0.5),),
        "the output is louder than its likeness to the target deserves.",
        "Lower the weight of the loss that wants it loud: see gradient/gain and sweep/<term>/best_rms_ratio.",
    ),
)
HEALTHY = Rule(
    "healthy",
    (),
    "no amplitude fix is worth half a decibel: what is left is shape.",
    "For more SNR: more bits, steps or recordings; for a better sound: the mel and adversarial terms.",
)
LABELS = tuple(dict.fromkeys(rule.label for rule in (*RULES, HEALTHY)))


def diagnose(figures: Mapping[str, float], untrained: Mapping[str, float]) -> Diagnosis:
    """Label the figures of one validation.

    Args:
        figures: keys and values of the log at one step.
        untrained: those at step 0, or none.

    Raises:
        ValueError: the correlation is missing or not a number: there is nothing to go by.
    """
    if RHO not in figures:
        raise ValueError(f"{RHO} was not recorded: by an older version. Question the stored codec anew, with --probe")
    if not math.isfinite(figures[RHO]):
        raise ValueError(f"{RHO} is {figures[RHO]}: the output is not finite any more: the run diverged")
    known = dict(figures) | derived(figures, untrained)
    holding = [rule for rule in RULES if all(condition.holds(known) for condition in rule.conditions)]
    rule = holding[0] if holding else HEALTHY
    because = tuple((condition, known[condition.figure]) for condition in rule.conditions)
    also = tuple(dict.fromkeys(r.label for r in holding if r.label != rule.label))
    asked = {r.label for r in RULES if any(all(c.figure in known for c in o.conditions) for o in _of(r.label))}
    unexamined = tuple(label for label in LABELS if label not in asked and label != "healthy")
    return Diagnosis(rule.label, because, rule.means, rule.advice, also, unexamined)


def derived(figures: Mapping[str, float], untrained: Mapping[str, float]) -> dict[str, float]:
    """Figures that follow from logged ones: what the wrong gain costs in dB, and the mel distance's share that is left.

    >>> derived({"val/snr_best_gain_pooled": 3.0, "val/snr_pooled": 1.0}, {})
    {'val/gain_loss': 2.0}
    """
    found = {}
    if {"val/snr_best_gain_pooled", "val/snr_pooled"} <= figures.keys():
        found["val/gain_loss"] = figures["val/snr_best_gain_pooled"] - figures["val/snr_pooled"]
    if "val/mel_distance" in figures and untrained.get("val/mel_distance", 0) > 0:
        found["val/mel_kept"] = figures["val/mel_distance"] / untrained["val/mel_distance"]
    return found


def _of(label: str) -> list[Rule]:
    return [rule for rule in RULES if rule.label == label]
