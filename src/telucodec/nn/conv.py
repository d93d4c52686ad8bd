"""Convolutions whose output length is exactly input length divided or multiplied by the stride."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[nn.Module], nn.Module]


class Conv1d(nn.Module):
    """Convolution with zero padding, so that T samples become T / stride.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        kernel_size: taps, >= stride.
        stride: of the output.
        dilation: distance between taps; 1 unless stride is 1.
        bias: whether each output channel has an offset.
        norm: wraps the convolution, see telucodec.nn.norm.

    Shape:
        - Input: [B, in_channels, T] with T a multiple of stride. Output: [B, out_channels, T / stride].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        norm: Norm,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.span, self.stride = (kernel_size - 1) * dilation + 1, stride
        if self.span < stride:
            raise ValueError(f"kernel_size {kernel_size} is smaller than stride {stride}: samples would be lost")
        left = (self.span - stride + 1) // 2
        self.padding = (left, self.span - stride - left)
        self.conv = norm(nn.Conv1d(in_channels, out_channels, kernel_size, stride, 0, dilation, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, self.padding))
        return y

    def inputs_for(self, outputs: int) -> int:
        """How many neighbouring inputs decide `outputs` neighbouring outputs."""
        return (outputs - 1) * self.stride + self.span


class ConvTranspose1d(nn.Module):
    """Transposed convolution, trimmed so that T frames become T * stride.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        kernel_size: taps, >= stride.
        stride: of the input.
        norm: wraps the convolution, see telucodec.nn.norm.

    Shape:
        - Input: [B, in_channels, T]. Output: [B, out_channels, T * stride].
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int, norm: Norm) -> None:
        super().__init__()
        if kernel_size < stride:
            raise ValueError(f"kernel_size {kernel_size} is smaller than stride {stride}: samples would be lost")
        self.kernel_size, self.stride = kernel_size, stride
        padding, self.extra = divmod(kernel_size - stride, 2)
        self.conv = norm(nn.ConvTranspose1d(in_channels, out_channels, kernel_size, stride, padding))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y[..., self.extra :]

    def inputs_for(self, outputs: int) -> int:
        """How many neighbouring inputs decide `outputs` neighbouring outputs, at most."""
        return (outputs + self.kernel_size - 2) // self.stride + 1


def receptive_field(network: nn.Module, outputs: int = 1) -> int:
    """How many neighbouring inputs decide `outputs` neighbouring outputs of a network of these convolutions.

    Convolutions count in the order in which they were registered; parallel paths must be registered one after the
    other with the wide one counted once (a shortcut of kernel size 1 adds nothing).

    >>> from telucodec.nn.norm import no_norm
    >>> receptive_field(nn.Sequential(*(Conv1d(1, 1, kernel_size=3, norm=no_norm) for _ in range(2))))
    5
    """
    convolutions = [m for m in network.modules() if isinstance(m, Conv1d | ConvTranspose1d)]
    for convolution in reversed(convolutions):
        outputs = convolution.inputs_for(outputs)
    return outputs
