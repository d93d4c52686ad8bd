"""How far the same codec differs from itself: between training and evaluation mode, and on what it was trained with."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from telucodec.diagnosis.probe import Findings, Subject, untouched
from telucodec.metrics.level import Moments
from telucodec.models.codec import Codec

GAPS = ("snr", "rho", "rms_ratio")


class BatchNormGap:
    """What batch normalisation alone changes between training and evaluation, on the same held-out crops.

    In training it normalises by the batch, in evaluation by running averages of past batches, which may not fit: with
    small batches, or crops unlike each other, the codec that is measured is not the one that was trained. Everything
    else stays in evaluation mode.

    Logs `gap/batchnorm_snr` in dB, `gap/batchnorm_rho` and `gap/batchnorm_rms_ratio`: by the batch minus by running
    averages; all 0 where there is no batch norm. Nothing is found before codebooks have begun.

    Source: ours.
    """

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        norms = [part for part in subject.codec.modules() if isinstance(part, _BatchNorm)]
        if not norms:
            return Findings({f"gap/batchnorm_{name}": 0.0 for name in GAPS})
        if not subject.codec.quantizer.begun:
            return Findings()
        with untouched(subject.codec):
            averaged = _level(subject.codec.eval(), subject.held)
            for norm in norms:
                norm.train()
            batch = _level(subject.codec, subject.held)
        return Findings({f"gap/batchnorm_{n}": batch[n] - averaged[n] for n in GAPS})


class TrainingGap:
    """How much better the codec is on crops of the recordings that it was trained with.

    Logs `gap/trained_rho`, `gap/held_rho`, the correlation pooled over each side's crops, and trained minus held:
    `gap/training_rho` and `gap/training_snr` in dB. Both in evaluation mode.

    Source: ours.
    """

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        with untouched(subject.codec):
            subject.codec.eval()
            trained, held = (_level(subject.codec, crops) for crops in (subject.trained, subject.held))
        gaps = {f"gap/training_{name}": trained[name] - held[name] for name in ("snr", "rho")}
        return Findings({"gap/trained_rho": trained["rho"], "gap/held_rho": held["rho"]} | gaps)


def _level(codec: Codec, crops: Tensor) -> Mapping[str, float]:
    return Moments.of(crops, codec(crops).audio).figures()
