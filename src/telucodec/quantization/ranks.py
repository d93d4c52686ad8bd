"""How the processes of one training run share what their codebooks see.

Each of them looks up its own share of the batch; without agreement their codebooks drift apart.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from telucodec.quantization.asking import most
from telucodec.ranks import joined, lengths, own, together


class OwnRank:
    """Every process learns from its own frames, and keeps its own codebook.

    Source: EnCodec's reference code, and NeMo, WavTokenizer, SpeechTokenizer after it.
    """

    def gather(self, frames: Tensor) -> Tensor:
        """The frames [M, D] that a codebook starts from."""
        return frames

    def draw(self, frames: Tensor, dead: Tensor) -> Tensor:
        """Random ones of the frames [M, D] that a codebook learns from, one for each that is dead of N, [R, D].

        Fewer if there are not as many frames; more where only the device knows how many are dead.
        """
        order = torch.randperm(len(frames), device=frames.device)
        return frames.index_select(0, order[: most(dead)])

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
        if together():
            for tensor in state:
                dist.broadcast(tensor.data, src=0)


class AllRanks(FirstRank):
    """All processes learn from the frames of all, in their order in the batch: the codebook is that of one device.

    Random choices are the first one's, which draws as one device would.

    Source: vector-quantize-pytorch, `sync_codebook`.
    """

    def gather(self, frames: Tensor) -> Tensor:
        return joined(frames)

    def draw(self, frames: Tensor, dead: Tensor) -> Tensor:
        if not together():
            return super().draw(frames, dead)
        sizes = lengths(frames)
        places = torch.randperm(sum(sizes), device=frames.device)[: int(dead.sum())]
        drawn = frames.new_zeros(len(places), frames.shape[1])
        if len(places):  # as many everywhere, for all know the same codewords to be dead
            dist.broadcast(places, src=0)
            places -= sum(sizes[: own()])
            mine = (places >= 0) & (places < len(frames))
            drawn[mine] = frames[places[mine]]
            dist.all_reduce(drawn)
        return drawn

    def pool(self, frames: int, *tallies: Tensor) -> int:
        if not together():
            return frames
        total = torch.tensor(frames, device=tallies[0].device)
        for tensor in (total, *tallies):
            dist.all_reduce(tensor)
        return int(total)
