"""Killed or asked to stop at any moment, and gone on: the same run, bit for bit."""

import os
import signal
from functools import cache
from types import SimpleNamespace

import lightning
import pytest
import stopped_run
from stopped_run import PHASES, SIGNALS, assert_same, final, go, in_a_child, struck

from telucodec.training.callbacks import stop
from telucodec.training.callbacks.stop import Stop
from telucodec.training.checkpoint import newest_checkpoint

lively = stopped_run.lively
REPRESENTATIVE = {("training", signal.SIGTERM), ("validation", signal.SIGINT), ("saving", signal.SIGKILL)}
CELLS = [
    pytest.param(phase, number, marks=[] if (phase, number) in REPRESENTATIVE else pytest.mark.slow)
    for phase in PHASES
    for number in SIGNALS
]
# the newest checkpoint afterwards: a kill loses the step, a request is heeded after it
LEFT = {"training": (2, 3), "validation": (2, 3), "saving": (2, 5)}


@pytest.fixture(scope="module")
def whole(lively):
    """What a run that nobody disturbs comes to, by its seed."""
    home, configured = lively

    @cache
    def run(seed):
        assert go(configured(f"seed={seed}"), home / f"whole_{seed}")
        return final(home / f"whole_{seed}")

    return run


@pytest.mark.parametrize(("phase", "number"), CELLS)
def test_what_was_stopped_goes_on_as_the_run_that_never_was(lively, whole, tmp_path, phase, number):
    _, configured = lively
    killed = number is signal.SIGKILL

    def first():
        with struck(phase, number):
            assert not go(configured(), tmp_path / "run")

    if killed:
        assert in_a_child(first) == signal.SIGKILL
    else:
        first()
    path, skipped = newest_checkpoint(tmp_path / "run")
    assert (path.name, skipped) == (f"step-{LEFT[phase][not killed]:09}.ckpt", [])
    assert go(configured(), tmp_path / "run")
    assert_same(final(tmp_path / "run"), whole(0))
    assert not list((tmp_path / "run").rglob(".*.partial"))


def test_two_different_runs_differ(whole):
    for key in ("state_dict", "optimizer_states", "telucodec", "rows"):
        with pytest.raises(AssertionError):
            assert_same(whole(0)[key], whole(1)[key])


@pytest.fixture
def listening():
    """A stop that listens, and a trainer that it stops."""
    trainer = SimpleNamespace(should_stop=False)
    one = Stop()
    with one.listening():
        yield one, trainer


@pytest.mark.parametrize("number", stop.SIGNALS)
def test_a_signal_is_heeded_when_it_is_asked_for(listening, number):
    one, trainer = listening
    assert not one.heed(trainer)
    os.kill(os.getpid(), number)
    assert (one.asked, one.stopping, trainer.should_stop) == (True, False, False)
    assert one.heed(trainer)
    assert (one.stopping, trainer.should_stop, one.signal) == (True, True, number)


def test_a_second_signal_stops_at_once_unless_it_is_the_first_ones_echo(listening, monkeypatch):
    one, _ = listening
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)  # torchrun passes on what SLURM has sent to everybody
    one.since -= stop.ECHO
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    assert one.signal == signal.SIGTERM


def test_what_is_to_be_done_afterwards_is_done_for_a_stop_alone():
    done = []
    for asked in (False, True):
        one = Stop()
        one.afterwards.append(lambda: done.append(1))
        before = signal.getsignal(signal.SIGUSR1)
        with one.listening():
            one.asked = asked
            one.heed(SimpleNamespace())
            assert done == []
        assert signal.getsignal(signal.SIGUSR1) is before
        assert done == [1] * asked


def test_one_process_that_was_asked_stops_them_all(monkeypatch):
    """Seen from the process that got nothing, while the other got SIGUSR1."""
    monkeypatch.setattr("telucodec.ranks.anywhere", lambda flag: True)
    monkeypatch.setattr("telucodec.ranks.gathered", lambda own: [own, signal.SIGUSR1])
    one, trainer = Stop(), SimpleNamespace()
    with one.listening():
        assert one.heed(trainer)
        assert (one.asked, one.stopping, one.signal, trainer.should_stop) == (True, True, signal.SIGUSR1, True)
        os.kill(os.getpid(), signal.SIGUSR1)  # it comes here as well, a little later: no second request
        one.since -= stop.ECHO
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR1)


def test_lightning_leaves_the_signals_alone(listening):
    """Its own handler of SIGTERM broadcasts to the other processes, whatever they are doing."""
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    before = signal.getsignal(signal.SIGTERM)
    listening[0].setup(trainer, None, "fit")
    trainer._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) == before
    trainer._signal_connector.teardown()
    assert signal.getsignal(signal.SIGTERM) == before
