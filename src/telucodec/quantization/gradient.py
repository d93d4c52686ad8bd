"""How the decoder's gradient crosses the quantizer."""

from torch import Tensor


class StraightThrough:
    """Forward the codewords, backward the identity, once around all codebooks.

    The Jacobian of the latent to the encoder's output is the identity, and each codebook's input keeps its own path to
    the encoder, so that commitment reaches it from every codebook.

    Source: Bengio et al. 2013, arXiv:1308.3432; van den Oord et al. 2017, arXiv:1711.00937.
    """

    def step(self, wanted: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """What one codebook adds to the latent and takes from the residual, both [B, D, F]."""
        return chosen.detach(), chosen.detach()

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        """The latent with a gradient, [B, D, F]."""
        return encoded + (latent - encoded).detach()


class Detached(StraightThrough):
    """No reconstruction gradient reaches the encoder: it learns from the commitment loss alone."""

    def finish(self, encoded: Tensor, latent: Tensor) -> Tensor:
        return latent
