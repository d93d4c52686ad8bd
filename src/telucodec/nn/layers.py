"""What every layer of a network has in common: activation, weights, and where context lies."""

from collections.abc import Callable
from typing import Any

from torch import nn

from telucodec.errors import at_least
from telucodec.nn.conv import Conv1d, ConvTranspose1d, Norm
from telucodec.nn.padding import Centred


class Layers:
    """Makes the layers of encoder and decoder.

    Args:
        activation: built with a number of channels.
        weights: gives a new convolution its first weights, see telucodec.nn.weights.
        norm: wraps each convolution, see telucodec.nn.norm.
        padding: on which side of a sample its context lies.
    """

    def __init__(self, *, activation: Callable[[int], nn.Module], weights: Norm, norm: Norm, padding: Centred) -> None:
        self.activation, self.padding = activation, padding
        self._finish = lambda module: norm(weights(module))

    def conv(self, in_channels: int, out_channels: int, **options: Any) -> Conv1d:
        """A convolution of T samples to T / stride, see `Conv1d`."""
        return Conv1d(in_channels, out_channels, norm=self._finish, padding=self.padding, **options)

    def transposed(self, in_channels: int, out_channels: int, **options: Any) -> ConvTranspose1d:
        """A transposed convolution of T frames to T x stride, see `ConvTranspose1d`."""
        return ConvTranspose1d(in_channels, out_channels, norm=self._finish, padding=self.padding, **options)


class Ends:
    """The first and the last convolution of an encoder or decoder.

    Args:
        first: kernel size of the first convolution (in an encoder of every stage of stride 1), >= 1.
        last: kernel size of the last convolution (in a decoder of every stage of stride 1), >= 1.
        bias: whether the last convolution has an offset; a decoder without one cannot add a constant there.
    """

    def __init__(self, *, first: int, last: int, bias: bool) -> None:
        at_least(1, first=first, last=last)
        self.first, self.last, self.bias = first, last, bias
