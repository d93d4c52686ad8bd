"""The two players do not leak into each other, and one step is one batch."""

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.utils.data import DataLoader

from conftest import toy_module, voices
from telucodec.errors import InputError
from telucodec.records import Batch
from telucodec.training.player import Player
from telucodec.training.schedule import Constant, Cosine


def batches(count, size=4):
    audio = torch.stack([torch.from_numpy(voices(k, 0.064)) for k in range(count * size)])
    return DataLoader(audio, batch_size=size, collate_fn=lambda items: Batch(torch.stack(items), ("",) * len(items)))


def run(module, steps, *callbacks, **options):
    torch.manual_seed(1)  # codebooks start from random frames
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(module, batches(steps))
    return trainer


class Watch(Callback):
    """Keeps what the module noted in each step."""

    def __init__(self):
        self.figures, self.rates = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.figures.append({k: float(v) for k, v in pl_module.figures.items()})
        self.rates.append(pl_module.learning_rates())


class Gradients(Callback):
    """What each player's weights and gradients were around each optimizer step."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        sides = {"codec": pl_module.codec, "adversary": pl_module.adversary}
        have = {name: any(p.grad is not None for p in side.parameters()) for name, side in sides.items()}
        self.seen.append(have)


def test_each_players_gradients_are_its_own():
    watch = Gradients()
    module = toy_module()
    run(module, 3, watch)
    assert watch.seen == [{"codec": False, "adversary": True}, {"codec": True, "adversary": False}] * 3
    assert all(p.grad is None for p in module.parameters())


def test_the_codecs_step_leaves_the_adversary_bitwise_alone_and_the_reverse():
    moved = []

    class Compare(Callback):
        def on_train_start(self, trainer, pl_module):
            step = pl_module._move
            sides = {"codec": pl_module.codec, "adversary": pl_module.adversary}

            def move(name):
                before = {k: [p.clone() for p in s.parameters()] for k, s in sides.items()}
                step(name)
                pairs = {k: zip(before[k], s.parameters(), strict=True) for k, s in sides.items()}
                moved.append((name, {k: not all(torch.equal(a, b) for a, b in both) for k, both in pairs.items()}))

            pl_module._move = move

    run(toy_module(), 2, Compare())
    assert (
        moved
        == [("adversary", {"codec": False, "adversary": True}), ("codec", {"codec": True, "adversary": False})] * 2
    )


def test_the_codec_runs_once_a_step_and_the_adversary_judges_with_its_new_weights():
    calls = {"codec": 0, "judged": []}
    module = toy_module()
    forward, judge = module.codec.forward, module.adversary.forward

    def counted(audio):
        calls["codec"] += 1
        return forward(audio)

    def judged(audio):
        calls["judged"].append(next(module.adversary.parameters()).detach().clone())
        return judge(audio)

    module.codec.forward, module.adversary.forward = counted, judged
    before = next(module.adversary.parameters()).detach().clone()
    run(module, 1)
    assert calls["codec"] == 1
    assert len(calls["judged"]) == 2, "once for the decoded audio, once for the target"
    assert all(not torch.equal(weights, before) for weights in calls["judged"])


@pytest.mark.parametrize("start", [0, 3, 99])
def test_one_step_is_one_batch_whenever_the_adversary_starts(start):
    watch = Watch()
    trainer = run(toy_module(f"adversary.start={start}"), 5, watch)
    assert trainer.global_step == 5
    assert len(watch.figures) == 5
    assert ["adversary/stft" in f for f in watch.figures] == [step >= start for step in range(5)]
    assert ["loss/adversarial" in f for f in watch.figures] == [step >= start for step in range(5)]


def test_without_discriminators_there_is_one_optimizer():
    watch = Watch()
    module = toy_module("discriminator=[]", "loss=[l1,commitment]")
    trainer = run(module, 3, watch)
    assert trainer.global_step == 3
    assert len(trainer.optimizers) == 1
    assert set(watch.rates[0]) == {"lr/codec"}


def test_the_learning_rate_follows_its_closed_form():
    watch = Watch()
    run(toy_module("schedule.warmup_steps=2", "optimizer.lr=0.01"), 6, watch)
    schedule = Cosine(warmup_steps=2, total_steps=6, final_factor=0.02)
    assert [r["lr/codec"] for r in watch.rates] == pytest.approx([0.01 * schedule(step) for step in range(6)])


def test_codebooks_learn_once_a_step():
    module = toy_module("restart=none")
    counts = []
    update = module.codec.quantizer.update
    module.codec.quantizer.update = lambda evidence: (counts.append(len(evidence)), update(evidence))
    run(module, 3)
    assert counts == [1, 1, 1]


def weights(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_give_the_same_step_as_one_batch(parts):
    """Plain SGD, so that the weights after the step are the gradients."""
    one, split = Watch(), Watch()
    modules = []
    for count, watch in ((1, one), (parts, split)):
        module = toy_module(f"training.accumulate={count}", "training.players.codec.clip_norm=null")
        for player in module.players.values():
            player.optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.1)
        module.train()
        module.codec(batches(1).dataset)  # the same codebooks in both, before the step
        run(module, 1, watch)
        modules.append(module)
    torch.testing.assert_close(weights(modules[1]), weights(modules[0]), rtol=1e-4, atol=1e-6)
    for a, b in zip(modules[1].codec.buffers(), modules[0].codec.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert split.figures[0] == pytest.approx(one.figures[0], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["codec", "adversary"])
def test_clipping_bounds_the_step(name):
    """Plain SGD at learning rate 1 moves the weights by exactly the clipped gradient."""
    module = toy_module(f"training.players.{name}.clip_norm=0.001")
    for player in module.players.values():
        player.optimizer = lambda parameters: torch.optim.SGD(parameters, lr=1.0)
    before = weights(getattr(module, name))
    watch = Watch()
    module.players[name].schedule = Constant(warmup_steps=0)
    run(module, 1, watch)
    assert (weights(getattr(module, name)) - before).norm().item() == pytest.approx(0.001, rel=1e-3)
    assert watch.figures[0][f"gradient_norm/{name}"] > 0.001, "the logged norm is the one before clipping"


@pytest.mark.parametrize("fused", [True, False])
def test_clipping_sees_unscaled_gradients_under_a_loss_scale(fused):
    """A fake loss scale of 1024 in float32: the norms that are logged and clipped must not know of it."""
    plain, scaled = Watch(), Watch()
    modules = [toy_module("training.players.codec.clip_norm=0.01") for _ in range(2)]
    for module in modules:
        for player in module.players.values():
            player.optimizer = lambda parameters: torch.optim.SGD(parameters, lr=1.0, fused=fused)
    run(modules[0], 1, plain)

    class FakeScale(MixedPrecision):
        def __init__(self):
            super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1024.0))

        def autocast_context_manager(self):
            return torch.autocast("cpu", enabled=False)

    run(modules[1], 1, scaled, plugins=[FakeScale()])
    assert scaled.figures[0] == pytest.approx(plain.figures[0], rel=1e-5)
    torch.testing.assert_close(weights(modules[1]), weights(modules[0]), rtol=1e-4, atol=1e-6)


def test_bf16_trains_and_keeps_the_quantizer_in_float32():
    module = toy_module()
    run(module, 2, precision="bf16-mixed")
    assert torch.isfinite(weights(module)).all()
    encoded = torch.randn(2, 8, 50)
    module.eval()
    with torch.autocast("cpu", torch.bfloat16):
        half = module.codec.quantizer(encoded)
    whole = module.codec.quantizer(encoded)
    assert {stage.wanted.dtype for stage in half.stages} == {torch.float32}
    assert torch.equal(half.codes, whole.codes)


def test_discriminators_that_no_loss_reads_never_run():
    module = toy_module("loss=[l1,commitment]")
    trainer = run(module, 2)
    assert len(trainer.optimizers) == 1
    assert all(p.grad is None for p in module.adversary.parameters())


def test_losses_that_read_discriminators_need_some():
    with pytest.raises(InputError, match="adversarial, feature: read discriminators, but"):
        toy_module("discriminator=[]")


def test_players_refuse_wrong_values():
    with pytest.raises(ValueError, match="clip_norm must be > 0 or null"):
        Player(optimizer=torch.optim.SGD, schedule=Constant(warmup_steps=0), clip_norm=0.0, groups={})
    with pytest.raises(ValueError, match="warmup_steps must be >= 0"):
        Constant(warmup_steps=-1)


@pytest.mark.parametrize("parts", [1, 4])
def test_codebooks_begin_with_the_whole_batch(parts):
    """k-means without iterations takes frames as they are: with 4 parts of 128 frames as with one of 512."""
    module = toy_module(f"training.accumulate={parts}", "initial.iterations=0", "quantizer.codebook.codebook_size=400")
    started = []

    class Look(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            started.append(pl_module.codec.quantizer.books[0].codewords.unique(dim=0).shape[0])

    run(module, 1, Look())
    assert started[0] == 400, "400 different frames"
