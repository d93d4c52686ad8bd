import pytest
import torch
import torch.distributed as dist
from books import book, flat

from telucodec.quantization.codebook import EMACodebook, GradientCodebook
from telucodec.quantization.initial import Normal
from telucodec.quantization.ranks import AllRanks, FirstRank, OwnRank
from telucodec.quantization.restart import NoRestart, Restart

KINDS = [OwnRank, FirstRank, AllRanks]


def frames(rank):
    """Of different number in each process."""
    return torch.randn(2, 4, 40 + 20 * rank, generator=torch.Generator().manual_seed(rank))


def learn(ranks, wanted, start, restart):
    b = book(initial=lambda frames, size: start, ranks=ranks, restart=restart)
    b(wanted)
    b.update(flat(wanted), b(wanted)[1].flatten())
    return b


def worker(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(rank)
    start = torch.load(folder / "start.pt")
    found = {kind.__name__: learn(kind(), frames(rank), start, NoRestart()).state_dict() for kind in KINDS}
    found["restarted"] = learn(AllRanks(), frames(rank), start, Restart(threshold=0.9)).state_dict()
    drawn = book(kind=GradientCodebook, initial=Normal(std=1.0), ranks=AllRanks())
    drawn(frames(rank))
    drawn.update(flat(frames(rank)), drawn(frames(rank))[1].flatten())
    found["drawn"] = drawn.state_dict()
    for kind in (EMACodebook, GradientCodebook):  # quantizer dropout has left one process without an item
        b = book(kind=kind, initial=lambda frames, size: start, ranks=FirstRank())
        b(frames(rank))
        share = frames(rank)[: 2 * (rank == 0)]
        b.update(flat(share), b(frames(rank))[1][: 2 * (rank == 0)].flatten())
        found[kind.__name__] = b.state_dict()
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes(tmp_path):
    torch.manual_seed(0)
    start = Normal(std=1.0)(torch.zeros(1, 4), 16)
    start = start[0], torch.full((16,), 4.0), start[0] * 4
    torch.save(start, tmp_path / "start.pt")
    torch.multiprocessing.spawn(worker, (tmp_path,), nprocs=2)
    one, two = torch.load(tmp_path / "0.pt"), torch.load(tmp_path / "1.pt")
    alone = learn(OwnRank(), frames(0), start, NoRestart()).state_dict()
    both = learn(OwnRank(), torch.cat([frames(0), frames(1)], 2), start, NoRestart()).state_dict()
    for name in ("codewords", "counts", "sums"):
        assert not torch.allclose(one["OwnRank"][name], two["OwnRank"][name])
        for kind in ("FirstRank", "AllRanks", "restarted"):
            assert torch.equal(one[kind][name], two[kind][name]), kind
        torch.testing.assert_close(one["FirstRank"][name], alone[name])
        torch.testing.assert_close(one["AllRanks"][name], both[name])
    assert torch.equal(one["drawn"]["codewords"], two["drawn"]["codewords"])
    for kind in ("EMACodebook", "GradientCodebook"):
        assert torch.equal(one[kind]["counts"], two[kind]["counts"])
        assert one[kind]["counts"].sum().item() == pytest.approx(0.9 * 64 + 0.1 * 80), "learned by the first"
    pooled = 0.1 * (80 + 120)
    assert one["drawn"]["counts"].sum().item() == pytest.approx(pooled)


def test_alone_nothing_is_shared():
    for kind in KINDS:
        counts = torch.ones(3)
        assert kind().pool(7, counts) == 7
        kind().agree(counts)
        assert counts.tolist() == [1, 1, 1]
