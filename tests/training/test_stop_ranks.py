"""Two processes, of which one is killed or asked to stop at any moment, and gone on: the same run, bit for bit."""

import io
import signal
from functools import cache

import pytest
import stopped_run
from companies import in_company, said
from rich.console import Console
from stopped_run import PHASES, SIGNALS, assert_same, final, go, struck

from telucodec.training.checkpoint import newest_checkpoint

lively = stopped_run.lively
pytestmark = pytest.mark.slow
TWO = ("trainer=ddp_cpu", "trainer.devices=2")
STOPPED = 130
# the newest checkpoint afterwards: a kill loses the step, a request is heeded after it
LEFT = {"training": (2, 3), "validation": (2, 3), "saving": (2, 5)}


def together(configured, folder, *overrides, phase="training", number=0, whom=0):
    """What each of two processes of a run ended with; one of them may be struck."""

    def act(rank):
        with struck(phase, number if rank == whom else 0):
            return 0 if go(configured(*TWO, *overrides), folder / "run") else STOPPED

    return in_company(2, folder, act)


def told(folder):
    return "\n".join(said(folder, rank)[-3000:] for rank in range(2))


@pytest.fixture(scope="module")
def whole(lively):
    """What a run that nobody disturbs comes to, by its seed."""
    home, configured = lively

    @cache
    def run(seed):
        folder = home / f"whole_{seed}"
        assert together(configured, folder, f"seed={seed}") == [0, 0], told(folder)
        return final(folder / "run")

    return run


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_stopped_goes_on_as_the_run_that_never_was(lively, whole, tmp_path, phase, number):
    _, configured = lively
    killed, whom = number is signal.SIGKILL, 0 if phase == "saving" else 1  # the first one saves
    codes = together(configured, tmp_path, phase=phase, number=number, whom=whom)
    if killed:
        assert (codes[whom], codes[1 - whom]) == (-signal.SIGKILL, 1), told(tmp_path)
    else:
        assert codes == [STOPPED, STOPPED], told(tmp_path)
    path, skipped = newest_checkpoint(tmp_path / "run")
    assert (path.name, skipped) == (f"step-{LEFT[phase][not killed]:09}.ckpt", [])
    assert together(configured, tmp_path) == [0, 0], told(tmp_path)
    assert_same(final(tmp_path / "run"), whole(0))


def test_two_different_runs_differ_and_so_do_the_processes_of_one(whole):
    for key in ("state_dict", "optimizer_states", "telucodec", "rows"):
        with pytest.raises(AssertionError):
            assert_same(whole(0)[key], whole(1)[key])
    assert len(whole(0)["telucodec"]["random"]) == 2


def test_one_process_goes_on_with_what_two_have_made_and_says_so(lively, tmp_path):
    _, configured = lively
    codes = together(configured, tmp_path, number=signal.SIGTERM)
    assert codes == [STOPPED, STOPPED], told(tmp_path)
    console = Console(file=io.StringIO(), width=500)
    assert go(configured(), tmp_path / "run", console)
    assert "2 processes made this checkpoint, 1 go on: random numbers continue as the first one's" in (
        console.file.getvalue()
    )
    assert len(final(tmp_path / "run")["telucodec"]["random"]) == 1
