"""How the processes of one training run share what their codebooks see.

Each of them looks up its own share of the batch; without agreement their codebooks drift apart.
"""

import torch
import torch.distributed as dist
from torch import Tensor


class OwnRank:
    """Every process learns from its own frames, and keeps its own codebook.

    Source: EnCodec's reference code, and NeMo, WavTokenizer, SpeechTokenizer after it.
    """

    def pool(self, frames: int, *tallies: Tensor) -> int:
        """Add up tallies over processes, in place; returns the number of frames they came from."""
        return frames

    def agree(self, *state: Tensor) -> None:
        """Make a codebook's state the same in all processes, in place."""


class FirstRank(OwnRank):
    """All processes take over the codebook of the first, which learns from its own frames alone.

    Source: what torch's DistributedDataParallel does to buffers (`broadcast_buffers`).
    """

    def agree(self, *state: Tensor) -> None:
        if _together():
            for tensor in state:
                dist.broadcast(tensor.data, src=0)


class AllRanks(FirstRank):
    """All processes learn from the frames of all; random choices are the first one's.

    Source: vector-quantize-pytorch, `sync_codebook`.
    """

    def pool(self, frames: int, *tallies: Tensor) -> int:
        if not _together():
            return frames
        total = torch.tensor(frames, device=tallies[0].device)
        for tensor in (total, *tallies):
            dist.all_reduce(tensor)
        return int(total)


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
