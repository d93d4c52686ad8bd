"""All discriminators of a run, as one player."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from telucodec.adversarial.front_end import FrontEnd
from telucodec.adversarial.initial import InitialWeights
from telucodec.adversarial.objective import Objective
from telucodec.errors import at_least
from telucodec.records import Verdict


class Adversary(nn.Module):
    """The discriminators that train together; there may be none.

    Args:
        discriminators: name -> module from audio to `Verdict`.
        objective: both sides of the GAN loss.
        start: the step at which the discriminators begin to learn.
        rhythm: of 0 and 1: they learn in step k where entry k modulo the length is 1; [1] is every step.
        initial: where the weights of their convolutions start.
        front_end: what is done to the audio before they hear it.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` of all members in order.
    """

    def __init__(
        self,
        *,
        discriminators: Mapping[str, nn.Module],
        objective: Objective,
        start: int,
        rhythm: Sequence[int],
        initial: InitialWeights,
        front_end: FrontEnd,
    ) -> None:
        super().__init__()
        at_least(0, start=start)
        if 1 not in rhythm or not set(rhythm) <= {0, 1}:
            raise ValueError(f"rhythm must be of 0 and 1 with at least one 1, got {list(rhythm)}")
        self.discriminators = nn.ModuleDict(discriminators)
        self.objective, self.start, self.rhythm, self.front_end = objective, start, list(rhythm), front_end
        for module in self.discriminators.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d):
                initial(module)

    def forward(self, audio: Tensor) -> Verdict:
        heard = self.front_end(audio)
        verdicts = [discriminator(heard) for discriminator in self.discriminators.values()]
        return Verdict(
            tuple(logits for verdict in verdicts for logits in verdict.logits),
            tuple(features for verdict in verdicts for features in verdict.features),
        )

    def plays(self, index: int) -> bool:
        """Whether the discriminators learn in step `index`."""
        turn = self.rhythm[index % len(self.rhythm)] == 1
        return len(self.discriminators) > 0 and index >= self.start and turn

    def loss(self, target: Tensor, audio: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminators' loss on targets and decoded audio, both [B, 1, T]; no gradient reaches the codec.

        Returns:
            The mean or sum over discriminators, as the objective has it, and each one's own value by name.
        """
        both = self.front_end(torch.cat([audio.detach(), target]))  # one pass: weights are normalised and read once
        verdicts = {name: _halves(d(both)) for name, d in self.discriminators.items()}
        losses = {name: self.objective.discriminator(fake, real) for name, (fake, real) in verdicts.items()}
        return self.objective.gather(list(losses.values())), {name: value.detach() for name, value in losses.items()}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While it lasts, gradients pass through the discriminators but none is kept for their weights."""
        self.requires_grad_(False)
        try:
            yield
        finally:
            self.requires_grad_(True)


def _halves(verdict: Verdict) -> tuple[Verdict, Verdict]:
    """The verdict on the first half of a batch, and that on the second."""
    logits = [each.chunk(2) for each in verdict.logits]
    features = [[each.chunk(2) for each in member] for member in verdict.features]
    first, second = (
        Verdict(tuple(each[half] for each in logits), tuple(tuple(each[half] for each in own) for own in features))
        for half in (0, 1)
    )
    return first, second
