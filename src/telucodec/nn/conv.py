"""Convolutions whose output length is exactly input length divided or multiplied by the stride."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn

from telucodec.nn.columns import ColumnConv1d, ColumnConvTranspose1d
from telucodec.nn.padding import Centred

Norm = Callable[[nn.Module], nn.Module]


class Reaching(Protocol):
    """A module that mixes samples over time."""

    def inputs_for(self, outputs: float) -> float: ...


class Conv1d(nn.Module):
    """Convolution, padded so that T samples become T / stride.

    Args:
        in_channels: width of the input.
        out_channels: width of the output.
        kernel_size: taps, >= stride.
        norm: wraps the convolution, see telucodec.nn.norm.
        padding: on which side the context lies.
        stride: of the output.
        dilation: distance between taps; 1 unless stride is 1.
        bias: whether each output channel has an offset.

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
        padding: Centred,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.span, self.stride, self.padding = (kernel_size - 1) * dilation + 1, stride, padding
        if self.span < stride:
            raise ValueError(f"kernel_size {kernel_size} is smaller than stride {stride}: samples would be lost")
        self.conv = norm(ColumnConv1d(in_channels, out_channels, kernel_size, stride, 0, dilation, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.padding.pad(x, self.span - self.stride))
        return y

    def inputs_for(self, outputs: float) -> float:
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
        padding: from which side the output is trimmed.
        groups: of channels that do not see each other.
        bias: whether each output channel has an offset.

    Shape:
        - Input: [B, in_channels, T]. Output: [B, out_channels, T * stride].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int,
        norm: Norm,
        padding: Centred,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size < stride:
            raise ValueError(f"kernel_size {kernel_size} is smaller than stride {stride}: samples would be lost")
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        before, after = padding.surplus(kernel_size - stride)
        both = min(before, after)
        self.trim = (before - both, after - both)
        self.conv = norm(
            ColumnConvTranspose1d(in_channels, out_channels, kernel_size, stride, both, groups=groups, bias=bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y[..., self.trim[0] : y.shape[-1] - self.trim[1]]

    def inputs_for(self, outputs: float) -> float:
        """How many neighbouring inputs decide `outputs` neighbouring outputs, at most."""
        return (outputs + self.kernel_size - 2) // self.stride + 1


def receptive_field(network: nn.Module, outputs: float = 1) -> float:
    """How many neighbouring inputs decide `outputs` neighbouring outputs of a network; infinite with recurrence.

    Modules with a reach count in the order in which they were registered; parallel paths must be registered one after
    the other with the wide one counted once (a shortcut of kernel size 1 adds nothing).

    >>> from telucodec.nn.norm import no_norm
    >>> same = Centred(fill="zeros")
    >>> receptive_field(nn.Sequential(*(Conv1d(1, 1, kernel_size=3, norm=no_norm, padding=same) for _ in range(2))))
    5
    """
    for module in reversed(list(_reaching(network))):
        outputs = module.inputs_for(outputs)
    return outputs


def _reaching(network: Any) -> Iterator[Reaching]:
    if hasattr(network, "inputs_for"):
        yield network
    else:
        for child in network.children():
            yield from _reaching(child)
