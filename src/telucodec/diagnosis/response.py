"""What the discriminators hear: loudness, offset, polarity, a shift in time."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from telucodec.diagnosis.probe import Findings, Subject, untouched
from telucodec.errors import above, at_least
from telucodec.records import Verdict


class DiscriminatorResponse:
    """How much each discriminator's verdict on held-out recordings moves when they are changed a little.

    A discriminator that does not answer to gain cannot teach the codec its loudness; one that answers to polarity or
    to a shift by a sample teaches what no ear can tell.

    Logs for each discriminator `response/<name>/logit`, its mean logit on the recordings, and in units of the standard
    deviation of its logits on them: `response/<name>/gain`, the change of the mean logit per unit of ln(gain) around a
    gain of 1, and `offset`, `polarity` and `shift`, the change of the mean logit by each. The same of the features
    that it hands to feature matching, as `features_gain` and so on: the mean |change| over the mean |feature|, where
    layers count alike; the gain's by `gain_db` louder.

    Sub-discriminators count alike, as they do in the objective; the deviation is that of logits about the mean of their
    own sub-discriminator. Nothing is found where there are no discriminators, or no loss has begun to hear them.

    Args:
        gain_db: the recordings are made louder and quieter by it, > 0, in dB.
        offset: added to each sample, > 0, full scale = 1.
        shift: samples, >= 1.

    Source: ours.
    """

    def __init__(self, *, gain_db: float, offset: float, shift: int) -> None:
        above(0, gain_db=gain_db, offset=offset)
        at_least(1, shift=shift)
        self.gain_db, self.offset, self.shift = gain_db, offset, shift

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        adversary, terms = subject.adversary, subject.terms
        if not set(terms.judged) & set(terms.started(subject.index)):
            return Findings()
        figures: dict[str, float] = {}
        with untouched(adversary):
            changed = {name: adversary.front_end(audio) for name, audio in self.changes(subject.held).items()}
            for name, discriminator in adversary.discriminators.items():
                answers = self.answers(discriminator, changed)
                figures |= {f"response/{name}/{key}": value for key, value in answers.items()}
        return Findings(figures)

    def changes(self, audio: Tensor) -> dict[str, Tensor]:
        """The recordings, as they are and changed, each [B, 1, T - shift]."""
        if self.shift >= audio.shape[-1]:
            raise ValueError(f"shift must be less than the {audio.shape[-1]} samples of a crop, got {self.shift}")
        gain = 10 ** (self.gain_db / 20)
        here = audio[..., self.shift :]
        return {
            "real": here,
            "gain": here * gain,
            "quieter": here / gain,
            "offset": here + self.offset,
            "polarity": -here,
            "shift": audio[..., : -self.shift],
        }

    def answers(self, discriminator: nn.Module, heard: Mapping[str, Tensor]) -> dict[str, float]:
        """The figures of one discriminator, from what it hears."""
        verdicts: dict[str, Verdict] = {name: discriminator(audio) for name, audio in heard.items()}
        real = verdicts["real"]
        logit = {name: torch.stack([x.double().mean() for x in v.logits]).mean() for name, v in verdicts.items()}
        spread = torch.stack([x.double().var(correction=0) for x in real.logits]).mean().sqrt()
        moved = {name: logit[name] - logit["real"] for name in ("offset", "polarity", "shift")}
        moved["gain"] = (logit["gain"] - logit["quieter"]) / (2 * math.log(10) * self.gain_db / 20)
        found = {"logit": logit["real"]}
        if spread > 0:
            found |= {name: change / spread for name, change in moved.items()}
        if any(features for features in real.features):
            found |= {f"features_{name}": _apart(verdicts[name], real) for name in moved}
        return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))


def _apart(changed: Verdict, real: Verdict) -> Tensor:
    """Mean |change| over mean |feature|, both the mean over layers of the mean in each."""
    after, before = ([layer for layers in verdict.features for layer in layers] for verdict in (changed, real))
    apart = torch.stack([(a - b).abs().mean() for a, b in zip(after, before, strict=True)]).mean().double()
    return apart / torch.stack([b.abs().mean() for b in before]).mean().double().clamp(min=1e-30)
