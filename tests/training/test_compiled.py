"""torch.compile in a run: only the steps of training are compiled, and what is saved does not know of it."""

import pytest
import torch
from test_fit import rows
from torch import nn

from telucodec.models.assess import Assessment
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint


def checkpoint(run):
    return read_checkpoint(newest_checkpoint(run)[0])


@pytest.mark.slow
def test_checkpoints_are_those_without_and_validation_runs_as_written(train, monkeypatch):
    """With a compiler that hands back what it is given, so that it takes no minutes."""
    compiles, hear, calls, heard = nn.Module.compile, Assessment.hear, [], []

    def compiler(graph, inputs):
        def run(*given):
            calls.append(graph)
            return graph.forward(*given)

        return run

    def hearing(self, utterance):
        before = len(calls)
        found = hear(self, utterance)
        heard.append(len(calls) - before)
        return found

    monkeypatch.setattr(nn.Module, "compile", lambda module: compiles(module, backend=compiler))
    monkeypatch.setattr(Assessment, "hear", hearing)
    options = ["max_steps=2", "adversary.start=1", "probe=[]", "callback=[logging,validation,saving]"]
    _, plain = train("name=plain", *options)
    assert calls == []
    _, fast = train("name=fast", "trainer.compile=true", *options)
    torch.compiler.reset()
    assert len(calls) >= 4, "codec and discriminators in both steps"
    assert heard
    assert not any(heard)
    one, other = checkpoint(plain), checkpoint(fast)
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(other["state_dict"][name], tensor, rtol=1e-3, atol=1e-4, msg=name)
    losses = [next(row["train/loss"] for row in rows(run) if "train/loss" in row) for run in (plain, fast)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
