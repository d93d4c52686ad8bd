"""One device or several: the same run. Real runs at toy size, in processes that find each other over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from companies import SECONDS, in_company, said

import telucodec.training.fit as fitting
from conftest import TOY
from telucodec.cli.main import main
from telucodec.study.jobs.job import state
from telucodec.training.module import CodecTraining

STEPS = 20
LATE = (  # codebooks begin by k-means, dead codewords are moved, the adversary comes in half way
    f"max_steps={STEPS}",
    "loader.batch_size=8",
    "adversary.start=10",
    "restart.threshold=0.5",
    "callback.restarts.every=5",
    "callback.restarts.after=[5]",
    f"callback.validation.every={STEPS}",
    f"callback.saving.every={STEPS}",
    f"callback.gradients.every={STEPS}",
)
SPOILED = "nonfinite=skip"  # with it a sample of the last process's seventh batch is not a number
LIMIT = 1e-5  # of what rounding may do to the loss in 20 steps
NOISE = 1e-3  # and to what amplifies it: gradients of spectra near zero, a term that is a hundredth of the loss
STATISTICS = (  # everything that is one number of the whole batch
    "quantizer_dropout=items",
    "output=[post_net,scale]",
    "combine=balancer",
    "loss=[l1,mel,rms_global,adversarial,feature_relative,commitment]",
)
CALM = 6  # with them; in the next step a codeword changes that lies, but for rounding, as near as another one
BRIEF = (*STATISTICS, "adversary.start=3", f"max_steps={CALM}")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    from companies import speech_like

    return speech_like(tmp_path_factory.mktemp("speech"))


class Result:
    """What the processes of one run left."""

    def __init__(self, folder, count):
        runs = list((folder / "runs").glob("*/*"))
        assert len(runs) == 1, "the processes agree on one folder"
        self.run = runs[0]
        self.rows = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        self.states = [torch.load(folder / f"{rank}.state") for rank in range(count)]
        heard = [torch.load(folder / f"{rank}.heard") for rank in range(count)]
        self.heard = [torch.cat(step) for step in zip(*heard, strict=True)]

    def at(self, key):
        return {row["step"]: row[key] for row in self.rows if key in row}


def unlike(one, other):
    pairs = {name: (one[name], other[name]) for name in one if isinstance(one[name], torch.Tensor)}
    return [name for name, (a, b) in pairs.items() if not torch.equal(a, b)]


@pytest.fixture(scope="module")
def trained(speech, tmp_path_factory):
    """A run by its number of processes and overrides; each is made once."""
    made = {}

    def train(count, *overrides):
        if (count, overrides) not in made:
            folder = tmp_path_factory.mktemp(f"ranks{count}")
            codes = in_company(count, folder, lambda rank: _train(rank, count, folder, speech, overrides))
            assert codes == [0] * count, "\n".join(said(folder, rank)[-2000:] for rank in range(count))
            made[count, overrides] = Result(folder, count)
        return made[count, overrides]

    return train


def _train(rank, count, folder, speech, overrides):
    """In one process: what it hears in each step and what it ends with is kept."""
    torch.set_num_threads(1)
    heard, step, summarise = [], CodecTraining.training_step, fitting.summarise
    spoiled = SPOILED in overrides and rank == count - 1

    def training_step(self, batch, index):
        heard.append(batch.audio.clone())
        if spoiled and len(heard) == 7:
            batch.audio[0, 0, 0] = torch.nan
        return step(self, batch, index)

    def end(run, module, *rest):
        torch.save(module.state_dict(), folder / f"{rank}.state")
        torch.save(heard, folder / f"{rank}.heard")
        summarise(run, module, *rest)

    CodecTraining.training_step, fitting.summarise = training_step, end
    device = ["trainer=ddp_cpu", f"trainer.devices={count}"] if count > 1 else []
    data = ["data=folder", f"data.root={speech}", "data.speaker_from=parent", f"run_root={folder}/runs"]
    data += ["data.valid_fraction=0.2", "data.test_fraction=0.2"]
    return main(["train", *TOY, *data, *LATE, *overrides, *device])


@pytest.mark.slow
def test_two_processes_end_with_the_same_bits(trained):
    """Also after a step that was not finite in one of them alone."""
    two = trained(2, SPOILED)
    assert unlike(*two.states) == []
    (incident,) = map(json.loads, (two.run / "incidents.jsonl").read_text().splitlines())
    assert (incident["step"], incident["what"], incident["tensors"][0]) == (7, "left out", "target")
    assert sum(two.at("codebook/0/restarts").values()) > 0, "codewords were moved"
    assert "loss/adversarial" in two.rows[-1] or any("loss/adversarial" in row for row in two.rows)


@pytest.mark.slow
def test_codebooks_of_their_own_drift_apart(trained):
    """The negative check: the comparison above can fail."""
    names = unlike(*trained(2, "ranks=own").states)
    assert any("codewords" in name for name in names)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "overrides"), [(2, ()), (4, ()), (4, BRIEF)], ids=["2", "4", "statistics"])
def test_the_number_of_processes_changes_nothing(trained, count, overrides):
    one, many, last = trained(1, *overrides), trained(count, *overrides), CALM if overrides else STEPS
    assert len(one.heard) == len(many.heard) == last
    for a, b in zip(one.heard, many.heard, strict=True):
        assert torch.equal(a, b), "the same crops in the same order"
    for key in ("train/loss", "loss/l1", "loss/commitment", "gradient_norm/codec", "gradient_norm/adversary"):
        alone, together = one.at(key), many.at(key)
        assert alone.keys() == together.keys()
        first = min(alone)
        assert together[first] == pytest.approx(alone[first], rel=1e-6 if first == 1 else NOISE), key
        limit = LIMIT if key in ("train/loss", "loss/l1") else NOISE
        assert together[last] == pytest.approx(alone[last], rel=limit), key


@pytest.mark.slow
def test_every_figure_is_that_of_all_also_where_it_does_not_come_out_even(trained):
    """Four utterances by three processes, which a batch of nine crops is shared out to.

    For two steps: later the first codeword changes that lies, but for rounding, as near as another one.
    """
    few = ("loader.batch_size=9", "max_steps=2", "callback.validation.every=2", "callback.gradients.every=1")
    one, three = (trained(count, *STATISTICS, *few) for count in (1, 3))
    assert one.at("val/utterances")[2] == three.at("val/utterances")[2] == 4
    keys = {key for row in one.rows for key in row if key.startswith(("val/", "codebook/", "gradient/", "loss/"))}
    assert {"val/snr", "val/rho_pooled", "val/mel_distance", "codebook/0/perplexity", "gradient/audio/mel"} <= keys
    for key in sorted(keys):
        if "seconds" not in key and "cost" not in key:
            assert three.at(key) == pytest.approx(one.at(key), rel=NOISE, abs=1e-5), key
    final = [json.loads((each.run / "summary.json").read_text())["test"] for each in (one, three)]
    assert final[0] == pytest.approx(final[1], rel=NOISE, abs=1e-5)
    rows = [(each.run / "utterances.jsonl").read_text().splitlines() for each in (one, three)]
    assert [json.loads(row)["file"] for row in rows[0]] == [json.loads(row)["file"] for row in rows[1]]


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(speech, tmp_path):
    words = ("loader.batch_size=8", "max_steps=4", "callback.validation.every=4", f"run_root={tmp_path}/runs")

    def begin(rank):
        return _train(rank, 2, tmp_path / "two", speech, words)

    def go_on(rank):
        return _train(rank, 1, tmp_path / "one", speech, (*words, "max_steps=6", "resume=must"))

    assert in_company(2, tmp_path / "two", begin) == [0, 0]
    assert in_company(1, tmp_path / "one", go_on) == [0], said(tmp_path / "one", 0)
    assert "2 processes made this checkpoint, 1 go on" in said(tmp_path / "one", 0)
    (run,) = (tmp_path / "runs").glob("*/*")
    assert json.loads((run / "run.json").read_text())["steps"] == 6


PATIENCE = 10 * SECONDS  # for whole commands: each of their processes loads torch


def typed(speech, home, *words, path=None):
    """`telucodec train` as a person types it."""
    data = ["data=folder", f"data.root={speech}", "data.valid_fraction=0.2", "data.test_fraction=0.2"]
    env = os.environ | {"TELUCODEC_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path or ""), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "telucodec.cli.main", "train", *TOY, *data, *words]
    command += ["trainer=ddp_cpu", "trainer.devices=2", "loader.batch_size=8"]
    out = (home / "out.txt").open("a")
    return subprocess.Popen(command, cwd=home, env=env, stdout=out, stderr=out, start_new_session=True)


def until(condition, process):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.returncode
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.slow
def test_two_devices_as_typed_and_killed(speech, tmp_path):
    process = typed(speech, tmp_path, "max_steps=100000", "callback.validation.every=100000")
    until(lambda: list(tmp_path.glob("runs/*/*/checkpoints/*")), process)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(PATIENCE) == 130
    assert "stopped; saved is" in (tmp_path / "out.txt").read_text()
    (run,) = (tmp_path / "runs").glob("*/*")
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert facts["device"].startswith("2 x ")
    words = ("max_steps=100000", "callback.validation.every=100000", f"resume={run}")
    process, before = typed(speech, tmp_path, *words), len((run / "metrics.jsonl").read_text())
    until(lambda: len((run / "metrics.jsonl").read_text()) > before, process)
    own = children(process.pid)
    assert len(own) == 2
    os.kill(own[1], signal.SIGKILL)
    assert process.wait(PATIENCE) == 1
    end = time.monotonic() + SECONDS
    while not all(map(gone, own)):
        assert time.monotonic() < end, "they outlive what started them"
        time.sleep(0.05)
    assert "process 1 of 2 was killed by SIGKILL, and the run with it" in (tmp_path / "out.txt").read_text()


FAILS = """
import os, sys
from importlib.machinery import PathFinder

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "telucodec.training.module":
            return None
        spec = PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            step = module.CodecTraining.training_step

            def training_step(self, batch, index):
                if self.global_step == 2:
                    raise OSError("this machine has lost its disk")
                return step(self, batch, index)

            module.CodecTraining.training_step = training_step

        spec.loader.exec_module = exec_module
        return spec

if os.environ.get("RANK") == "1" and "--job" in sys.orig_argv:
    with open(sys.orig_argv[-1] + "/job.json") as file:
        if '"seed": 1' in file.read():
            sys.meta_path.insert(0, Finder())
"""


@pytest.mark.slow
def test_a_sweep_of_two_devices_each_goes_on_when_one_process_of_one_job_fails(speech, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FAILS)
    words = ["-m", "seed=1,0,2,3", "sweep.jobs=2", "max_steps=4", "sweep.name=mine"]
    process = typed(speech, tmp_path, *words, path=tmp_path / "site")
    assert process.wait(PATIENCE) == 1
    told = (tmp_path / "out.txt").read_text()
    assert "failed seed=1:" in told
    found = {json.loads((folder / "job.json").read_text())["config"]["seed"]: folder
             for folder in (tmp_path / "runs/mine/jobs").iterdir()}  # fmt: skip
    assert [state(found[n]).status for n in range(4)] == ["finished", "failed", "finished", "finished"]
    assert (found[0] / "log.txt").read_text().count("diagnosis: ") == 1, "one of them speaks"
    log = (found[1] / "log.txt").read_text()
    assert "this machine has lost its disk" in log
    assert "process 1 of 2 failed with exit code 1, and the run with it" in log
