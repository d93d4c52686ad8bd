"""A small causal transformer over frames."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.errors import above, at_least, at_most


class Transformer(nn.Module):
    """Layers of windowed causal self-attention and a feed-forward network, each scaled by a small learned factor.

    Args:
        width: of the frames, a multiple of 2 x heads.
        depth: number of layers, 1 to 1024.
        heads: of attention, >= 1.
        feedforward: inner width of the feed-forward network.
        window: how many frames, the present one included, attention sees, >= 1.
        layer_scale: first value of the factor on each layer's contribution.

    Shape:
        - Input: [B, width, F]. Output: the same.

    Source: Defossez et al. 2024, arXiv:2410.00037, section 3.3.1; layer scale: Touvron et al. 2021, arXiv:2103.17239;
        rotary positions: Su et al. 2021, arXiv:2104.09864.
    """

    def __init__(
        self, width: int, *, depth: int, heads: int, feedforward: int, window: int, layer_scale: float
    ) -> None:
        super().__init__()
        at_least(1, depth=depth, heads=heads, feedforward=feedforward, window=window)
        at_most(1024, depth=depth)
        above(0, layer_scale=layer_scale)
        if width % (2 * heads):
            raise ValueError(f"a transformer's width must be a multiple of 2 x heads, got width {width}, heads {heads}")
        self.width, self.depth, self.heads, self.feedforward, self.window = width, depth, heads, feedforward, window
        self.blocks = nn.ModuleList(_Block(width, heads, feedforward, layer_scale) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        frames = x.transpose(1, 2)
        places = torch.arange(frames.shape[1], device=x.device)
        distance = places[:, None] - places
        seen = (distance >= 0) & (distance < self.window)
        for block in self.blocks:
            frames = block(frames, seen)
        return frames.transpose(1, 2)

    def inputs_for(self, outputs: float) -> float:
        """How many neighbouring inputs decide `outputs` neighbouring outputs."""
        return outputs + self.depth * (self.window - 1)


class _Block(nn.Module):
    """One layer of `Transformer`.

    Shape:
        - Input: frames [B, F, D], seen [F, F]. Output: [B, F, D].
    """

    def __init__(self, width: int, heads: int, feedforward: int, layer_scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.rise, self.fall = nn.Linear(width, feedforward, bias=False), nn.Linear(feedforward, width, bias=False)
        self.attention_scale = nn.Parameter(torch.full((width,), float(layer_scale)))
        self.feedforward_scale = nn.Parameter(torch.full((width,), float(layer_scale)))

    def forward(self, frames: Tensor, seen: Tensor) -> Tensor:
        normed = self.before_attention(frames)
        query, key, value = (
            project(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        heard = F.scaled_dot_product_attention(_rotated(query), _rotated(key), value, attn_mask=seen)
        frames = frames + self.attention_scale * self.out(heard.transpose(1, 2).flatten(2))
        inner: Tensor = self.fall(F.gelu(self.rise(self.before_feedforward(frames))))
        return frames + self.feedforward_scale * inner


def _rotated(x: Tensor) -> Tensor:
    """Rotate pairs of components by an angle that grows with the frame's place: [B, heads, F, d] -> the same."""
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)[:, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
