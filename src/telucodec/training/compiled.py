"""torch.compile for what training runs most: the codec and the discriminators, never Lightning's module."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch._functorch.config as functorch_config

from telucodec.training.module import CodecTraining


def compile_networks(module: CodecTraining) -> None:
    """Have codec and discriminators compiled when they first run; names of weights stay, and so do checkpoints."""
    functorch_config.donated_buffer = False  # a balancer goes backward through a discriminator once for each term
    module.codec.compile()
    for discriminator in module.adversary.discriminators.values():
        discriminator.compile()


@contextmanager
def as_written(module: CodecTraining) -> Iterator[None]:
    """While it lasts, nothing that is compiled is used.

    Whole utterances have another length each, and probes hang hooks into the networks: the one would compile anew each
    time, the other would not be seen.
    """
    if module.codec._compiled_call_impl is None:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
