"""What single layers gain: convolutions as a product over columns, and Snake with its own gradient; one thread, CPU.

    python benchmarks/columns.py

Forward and backward, ours against the layer of torch that it stands for; both agree to 1e-4 before they are timed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pairs import in_turns, parser, ratio, same, say, settle, write
from torch import Tensor, nn

from telucodec.nn.activation import Snake
from telucodec.nn.columns import ColumnConv1d, ColumnConv2d, ColumnConvTranspose1d

Layers = dict[str, tuple[nn.Module, Callable[[Tensor], Tensor], tuple[int, ...]]]


def layers() -> Layers:
    """Name -> ours, what it stands for, and the shape of its input: of DAC at full size, 2 crops of 0.38 s."""
    found: Layers = {}
    for name, layer, shape in (
        ("encoder, last strided", ColumnConv1d(512, 1024, 16, 8), (2, 512, 160)),
        ("decoder, first", ColumnConv1d(1024, 1536, 7), (2, 1024, 25)),
        ("decoder, first transposed", ColumnConvTranspose1d(1536, 768, 16, 8, 4), (2, 1536, 19)),
        ("period 2, third", ColumnConv2d(128, 512, (5, 1), (3, 1), (2, 0)), (2, 128, 338, 2)),
        ("period 2, last", ColumnConv2d(1024, 1024, (5, 1), 1, (2, 0)), (2, 1024, 38, 2)),
        ("period 11, last", ColumnConv2d(1024, 1024, (5, 1), 1, (2, 0)), (2, 1024, 7, 11)),
    ):
        plain: Any = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.")).forward
        found[name] = (layer, lambda x, layer=layer, plain=plain: plain(layer, x), shape)
    snake = Snake(96, alpha=1.0)
    found["Snake, 96 channels"] = (snake, lambda x: x + (snake.alpha * x).sin().square() / snake.alpha, (2, 96, 6080))
    return found


def both(work: Callable[[Tensor], Tensor], x: Tensor, direction: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Forward and backward."""
    return torch.autograd.grad(work(x), inputs, direction)


def main() -> None:
    """Compare layer by layer."""
    given = parser(__doc__, rounds=15).parse_args()
    device, rows = settle(given.device), []
    for name, (layer, plain, shape) in layers().items():
        layer.to(device)
        x = torch.randn(shape, device=device, requires_grad=True)
        direction, inputs = torch.randn_like(layer(x)), [x, *layer.parameters()]
        ways = {
            name: partial(both, work, x, direction, inputs) for name, work in {"torch": plain, "ours": layer}.items()
        }
        for a, b in zip([layer(x), *ways["ours"]()], [plain(x), *ways["torch"]()], strict=True):
            same(name, [1 + float(((a - b).norm() / b.norm()).detach())], [1], 1e-4)
        seconds = in_turns(ways, given.rounds, device)
        found = ratio(seconds["torch"], seconds["ours"])
        say(f"{name:>26}: {found} times as fast as torch's own")
        rows.append({"layer": name, "shape": list(shape), "ratio": found})
    write("columns", rows, device)


if __name__ == "__main__":
    main()
