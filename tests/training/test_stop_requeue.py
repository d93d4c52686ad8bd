"""A SLURM job that has to stop goes into the queue again, where SLURM is a script that writes down what it is told."""

import os
import re
import signal
import subprocess
from types import SimpleNamespace

import pytest
from rich.console import Console

from conftest import ROOT, TOY, voices
from telucodec.audio.files import write
from telucodec.training.callbacks.requeue import Requeue
from telucodec.training.callbacks.stop import Stop

JOB = {"SLURM_JOB_ID": "4711"}
TASK = {"SLURM_JOB_ID": "4711", "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3"}
BOTH = ["SIGUSR1", "SIGTERM"]


def tool(folder, name, text):
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / "bin" / name).chmod(0o755)


@pytest.fixture
def stopped(tmp_path, monkeypatch, capsys):
    """End a run that a signal has stopped, as `fit` does; gives what scontrol was told, and what was printed."""
    tool(tmp_path, "scontrol", f'echo "$*" >> {tmp_path}/told')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name in TASK:
        monkeypatch.delenv(name, raising=False)

    def end(environment, number, signals=BOTH, rank=0, stopping=True):
        if rank:
            monkeypatch.setattr("telucodec.ranks.together", lambda: True)
            monkeypatch.setattr("telucodec.ranks.own", lambda: rank)
            monkeypatch.setattr("telucodec.ranks.from_first", lambda own: (None, None))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        run = SimpleNamespace(stop=Stop(), console=Console(soft_wrap=True))
        Requeue(signals=signals, run=run)
        with run.stop.listening():
            run.stop.stopping, run.stop.signal = stopping, number
        told = tmp_path / "told"
        return (told.read_text().splitlines() if told.exists() else []), capsys.readouterr().out

    return end


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_job_that_was_asked_to_stop_is_put_back_once(stopped, number):
    assert stopped(JOB, number) == (["requeue 4711"], "SLURM job 4711: is in the queue again.\n")


def test_a_task_of_an_array_goes_by_its_place(stopped):
    assert stopped(TASK, signal.SIGUSR1)[0] == ["requeue 4711_3"]


@pytest.mark.parametrize(
    ("environment", "number", "given"),
    [
        (JOB, signal.SIGINT, {}),  # somebody pressed Ctrl-C
        (JOB, signal.SIGTERM, {"signals": ["SIGUSR1"]}),
        (JOB, signal.SIGUSR1, {"rank": 1}),  # the first process of the run tells it
        (JOB, signal.SIGUSR1, {"stopping": False}),  # it came too late: the run is finished
        ({}, signal.SIGUSR1, {}),  # no SLURM
    ],
)
def test_nothing_else_is(stopped, environment, number, given):
    assert stopped(environment, number, **given) == ([], "")


def test_a_refusal_is_told_and_the_run_is_saved_all_the_same(stopped, tmp_path):
    tool(tmp_path, "scontrol", "echo 'Requested operation is presently disabled' >&2; exit 1")
    _, told = stopped(JOB, signal.SIGUSR1)
    assert told == (
        "SLURM job 4711: not put into the queue again (Requested operation is presently disabled). Submit it anew.\n"
    )


def test_a_machine_without_scontrol_is_told(stopped, tmp_path, monkeypatch):
    (tmp_path / "bin" / "scontrol").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "not put into the queue again ([Errno 2]" in stopped(JOB, signal.SIGUSR1)[1]


@pytest.mark.slow
def test_the_batch_script_of_the_documents_goes_on_where_it_was_stopped(tmp_path):
    """srun starts one process, and warns it in step 3 of the first time; the queue starts the script again."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", (ROOT / "docs/devices.md").read_text(), re.DOTALL)
    (tmp_path / "train.sbatch").write_text(script)
    for number in range(12):
        write(tmp_path / "speech" / f"{number}.flac", voices(number, 0.4 + 0.02 * number), 16000)
    struck = f"{os.sys.executable} {ROOT / 'tests/training/stopped_run.py'} training"
    tool(tmp_path, "srun", f'[ "$2 $3" = "telucodec train" ] && exec {struck} $WARNING "${{@:4}}"')
    tool(tmp_path, "scontrol", f'echo "$*" >> {tmp_path}/told')
    environment = os.environ | JOB | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    environment |= {"TELUCODEC_CACHE": str(tmp_path / "cache"), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    toy = [*TOY, "data=folder", f"data.root={tmp_path / 'speech'}", "callback.saving.every=100"]
    outputs = []
    for warning in (signal.SIGUSR1, 0):
        ran = subprocess.run(
            ["bash", "train.sbatch", *toy],
            cwd=tmp_path,
            env=environment | {"WARNING": str(int(warning))},
            capture_output=True,
            text=True,
            timeout=600,
        )
        outputs.append(ran.stdout)
        assert ran.returncode == (130 if warning else 0), ran.stderr
    assert (tmp_path / "told").read_text() == "requeue 4711\n"
    assert "SLURM job 4711: is in the queue again." in outputs[0]
    assert "from step-000000003.ckpt" in outputs[1]
    assert len(list((tmp_path / "runs" / "toy").iterdir())) == 1
