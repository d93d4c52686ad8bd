"""What discriminators share: layers that are listened to, and members that make one verdict."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.records import Verdict

Heard = tuple[Tensor, tuple[Tensor, ...]]  # logits, and what each hidden layer said


def listen(layers: Iterable[nn.Module], x: Tensor, slope: float) -> tuple[Tensor, ...]:
    """What each layer says behind its leaky rectifier, from the first to the last.

    >>> import torch
    >>> listen([nn.Identity(), nn.Identity()], torch.tensor([1.0, -1.0]), 0.5)
    (tensor([ 1.0000, -0.5000]), tensor([ 1.0000, -0.2500]))
    """
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), slope)
        features.append(x)
    return tuple(features)


def verdict(heard: Iterable[Heard]) -> Verdict:
    """The verdict of several members, one entry each."""
    pairs = list(heard)
    return Verdict(tuple(logits for logits, _ in pairs), tuple(features for _, features in pairs))
