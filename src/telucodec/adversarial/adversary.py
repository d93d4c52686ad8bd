"""All discriminators of a run, as one player."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from telucodec.adversarial.objective import Objective
from telucodec.errors import at_least
from telucodec.records import Verdict


class Adversary(nn.Module):
    """The discriminators that train together; there may be none.

    Args:
        discriminators: name -> module from audio to `Verdict`.
        objective: both sides of the GAN loss.
        start: the step at which the discriminators begin to learn.

    Shape:
        - Input: [B, 1, T]. Output: `Verdict` of all members in order.
    """

    def __init__(self, *, discriminators: Mapping[str, nn.Module], objective: Objective, start: int) -> None:
        super().__init__()
        at_least(0, start=start)
        self.discriminators = nn.ModuleDict(discriminators)
        self.objective, self.start = objective, start

    def forward(self, audio: Tensor) -> Verdict:
        verdicts = [discriminator(audio) for discriminator in self.discriminators.values()]
        return Verdict(
            tuple(logits for verdict in verdicts for logits in verdict.logits),
            tuple(features for verdict in verdicts for features in verdict.features),
        )

    def plays(self, index: int) -> bool:
        """Whether the discriminators learn in step `index`."""
        return len(self.discriminators) > 0 and index >= self.start

    def loss(self, target: Tensor, audio: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminators' loss on targets and decoded audio, both [B, 1, T]; no gradient reaches the codec.

        Returns:
            The mean over discriminators and each one's own value by name.
        """
        fake = audio.detach()
        losses = {name: self.objective.discriminator(d(fake), d(target)) for name, d in self.discriminators.items()}
        return sum(losses.values(), start=target.new_zeros(())) / len(losses), {
            n: v.detach() for n, v in losses.items()
        }

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While it lasts, gradients pass through the discriminators but none is kept for their weights."""
        self.requires_grad_(False)
        try:
            yield
        finally:
            self.requires_grad_(True)
