"""How the decoder's gradient crosses the quantizer.

A policy has two places to act: after each codebook (`step`) and after all of them (`finish`). K is their number, and
"Jacobian" is that of the latent to the encoder's output.
"""

from typing import ClassVar

from torch import Tensor


class StraightThrough:
    """Forward the codewords, backward the identity, once around all codebooks.

    The Jacobian is the identity, and each codebook's input keeps its own path to the encoder, so that commitment
    reaches it from every codebook.

    Source: Bengio et al. 2013, arXiv:1308.3432; van den Oord et al. 2017, arXiv:1711.00937.
    """

    stepwise: ClassVar[bool] = False  # whether a gradient passes through what each codebook adds

    def step(self, wanted: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """What one codebook adds to the latent and takes from the residual, both [B, d, F]."""
        fixed = chosen.detach()
        return fixed, fixed

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        """The latent with a gradient, [B, D, F]."""
        return encoded + (latent - encoded).detach()


class Detached(StraightThrough):
    """No reconstruction gradient reaches the encoder: it learns from the commitment loss alone."""

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        return latent


class RotationTrick(StraightThrough):
    """Forward the codewords, backward the rotation and scaling that carry each frame onto its quantized value.

    With e a frame and q its latent, the Jacobian is (|q| / |e|) R, R the smallest rotation of e's direction onto q's,
    both held constant: the gradient keeps its angle to the latent. Frames shorter than 1e-6 count as that long.

    Source: Fifty et al. 2024, arXiv:2410.06424, section 4.
    """

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        e, q = encoded.detach(), latent.detach()
        length_e, length_q = (x.norm(dim=1, keepdim=True).clamp(min=1e-6) for x in (e, q))
        from_, to = e / length_e, q / length_q
        middle = from_ + to
        middle = middle / middle.norm(dim=1, keepdim=True).clamp(min=1e-6)
        reflected = 2 * middle * (middle * encoded).sum(1, keepdim=True)
        turned = encoded - reflected + 2 * to * (from_ * encoded).sum(1, keepdim=True)
        carried: Tensor = turned * (length_q / length_e)
        return carried + (latent - carried).detach()


class PerStep(StraightThrough):
    """Straight-through around each codebook; the residual is reduced by the codeword, held constant.

    Each codebook passes the whole gradient, so the Jacobian is K times the identity.

    Source: document S002 (conf/experiment), lines 66-67, with the residual held constant.
    """

    stepwise = True

    def step(self, wanted: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return wanted + (chosen - wanted).detach(), chosen.detach()

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        return latent


class PerStepAttached(PerStep):
    """`PerStep` whose residual is reduced by the codeword with its gradient.

    The Jacobian is K times the identity. Codewords that are parameters get a reconstruction gradient too: -(K - k)
    times what they would get if they stood in the latent themselves, k = 1 ... K, away from where the decoder wants
    them.

    Source: document S002 (conf/experiment), lines 66-67, as written.
    """

    def step(self, wanted: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return wanted + (chosen - wanted).detach(), chosen


class Chained(PerStep):
    """Straight-through around each codebook; the residual is reduced by that very value.

    The Jacobian is the identity, all of it through the first codebook; the inputs of the others have no gradient to
    the encoder, so commitment reaches it from the first codebook only. Projections around codebooks learn.

    Source: EnCodec's reference code, core_vq.py; Kumar et al. 2023, arXiv:2306.06546 (DAC).
    """

    def step(self, wanted: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        passed = wanted + (chosen - wanted).detach()
        return passed, passed
