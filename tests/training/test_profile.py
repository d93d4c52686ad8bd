"""Where a step's time goes: the parts add up, every loss has its own, and the run does not notice."""

import io
import json
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from test_step import Watch, run

from conftest import toy_module
from telucodec.errors import InputError
from telucodec.training import profile
from telucodec.training.callbacks.profile import SPLIT, TRACE, WARM, Profile, row
from telucodec.training.profile import Actions, Spent, Split, watched

STEPS = 2


def of(folder, max_steps=WARM + STEPS, start=0):
    console = Console(file=io.StringIO(), width=100)
    return SimpleNamespace(folder=folder, console=console, max_steps=max_steps, record=SimpleNamespace(start=start))


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets; the processor works half of the time."""
    now = SimpleNamespace(at=0.0)
    monkeypatch.setattr(profile.time, "perf_counter", lambda: now.at)
    monkeypatch.setattr(profile.time, "process_time", lambda: now.at / 2)
    return now


def test_each_moment_counts_for_the_innermost_part(clock):
    split = Split(torch.device("cpu"))
    split.enter("before it begins nothing counts")
    split.begin()
    actions = [
        (1, split.enter, "adversary"),
        (3, split.enter, "codec"),
        (6, split.leave),
        (7, split.leave),
        (9, split.enter, "codec"),
    ]
    for at, act, *given in actions:
        clock.at = at
        act(*given)
    clock.at = 10
    found = split.end()  # in the middle of a part
    assert found == {"other": Spent(3, 1.5), "adversary": Spent(3, 1.5), "codec": Spent(4, 2.0)}
    split.leave()  # of what ended with it
    rows = [row(found, name, 5) for name in (*found, "data")]
    assert [each["share"] for each in rows] == [0.3, 0.3, 0.4, 0.0]
    assert [each["cpu_seconds"] for each in rows] == [0.3, 0.3, 0.4, 0.0]


def test_what_lightning_does_is_counted_by_what_it_is(clock):
    split = Split(torch.device("cpu"))
    split.begin()
    actions = Actions(split)
    for name in (
        "[_TrainingEpochLoop].train_dataloader_next",
        "[Strategy]SingleDeviceStrategy.batch_to_device",
        "run_training_batch",
        "[Callback]Logging.on_train_batch_end",
        "[Callback]Logging.on_before_zero_grad",
    ):
        with actions.profile(name):
            clock.at += 1
    assert {name: spent.seconds for name, spent in split.end().items()} == {"data": 2, "callbacks": 1, "other": 2}


def module_of(*overrides):
    return toy_module("discriminator=[scale]", "discriminator.scale.scales=1", *overrides)


def test_a_gpus_time_is_that_between_events_on_its_stream(clock, monkeypatch):
    """With events that tell the time of a clock, in milliseconds as torch's do."""
    waited = []

    class Event:
        def record(self, stream):
            self.at = 100 * clock.at

        def elapsed_time(self, later):
            return later.at - self.at

    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    split = Split(torch.device("cuda"))
    split.begin()
    clock.at = 1
    split.enter("codec")
    clock.at = 4
    assert waited == []
    found = split.end()
    assert waited == [torch.device("cuda")]
    assert found == {"other": Spent(1, 0.5, 0.1), "codec": Spent(3, 1.5, 0.3)}
    assert row(found, "codec", 3)["share"] == pytest.approx(0.75)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_is_split_into_all_that_it_does_and_does_the_same(tmp_path, accumulate):
    wanted = f"training.accumulate={accumulate}"
    plain, profiled, module, made = Watch(), Watch(), module_of(wanted), of(tmp_path)
    run(module_of(wanted), WARM + STEPS, plain)
    trainer = run(module, WARM + STEPS, profiled, Profile(steps=STEPS, run=made))
    assert plain.figures == profiled.figures  # bit for bit
    told = json.loads((tmp_path / "profile" / SPLIT).read_text())
    parts = told["parts"]
    assert (told["first"], told["steps"], told["device"]) == (WARM + 1, STEPS, "cpu")
    assert {name.removeprefix("loss/") for name in parts if name.startswith("loss/")} == set(module.terms.terms)
    assert min(each["seconds"] for each in parts.values()) > 0
    assert sum(each["share"] for each in parts.values()) == pytest.approx(1, abs=1e-9)
    assert sum(each["seconds"] for each in parts.values()) == pytest.approx(told["whole"]["seconds"], rel=1e-9)
    events = json.loads((tmp_path / "profile" / TRACE).read_text())["traceEvents"]
    counts = {name: sum(event.get("name") == name for event in events) for name in parts}
    assert {name for name, count in counts.items() if not count} == {"other"}
    assert counts["loss/mel"] == counts["backward"] == STEPS * accumulate
    assert counts["optimizer/codec"] == counts["codebooks"] == STEPS
    shown = made.console.file.getvalue()
    assert [name for name in (*parts, "whole step", "steps 6 to 7") if name not in shown] == []
    assert not isinstance(trainer.profiler, Actions)


def test_a_loss_that_has_not_started_has_no_time(tmp_path):
    run(module_of("adversary.start=100"), WARM + 1, Profile(steps=1, run=of(tmp_path)))
    parts = json.loads((tmp_path / "profile" / SPLIT).read_text())["parts"]
    absent = {name for name, each in parts.items() if not each["seconds"]}
    assert absent == {"adversary", "optimizer/adversary", "loss/adversarial", "loss/feature"}


def test_a_run_that_ends_early_is_left_as_it_was(tmp_path):
    class Breaks(Watch):
        def on_train_batch_end(self, trainer, *rest):
            if trainer.global_step == WARM + 1:
                raise ArithmeticError

    module = module_of()
    with pytest.raises(ArithmeticError):
        run(module, WARM + STEPS, Breaks(), Profile(steps=STEPS, run=of(tmp_path)))
    assert "reconstruct" not in vars(module)
    assert not (tmp_path / "profile").exists()
    with torch.profiler.profile():  # there can be only one at a time: a second one would be refused
        pass


@pytest.mark.parametrize("steps", [1, 10])
def test_a_profile_longer_than_the_run_is_refused(tmp_path, steps):
    with pytest.raises(InputError, match=rf"trainer.profile: {steps} steps .* \(max_steps={WARM + steps - 1}\)"):
        Profile(steps=steps, run=of(tmp_path, WARM + steps - 1))
    assert Profile(steps=steps, run=of(tmp_path, WARM + steps)).steps == steps


def left_out(run, begun):
    """What a run that goes on says, when it is left unprofiled in all of its steps."""
    callback, module = Profile(steps=2, run=run), module_of()
    for step in range(begun + 1, begun + WARM + 5):
        callback.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, step - 1)
    assert not (run.folder / "profile" / TRACE).exists()
    return run.console.file.getvalue()


def test_a_run_that_goes_on_with_too_few_steps_left_is_not_profiled_which_is_said(tmp_path):
    said = left_out(of(tmp_path, max_steps=10 + WARM + 1, start=10), 10)
    assert said.startswith(
        "trainer.profile: left out: 2 steps are to be profiled after 5 that warm up, but this run has"
    )
    assert said.endswith("has 6 to make (max_steps=16).\n")
    assert Profile(steps=2, run=of(tmp_path, max_steps=10 + WARM + 2, start=10)).steps == 2


@pytest.mark.parametrize("start", [0, 10])
def test_a_run_that_was_profiled_keeps_that_profile_which_is_said(tmp_path, start):
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / SPLIT).write_text("{}")
    said = left_out(of(tmp_path, max_steps=100, start=start), start)
    assert said.startswith("trainer.profile: left out: this run was profiled before; remove ")
    assert said.count("\n") == 1
    assert (tmp_path / "profile" / SPLIT).read_text() == "{}"


def test_only_the_first_process_profiles(tmp_path, monkeypatch):
    callback, module = Profile(steps=1, run=of(tmp_path)), module_of()
    monkeypatch.setattr("telucodec.ranks.own", lambda: 1)
    for step in range(1, WARM + 2):
        callback.on_train_batch_end(SimpleNamespace(global_step=step), module, None, None, step - 1)
    assert list(tmp_path.iterdir()) == []


def test_watching_covers_methods_and_uncovers_them():
    module, split = module_of(), Split(torch.device("cpu"))
    with watched(module, split):
        assert {"reconstruct", "_descend", "_move"} <= set(vars(module))
        assert "update" in vars(module.codec.quantizer)
    assert not {"reconstruct", "_descend", "_move"} & set(vars(module))
    assert "update" not in vars(module.codec.quantizer)


@pytest.mark.slow
def test_a_run_writes_a_profile_where_it_is_asked_to(train):
    assert not (train("max_steps=1", "name=plain")[1] / "profile").exists()
    code, folder = train(f"max_steps={WARM + 1}", "name=profiled", "trainer.profile=1")
    assert code == 0
    assert sorted(path.name for path in (folder / "profile").iterdir()) == [SPLIT, TRACE]


def test_a_run_that_is_too_short_for_it_leaves_no_folder(train, capsys):
    assert train(f"max_steps={WARM + 1}", "trainer.profile=2") == (2, None)
    assert "trainer.profile: 2 steps" in capsys.readouterr().err
