"""What the latent looks like, and what quantizing it costs."""

import torch
from torch import Tensor

from telucodec.records import Coded

CONSTANT = 1e-12  # a share of the power that varies by no more than this is float32's rounding


class Cloud:
    """Sums over vectors, and over what stands for each of them, in float64 on the CPU."""

    def __init__(self) -> None:
        nothing = torch.zeros((), dtype=torch.float64)
        self.count, self.total = 0, nothing
        self.squares = self.stand_in_squares = self.error_squares = nothing

    def add(self, wanted: Tensor, stand_in: Tensor) -> None:
        """Count the vectors of both, each [B, d, F]."""
        x, y = (tensor.detach().cpu().double() for tensor in (wanted, stand_in))
        self.count += x.shape[0] * x.shape[2]
        self.total = self.total + x.sum((0, 2))
        self.squares = self.squares + _power(x)
        self.stand_in_squares = self.stand_in_squares + _power(y)
        self.error_squares = self.error_squares + _power(y - x)

    def include(self, other: "Cloud") -> None:
        """Count what another has counted."""
        self.count, self.total = self.count + other.count, self.total + other.total
        self.squares = self.squares + other.squares
        self.stand_in_squares = self.stand_in_squares + other.stand_in_squares
        self.error_squares = self.error_squares + other.error_squares

    @property
    def rms(self) -> float:
        """Root mean square of the vectors' norm."""
        return float((self.squares / self.count).sqrt())

    @property
    def norm_ratio(self) -> float:
        """Root mean square norm of what stands for the vectors, over theirs; only where `rms` is not 0."""
        return float((self.stand_in_squares / self.squares).sqrt())

    @property
    def offset(self) -> float:
        """Norm of the mean vector over `rms`, from 0 to 1; only where `rms` is not 0."""
        return float(self._offset_share.sqrt())

    @property
    def spread(self) -> float:
        """Root of the share of the power that varies, from 0 to 1; only where `rms` is not 0."""
        return float((1 - self._offset_share).sqrt())

    @property
    def error(self) -> float:
        """Mean squared error of what stands for the vectors, over their variance; only where they vary."""
        return float(self.error_squares / (self.squares * (1 - self._offset_share)))

    @property
    def varies(self) -> bool:
        """Whether the vectors differ by more than rounding; also where they are not finite, so that figures show it."""
        return self.squares.item() != 0 and not float(1 - self._offset_share) <= CONSTANT

    @property
    def _offset_share(self) -> Tensor:
        return (self.count * (self.total / self.count).square().sum() / self.squares).clamp(max=1)


class LatentUse:
    """Collects what encoder, quantizer and codebooks made of utterances.

    A quantization error is relative to the variance of what was quantized: weights of losses, and whether they sum or
    average, do not enter, and an encoder that merely grows does not look worse. It is 1 where a constant, the mean,
    would have done as well.
    """

    def __init__(self) -> None:
        self.latent, self.stages = Cloud(), list[Cloud]()

    def add(self, coded: Coded) -> None:
        """Count one pass through the codec."""
        self.latent.add(coded.encoded, coded.quantized.latent)
        self.stages += [Cloud() for _ in coded.quantized.stages[len(self.stages) :]]
        for cloud, stage in zip(self.stages, coded.quantized.stages, strict=True):
            cloud.add(stage.wanted, stage.chosen)

    def include(self, other: "LatentUse") -> None:
        """Count what another has counted."""
        self.latent.include(other.latent)
        self.stages += [Cloud() for _ in other.stages[len(self.stages) :]]
        for cloud, more in zip(self.stages, other.stages, strict=False):
            cloud.include(more)

    def figures(self) -> dict[str, float]:
        """Figures over all frames; those that are not defined are absent.

        Returns:
            latent/rms, root mean square of an encoder output frame's norm; latent/offset, norm of the mean frame over
            it, and latent/spread, root of the share of power that varies between frames (their squares sum to 1);
            latent/error, quantization error over the variance of the encoder's output, 0 without a quantizer;
            codebook/<k>/error, the same of one codebook with its own input; codebook/<k>/norm_ratio, codewords chosen
            over what was wanted.
        """
        if not self.latent.count:
            return {}
        found = {"latent/rms": self.latent.rms}
        if self.latent.rms != 0:
            found |= {"latent/offset": self.latent.offset, "latent/spread": self.latent.spread}
        if self.latent.varies:
            found["latent/error"] = self.latent.error
        for k, stage in enumerate(self.stages):
            if stage.varies:
                found[f"codebook/{k}/error"] = stage.error
            if stage.rms != 0:
                found[f"codebook/{k}/norm_ratio"] = stage.norm_ratio
        return found


def _power(x: Tensor) -> Tensor:
    flat = x.flatten()
    return flat @ flat
