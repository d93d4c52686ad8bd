"""The probe of gradients in a run: what it writes, and that it moves nothing; how often gradients are clipped."""

import io
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from test_fit import assert_same, rows, state
from torch import nn

from conftest import PROBES, toy_module
from telucodec import ranks
from telucodec.diagnosis.gradients import TermGradients
from telucodec.errors import InputError
from telucodec.training.callbacks.gradients import Gradients
from telucodec.training.player import Player
from telucodec.training.schedule import Constant


@pytest.mark.pictures
def test_a_run_tells_which_loss_pulls_where(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, run = train("callback.gradients.every=2")
    found = [row for row in rows(run) if "gradient/audio/l1" in row]
    assert [row["step"] for row in found] == [2, 4, 6]
    for row in found:
        for site in ("audio", "gain", "encoded", "weights"):
            shares = [value for key, value in row.items() if key.startswith(f"gradient_share/{site}/")]
            assert len(shares) == 7
            assert sum(shares) == pytest.approx(1)
        assert sum(value for key, value in row.items() if key.startswith("gradient_clip/")) == pytest.approx(1)
        assert row["gradient/seconds"] > 0
        assert 0 < row["gradient/cost"] < 1
        scale = row["gradient/gain/mse"] / row["gradient/output_scale/mse"]
        logged = next(other for other in rows(run) if other["step"] == row["step"] and "train/output_scale" in other)
        assert scale == pytest.approx(logged["train/output_scale"], rel=1e-4)
    assert (run / "pictures" / "gradients.png").stat().st_size > 10000
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("why/gradients")] == [2, 4, 6]
    assert "gradient_share/encoded/commitment" in events.Tags()["scalars"]


def test_the_terms_are_those_of_the_step_just_made(train):
    _, run = train("callback.gradients.every=1", "adversary.start=3", "max_steps=4")
    found = {row["step"]: "gradient/audio/feature" in row for row in rows(run) if "gradient/audio/l1" in row}
    assert found == {1: False, 2: False, 3: False, 4: True}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="default", marks=pytest.mark.slow),
        pytest.param(["output=[post_net,scale]", "quantizer_dropout=batch", "norm=weight"], id="batch-norm"),
        pytest.param(
            ["combine=balancer", "training.accumulate=2", "quantizer_dropout=items"],
            id="balancer",
            marks=pytest.mark.slow,
        ),
        pytest.param(["trainer.precision=bf16-mixed", "output=[]"], id="bfloat16", marks=pytest.mark.slow),
    ],
)
def test_instruments_at_every_step_leave_the_run_as_it_was(train, options):
    """Bit for bit: weights, codebooks, running statistics, optimizers, the balancer's averages, random states."""
    _, plain = train("name=plain", "callback=[logging,validation,saving]", *options)
    _, probed = train("name=probed", "callback.gradients.every=1", "callback.restarts.every=1", PROBES, *options)
    assert len([row for row in rows(probed) if "gradient/audio/l1" in row]) == 6
    for key in ("state_dict", "optimizer_states", "telucodec"):
        assert_same(state(plain)[key], state(probed)[key], key)
    losses = [[row for row in rows(run) if "loss/l1" in row] for run in (plain, probed)]
    for a, b in zip(*losses, strict=True):
        assert {k: v for k, v in a.items() if k.startswith(("loss/", "gradient_norm/", "clip/"))}.items() <= b.items()


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_the_probe_sees_the_precision_and_the_share_of_training(train, monkeypatch, precision):
    seen, measure = [], TermGradients.measure

    def watched(self, subject, share, loss_scale):
        seen.append((torch.is_autocast_enabled("cpu"), share, loss_scale, tuple(subject.trained.shape)))
        return measure(self, subject, share, loss_scale)

    monkeypatch.setattr(TermGradients, "measure", watched)
    code, _ = train("callback.gradients.every=3", "training.accumulate=4", f"trainer.precision={precision}")
    assert code == 0
    assert seen == [(precision == "bf16-mixed", 0.25, 1.0, (1, 1, 1024))] * 2


def test_wrong_values_are_refused(train, capsys):
    for option, message in (
        ("callback.gradients.every=0", "callback.gradients: every must be >= 1, got 0"),
        ("callback.gradients.sites=[gian]", "is not any of ('audio', 'gain', 'encoded', 'weights')"),
        ("callback.gradients.sites=[]", "callback.gradients: sites must be some of audio, gain, encoded, weights"),
    ):
        assert train(option)[0] == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_too_little_memory_leaves_the_probe_out_alone_and_ends_a_run_of_several(monkeypatch):
    """Of several processes the others may be in the middle of it, waiting for this one."""
    callback = Gradients(every=1, sites=["audio"], run=SimpleNamespace(console=Console(file=io.StringIO(), width=300)))
    module, trainer = toy_module(), SimpleNamespace(global_step=1, loggers=[])
    module.figures = {"train/loss": 1.0}

    def full(*given):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(callback, "_measured", full)
    callback.on_train_batch_end(trainer, module, None, SimpleNamespace(audio=None), 0)
    assert "step 1: no gradients per loss" in callback.run.console.file.getvalue()
    monkeypatch.setattr(ranks, "together", lambda: True)
    with pytest.raises(InputError, match=r"Leave weights out of callback\.gradients\.sites"):
        callback.on_train_batch_end(trainer, module, None, SimpleNamespace(audio=None), 0)


def pushed(player, *norms):
    """Steps with gradients of these norms."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = player.equip([("weight", weight)])
    for norm in norms:
        weight.grad = torch.tensor([norm])
        player.prepare(optimizer, 0)


def player(clip_norm):
    return Player(
        optimizer=lambda groups: torch.optim.SGD(groups, lr=1.0),
        schedule=Constant(warmup_steps=0),
        clip_norm=clip_norm,
        groups={},
    )


def test_clipped_steps_are_counted_until_they_are_read():
    """Bound 2, norms 8, 1, 4, 2: two of four are clipped, to 1/4 and 1/2."""
    one = player(2.0)
    assert one.clipping() == {}
    pushed(one, 8.0, 1.0, 4.0, 2.0)
    read = {key: float(value) for key, value in one.clipping().items()}
    assert read == pytest.approx({"fraction": 0.5, "factor": (0.25 + 1 + 0.5 + 1) / 4}, rel=1e-5)
    assert one.clipping() == {}
    pushed(one, 1.0)
    assert {key: float(value) for key, value in one.clipping().items()} == {"fraction": 0, "factor": 1}


@pytest.mark.parametrize("norm", [float("inf"), float("nan")])
def test_a_step_whose_gradient_is_not_finite_counts_as_cut_off(norm):
    one = player(2.0)
    pushed(one, norm, 1.0)
    assert {key: float(value) for key, value in one.clipping().items()} == {"fraction": 0.5, "factor": 0.5}


def test_without_a_bound_nothing_is_counted():
    one = player(None)
    pushed(one, 8.0)
    assert one.clipping() == {}


def test_a_run_tells_how_often_it_clipped(train):
    """Every step, by a bound that nothing stays under; never, by one that nothing exceeds; only while a side plays."""
    options = ["training.players.codec.clip_norm=1e-6", "training.players.adversary.clip_norm=1e6", "adversary.start=3"]
    _, run = train("callback.logging.every=3", *options)
    found = [{k: v for k, v in row.items() if k.startswith("clip/")} for row in rows(run) if "loss/l1" in row]
    assert [set(row) for row in found] == [
        {"clip/codec/fraction", "clip/codec/factor"},
        {"clip/codec/fraction", "clip/codec/factor", "clip/adversary/fraction", "clip/adversary/factor"},
    ]
    assert found[1]["clip/codec/fraction"] == found[1]["clip/adversary/factor"] == 1
    assert found[1]["clip/adversary/fraction"] == 0
    assert 0 < found[1]["clip/codec/factor"] < 1e-3


def test_a_run_without_a_bound_says_nothing_of_clipping(train):
    _, run = train("training.players.codec.clip_norm=null", "max_steps=2")
    assert {k for row in rows(run) for k in row if k.startswith("clip/codec")} == set()
    assert any("clip/adversary/fraction" in row for row in rows(run))
