"""Steps that are not finite: what is told of them, and what becomes of the run."""

import json
import math
from copy import deepcopy
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision
from rich.console import Console
from torch.utils.data import DataLoader

from conftest import config, toy_module, voices
from telucodec.errors import DivergedError
from telucodec.records import Batch
from telucodec.training.callbacks import nonfinite
from telucodec.training.callbacks.nonfinite import Raise, Rollback, Skip
from telucodec.training.checkpoint import read_checkpoint
from telucodec.training.module import CodecTraining
from telucodec.training.nonfinite import Finding
from telucodec.training.record import RunRecord
from telucodec.training.schedule import Cosine
from telucodec.training.snapshot import Snapshot

# all that a step may move: two players, running statistics, averages of weights, of gradients' norms and of frames
WHOLE = ("average=ema", "combine=balancer", "output=[post_net]", "restart.threshold=0.9")
KINDS = ("loss", "encoded", "audio", "gradient")


def spoil(module, kind, *steps):
    """Make something not finite in some steps, counted from 0."""

    def factor(*_):
        return math.nan if module.index in steps else 1.0

    def one(encoded):
        factors = torch.ones(len(encoded), 1, 1)
        factors[len(encoded) // 2] = factor()  # the third of four, the second of two
        return encoded * factors

    if kind == "loss":
        term = module.terms.terms["mse"]
        forward = term.forward
        term.forward = lambda step: forward(step) * factor()
    elif kind == "encoded":
        module.codec.encoder.register_forward_hook(lambda part, given, encoded: one(encoded))
    elif kind == "gradient":
        next(module.codec.decoder.parameters()).register_hook(lambda gradient: gradient * factor())


def batches(count, spoiled=()):
    """Of four crops each, from the files 0.flac, 1.flac, ...; in spoiled ones a sample of the second is infinite."""
    for index in range(count):
        audio = torch.stack([torch.from_numpy(voices(4 * index + k, 0.064)) for k in range(4)])
        audio[1, 0, 5] = math.inf if index in spoiled else audio[1, 0, 5]
        yield Batch(audio, tuple(f"{4 * index + k}.flac" for k in range(4)))


def run(module, steps, *callbacks, spoiled=(), **options):
    torch.manual_seed(1)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="cpu", enable_model_summary=False, callbacks=list(callbacks), **quiet, **options
    )
    trainer.fit(module, DataLoader(list(batches(steps, spoiled)), batch_size=None, collate_fn=lambda batch: batch))
    return trainer


def a_run(folder):
    """What callbacks share: a console and a record."""
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(console=Console(quiet=True), record=RunRecord(folder, 0), folder=folder)


@pytest.fixture
def shared(tmp_path):
    return a_run(tmp_path)


def incidents(shared):
    return [json.loads(line) for line in (shared.folder / "incidents.jsonl").read_text().splitlines()]


def state(trainer, module):
    """All that a step may move, as it is now."""
    books = module.codec.quantizer.books
    counted = [(book.moves, book.updates, book.is_ready()) for book in books]
    return deepcopy((module.state_dict(), [o.state_dict()["state"] for o in trainer.optimizers], counted))


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


class States(Callback):
    """The state before each step and after it."""

    def __init__(self):
        self.before, self.after, self.rates, self.files = [], [], [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before.append(state(trainer, pl_module))
        self.files.append(batch.files[0])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.after.append(state(trainer, pl_module))
        self.rates.append(pl_module.learning_rates()["lr/codec"])


@pytest.mark.parametrize(
    ("kind", "told", "files"),
    [
        ("loss", "loss/mse, weighted/mse, train/loss; the gradient of codec.", "8.flac, 9.flac, 10.flac, 11.flac"),
        ("encoded", "encoded, latent, audio; adversary/", "10.flac"),
        ("audio", "target, encoded, latent, audio; adversary/", "9.flac"),
        ("gradient", "the gradient of codec.decoder.", "8.flac, 9.flac, 10.flac, 11.flac"),
    ],
)
def test_the_report_names_where_it_began_and_the_files(shared, kind, told, files):
    module = toy_module()
    spoil(module, kind, 2)
    with pytest.raises(DivergedError) as error:
        run(module, 4, Raise(run=shared), spoiled=(2,) if kind == "audio" else ())
    text = str(error.value)
    assert text.startswith(f"step 3: not finite: {told}")
    assert f"Heard: {files}. The run diverged. " in text
    assert ("look at these files" in text) == (kind == "audio")
    (row,) = incidents(shared)
    assert (row["step"], row["what"], row["files"]) == (3, "ended the run", files.split(", "))
    assert len(row["parameters"]) == 1 or kind != "gradient"


def test_a_long_report_is_cut_short():
    finding = Finding(["audio"], ["a", "b", "c", "d", "e"], [], [f"{k}" for k in range(10)])
    assert str(finding) == "not finite: audio; a, b, c, d, 1 more. Heard: 0, 1, 2, 3, 4, 5, 6, 7, 2 more"


def test_a_snapshot_puts_back_weights_codebooks_counts_and_moments():
    module = toy_module("average=ema")
    book, weight = module.codec.quantizer.books[0], next(module.codec.parameters())
    first = weight.detach().clone()
    optimizer = torch.optim.Adam(module.codec.parameters(), lr=1.0)
    snapshot = Snapshot(module, [optimizer])

    def step():
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        book.counts += 3
        book.updates += 1
        module.average.after_step(module.codec)
        module.eval()

    step()
    snapshot.restore()
    assert torch.equal(weight, first)
    assert (book.updates, float(book.counts.sum()), bool(module.average.started)) == (0, 0.0, False)
    assert not optimizer.state, "it had none"
    assert not module.training, "training or evaluation is no part of it"
    step()
    snapshot.take()
    step()
    snapshot.restore()
    assert torch.allclose(weight, first - 1), "Adam's first step is its learning rate"
    assert (book.updates, float(book.counts[0]), float(optimizer.state[weight]["step"])) == (1, 3.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "order"), [*((kind, "[adversary,codec]") for kind in KINDS), ("loss", "[codec,adversary]")]
)
def test_a_step_that_is_left_out_moves_nothing(shared, kind, order):
    """The first, before codebooks and moments have begun, and the fourth."""
    module, states = toy_module(*WHOLE, f"training.order={order}"), States()
    spoil(module, kind, 0, 3)
    trainer = run(module, 6, Skip(limit=1, run=shared), states, spoiled=(0, 3) if kind == "audio" else ())
    assert [same(a, b) for a, b in zip(states.before, states.after, strict=True)] == [True, False, False] * 2
    assert trainer.global_step == 6
    chosen = config()["schedule"]
    schedule = Cosine(**{k: v for k, v in chosen.items() if k != "_target_"})
    assert states.rates == pytest.approx([config()["optimizer"]["lr"] * schedule(step) for step in range(6)])
    assert states.files == [f"{4 * k}.flac" for k in range(6)]
    assert [row["step"] for row in incidents(shared)] == [1, 4]
    assert module.figures, "those of the last step, which was made"
    assert all(p.isfinite().all() for p in module.parameters())


def test_a_run_whose_steps_are_all_finite_is_the_same_under_each_answer(shared):
    """To the last bit, whether it is watched or not, also in micro-batches."""
    ends = []
    for policy in ([], [Raise(run=shared)], [Skip(limit=1, run=shared)], [Rollback(limit=1, run=shared)]):
        module = toy_module(*WHOLE[:1], *WHOLE[2:], "training.accumulate=2")
        ends.append(state(run(module, 3, *policy), module))
    assert all(same(ends[0], end) for end in ends[1:])


def test_too_many_in_a_row_end_the_run(shared):
    module = toy_module()
    spoil(module, "loss", 1, 3, 4, 5)
    skip = Skip(limit=2, run=shared)
    with pytest.raises(DivergedError, match=r"^step 6: not finite: loss/mse"):
        run(module, 8, skip)
    assert (skip.count, skip.streak) == (3, 2)
    assert [row["what"] for row in incidents(shared)] == ["left out"] * 3 + ["ended the run"]
    again = Skip(limit=2, run=shared)
    again.load_state_dict(skip.state_dict())
    assert (again.count, again.streak) == (3, 2)


class Saves(Callback):
    """Writes a checkpoint after some steps."""

    def __init__(self, folder, *steps):
        self.folder, self.steps = folder, steps

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step in self.steps:
            trainer.save_checkpoint(self.folder / "saved.ckpt")


def test_a_rollback_goes_to_the_newest_checkpoint_and_the_clock_goes_on(shared, tmp_path):
    """To the beginning, where there is none: after steps 1 and 5; it was written after step 3."""
    module, states = toy_module(*WHOLE), States()
    spoil(module, "loss", 0, 4)
    rollback = Rollback(limit=1, run=shared)
    trainer = run(module, 6, rollback, Saves(tmp_path, 3), states)
    assert same(states.after[0], states.before[0])
    assert same(states.after[4], states.after[2])
    assert not same(states.after[4], states.before[4])
    assert not same(states.after[5], states.before[5])
    assert (trainer.global_step, rollback.count) == (6, 2)
    assert states.files == [f"{4 * k}.flac" for k in range(6)]
    assert [row["what"] for row in incidents(shared)] == ["rolled back to step 0", "rolled back to step 3"]


def test_the_second_rollback_to_one_checkpoint_ends_the_run_if_one_is_allowed(shared, tmp_path):
    module = toy_module()
    spoil(module, "loss", 1, 3, 5)
    rollback = Rollback(limit=1, run=shared)
    with pytest.raises(DivergedError, match=r"^step 6: "):
        run(module, 8, rollback, Saves(tmp_path, 3))
    assert (rollback.count, rollback.since) == (2, 3)


def test_saving_what_was_gone_back_to_makes_up_for_nothing(shared, tmp_path):
    """A checkpoint after each step of a loss that is never finite, then one finite step behind it."""
    module = toy_module()
    spoil(module, "loss", *range(9))
    rollback = Rollback(limit=2, run=shared)
    with pytest.raises(DivergedError, match=r"^step 3: "):
        run(module, 9, rollback, Saves(tmp_path, *range(1, 9)))
    assert (rollback.count, rollback.streak, rollback.since) == (2, 2, 0)
    module = toy_module()
    spoil(module, "loss", 0, 1, 3, 4)
    rollback = Rollback(limit=2, run=shared)
    assert run(module, 5, rollback, Saves(tmp_path, *range(1, 9))).global_step == 5
    assert (rollback.count, rollback.streak, rollback.since) == (4, 2, 3)


@pytest.mark.parametrize("policy", [Skip, Rollback])
def test_the_clipping_of_the_finite_steps_stays_counted(shared, policy):
    """Of four steps the third is left out; nobody has read the figures in between."""
    module = toy_module()
    spoil(module, "gradient", 2)
    run(module, 4, policy(limit=1, run=shared))
    counters = [player.counters() for player in module.players.values()]
    assert [steps for steps, _ in counters] == [3, 3]
    assert all(0 < float(factors) <= 3 for _, (_, factors) in counters)


class Scaled(MixedPrecision):
    """16-mixed's loss scale in float32, too large to begin with."""

    def __init__(self, scale):
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))

    def autocast_context_manager(self):
        return torch.autocast("cpu", enabled=False)


def test_a_loss_scale_that_is_still_being_found_is_left_alone(shared, monkeypatch):
    module, norms = toy_module(), []

    class Norms(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            norms.append(float(pl_module.figures["gradient_norm/codec"]))

    before = [p.clone() for p in module.codec.parameters()]
    run(module, 5, Raise(run=shared), Norms(), plugins=[Scaled(2.0**127)])
    assert not math.isfinite(norms[0]), "it overflowed, and 16-mixed threw it away"
    assert math.isfinite(norms[-1])
    assert not same(before, list(module.codec.parameters()))
    module = toy_module()
    spoil(module, "gradient", *range(4))
    monkeypatch.setattr(nonfinite, "PATIENCE", 2)
    with pytest.raises(DivergedError, match=r"^step 3: not finite: the gradient of"):
        run(module, 4, Raise(run=shared), plugins=[Scaled(1.0)])
    module = toy_module()
    spoil(module, "loss", 0)
    with pytest.raises(DivergedError, match=r"^step 1: not finite: loss/mse"):
        run(module, 1, Raise(run=shared), plugins=[Scaled(1.0)])


def test_wrong_values_are_refused(shared):
    for policy in (Skip, Rollback):
        with pytest.raises(ValueError, match="limit must be >= 1"):
            policy(limit=0, run=shared)


def test_it_comes_first_so_that_nothing_is_logged_measured_or_saved_of_such_a_step():
    assert list(config()["callback"])[:2] == ["nonfinite", "broken"]
    assert next(iter(config("callback=[saving]", "nonfinite=skip")["callback"])) == "nonfinite"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(folder):
    return lines(folder / "metrics.jsonl")


@pytest.fixture
def spoiled(monkeypatch):
    """Make all runs' fourth step not finite."""
    begin = CodecTraining.configure_optimizers

    def configured(self):
        spoil(self, "loss", 3)
        return begin(self)

    monkeypatch.setattr(CodecTraining, "configure_optimizers", configured)


def test_a_run_that_leaves_a_step_out_resumes_bit_for_bit(train, spoiled, capsys):
    """Ended by that step, gone on with another answer, stopped right after it; the step's row has no figures of it."""
    _, whole = train("nonfinite=skip")
    capsys.readouterr()
    code, parts = train("name=parts")
    assert code == 2
    assert "step 4: not finite: loss/mse" in " ".join(capsys.readouterr().err.split())
    assert json.loads((parts / "run.json").read_text())["status"] == "diverged"
    assert [path.name for path in (parts / "checkpoints").iterdir()] == ["step-000000002.ckpt"]
    code, parts = train("name=parts", "nonfinite=skip", "max_steps=4", f"resume={parts}")
    code, parts = train("name=parts", "nonfinite=skip", f"resume={parts}")
    assert code == 0
    ends = [read_checkpoint(folder / "checkpoints/step-000000006.ckpt") for folder in (whole, parts)]
    for key in ("state_dict", "optimizer_states", "global_step"):
        assert same(ends[0][key], ends[1][key])
    states = [s for name, s in ends[1]["callbacks"].items() if name.startswith("Skip")]
    assert states == [{"count": 1, "streak": 0}]
    for folder in (whole, parts):
        (skipped,) = [row for row in rows(folder) if "train/skipped" in row]
        assert (skipped["step"], skipped["train/skipped"]) == (4, 1)
        assert [row["step"] for row in rows(folder) if "loss/mse" in row] == [1, 2, 3, 5, 6]
        assert [row["what"] for row in lines(folder / "incidents.jsonl")] == ["left out"]
    assert "step 4: left out: not finite: loss/mse" in capsys.readouterr().out
