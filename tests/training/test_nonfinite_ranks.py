"""Two processes, of which one has a step that is not finite: neither waits for the other, and they stay alike."""

import pytest
import torch
from companies import in_company, said
from test_nonfinite import WHOLE, States, a_run, batches, incidents, same, spoil, state
from torch.utils.data import DataLoader

from conftest import config, toy_module
from telucodec import ranks
from telucodec.build import build
from telucodec.errors import DivergedError
from telucodec.records import Batch
from telucodec.training.callbacks.nonfinite import Raise, Rollback, Skip

STEPS = 6


def share(rank):
    """Half of each batch."""
    return [Batch(batch.audio.chunk(2)[rank], batch.files[2 * rank : 2 * rank + 2]) for batch in batches(STEPS)]


def trained(rank, folder, policy, kind, *steps):
    """Train one of two processes; the second has steps that are not finite. Gives the run, the module, the states."""
    torch.set_num_threads(1)
    shared, states = a_run(folder / f"of_{rank}"), States()
    device = build(config("trainer=ddp_cpu", "trainer.devices=2")["trainer"], "trainer")
    module = toy_module(*WHOLE, "adversary.start=2", "loss.mel.start=1")
    if rank == 1:
        spoil(module, kind, *steps)
    with device.joined():
        torch.manual_seed(1)
        trainer = device.trainer([policy(run=shared), states], [], STEPS, str(folder))
        try:
            trainer.fit(module, DataLoader(share(rank), batch_size=None, collate_fn=lambda batch: batch))
        except DivergedError as error:
            return shared, str(error), states
        one, other = ranks.gathered(state(trainer, module))
        assert same(one, other), "bit for bit"
        assert trainer.global_step == STEPS
    return shared, "", states


def alike(tmp_path, act):
    codes = in_company(2, tmp_path, act)
    assert codes == [0, 0], "\n".join(said(tmp_path, rank)[-3000:] for rank in range(2))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "files"), [("loss", ["10.flac", "11.flac"]), ("encoded", ["11.flac"])])
def test_both_leave_it_out(tmp_path, kind, files):
    """Also the first one, in which codebooks begin with the frames of both."""

    def act(rank):
        shared, _, states = trained(rank, tmp_path, lambda run: Skip(limit=1, run=run), kind, 0, 2)
        left = [same(a, b) for a, b in zip(states.before, states.after, strict=True)]
        assert left == [True, False, True, False, False, False]
        if rank == 0:  # which writes the record
            assert [(row["step"], row["files"]) for row in incidents(shared)][1] == (3, files)

    alike(tmp_path, act)


@pytest.mark.slow
def test_both_end_with_the_same_words(tmp_path):
    def act(rank):
        _, error, _ = trained(rank, tmp_path, Raise, "gradient", 2)
        assert error.startswith("step 3: not finite: the gradient of codec.decoder.")
        assert "Heard: 8.flac, 9.flac, 10.flac, 11.flac. The run" in error
        (tmp_path / f"{rank}.error").write_text(error)

    alike(tmp_path, act)
    assert (tmp_path / "0.error").read_text() == (tmp_path / "1.error").read_text()


@pytest.mark.slow
def test_both_go_back(tmp_path):
    def act(rank):
        states = trained(rank, tmp_path, lambda run: Rollback(limit=1, run=run), "loss", 3)[2]
        assert same(states.after[3], states.before[0])
        assert not same(states.after[4], states.after[3])

    alike(tmp_path, act)
