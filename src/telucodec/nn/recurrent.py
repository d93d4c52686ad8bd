"""Layers that carry a state through time."""

import math

from torch import Tensor, nn

from telucodec.errors import at_least, at_most


class NoContext(nn.Identity):
    """Frames do not see further than the convolutions around them.

    Args:
        width: of the input; ignored.

    Shape:
        - Input: [B, width, F]. Output: the same.
    """

    def __init__(self, width: int) -> None:
        super().__init__()


class LSTM(nn.Module):
    """Frames plus what a stack of LSTMs makes of all frames before them: causal.

    Args:
        width: of the input, and of each LSTM.
        depth: number of LSTMs, 1 to 1024.

    Shape:
        - Input: [B, width, F]. Output: the same.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.1.
    """

    directions = 1

    def __init__(self, width: int, *, depth: int) -> None:
        super().__init__()
        at_least(1, depth=depth)
        at_most(1024, depth=depth)
        if width % self.directions:
            raise ValueError(f"an LSTM in two directions needs an even width, got {width}")
        both = self.directions == 2
        self.lstm = nn.LSTM(width, width // self.directions, depth, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        frames = x.transpose(1, 2)
        y: Tensor = self.lstm(frames)[0] + frames
        return y.transpose(1, 2)

    def inputs_for(self, outputs: float) -> float:
        """All of them."""
        return math.inf


class BidirectionalLSTM(LSTM):
    """As `LSTM`, with half of the width reading backwards: the whole utterance decides every frame.

    Args:
        width: of the input, even.
        depth: number of layers, >= 1.

    Shape:
        - Input: [B, width, F]. Output: the same.

    Source: Graves and Schmidhuber 2005, Neural Networks 18 (5-6).
    """

    directions = 2
