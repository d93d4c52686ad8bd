"""What the layouts of published codecs have in common."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from telucodec.models.parts import Part

BOTH = ("weight", "bias")


class Published(NamedTuple):
    """A published codec, as its config.json describes it."""

    parts: tuple[Part, ...]  # in the order of telucodec.models.parts.parts_of
    overrides: tuple[str, ...]  # of a configuration whose codec has these parts
    sample_rate: int  # Hz
    n_q: int  # codebooks in the folder


def below(prefix: str, parts: Iterable[Part]) -> list[Part]:
    """Move parts one level down.

    >>> below("encoder", [Part("conv1", "convolution")])
    [Part(name='encoder.conv1', says='convolution', slots=())]
    """
    return [part._replace(name=f"{prefix}.{part.name}") for part in parts]


def each(prefix: str, members: Iterable[Sequence[Part]]) -> list[Part]:
    """Number the members of a list.

    >>> each("layers", [[Part("conv", "convolution")], []])
    [Part(name='layers.0.conv', says='convolution', slots=())]
    """
    return [part for k, member in enumerate(members) for part in below(f"{prefix}.{k}", member)]


def stages(encoder: str, strides: Sequence[int], channels: Sequence[int], dilations: Sequence[int]) -> tuple[str, ...]:
    """Overrides of an encoder whose first stage has stride 1 and whose last one has no residual units."""
    return (
        f"{encoder}.strides={listed([1, *strides])}",
        f"{encoder}.channels={listed(channels)}",
        f"{encoder}.dilations={listed([list(dilations)] * len(strides) + [[]])}",
    )


def listed(values: Sequence[object]) -> str:
    """A list as Hydra reads it.

    >>> listed([[1, 3], []])
    '[[1,3],[]]'
    """
    return str(list(values)).replace(" ", "")
