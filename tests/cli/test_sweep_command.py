"""`telucodec train -m`: which jobs an invocation means, what they are called, and that they are trained."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from rich.console import Console

from conftest import TOY, config
from telucodec.cli.combinations import compose_all, merge_equal, name_jobs
from telucodec.cli.compose import compose_checked, compose_config, conf_dir
from telucodec.cli.main import main
from telucodec.cli.make import make
from telucodec.cli.sweep import SweepSettings, _arm
from telucodec.errors import InputError
from telucodec.study.claims.strict import read
from telucodec.study.jobs.choose import choose_launcher
from telucodec.study.jobs.cluster import RaySettings, RayTasks
from telucodec.study.jobs.job import Job, state
from telucodec.study.jobs.launcher import Launcher
from telucodec.study.jobs.local import Local, LocalSettings
from telucodec.study.jobs.queue import Slots
from telucodec.study.jobs.submit import Submitit, SubmititSettings


def refused(capsys, *words):
    assert main(["train", *words]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_sweep_prints_its_configurations(capsys):
    assert main(["train", "-m", "--cfg", "seed=3,4", "sweep.jobs=2"]) == 0
    assert [c["seed"] for c in yaml.safe_load_all(capsys.readouterr().out)] == [3, 4]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sweep.job=2", "sweep.job: there is no such key. Did you mean 'sweep.jobs'?"),
        ("launcher=slurm", "launcher=slurm: there is no such choice. Choose from: local, ray, submitit."),
        ("sweep.jobs=0", "sweep: jobs must be >= 1, got 0"),
        ("sweep.jobs=two", "sweep.jobs: got 'two', but it must be of type int"),
        ("sweep.devices=[0,0]", "sweep: devices must be different numbers >= 0"),
        ("sweep.name=a/b", "sweep: name must be a word"),
        ("sweep.fail_fast=maybe", "must be of type bool"),
        ("launcher.adress=x", "launcher.adress: there is no such key"),
        ("seed=-1,-2", "2 of 2 jobs make no sense: seed: must be a whole number >= 0, got -1. seed: must be"),
        ("name=a/b", "name: must be a word"),
    ],
)
def test_what_is_wrong_is_named_before_anything_starts(capsys, tmp_path, monkeypatch, word, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "-m", word)
    assert list(tmp_path.iterdir()) == []


def test_what_is_about_a_sweep_needs_one(capsys):
    assert "launcher=ray: is about a sweep. Add -m." in refused(capsys, "launcher=ray")


def test_jobs_that_make_no_sense_are_all_named(capsys):
    told = refused(capsys, "-m", "experiment=s003", "ablation=no_restart,no_kmeens")
    assert "2 of 2 jobs make no sense: ablation=no_restart changes nothing beside experiment=s003" in told
    assert told.endswith("ablation=no_kmeens: there is no such choice. Did you mean 'no_kmeans'?")


def test_conf_has_settings_that_each_launcher_reads(monkeypatch):
    local = choose_launcher(compose_config([], None, "sweep")["launcher"])
    assert isinstance(local, Local)
    assert local.settings == LocalSettings(warm=True)
    for name, kind in (("submitit", SubmititSettings), ("ray", RaySettings)):
        settings = compose_config([f"launcher={name}"], None, "sweep")["launcher"]
        assert settings.pop("kind") == name
        read(kind, settings, "launcher")
    with pytest.raises(InputError, match="must be local, submitit or ray, got 'cloud'"):
        choose_launcher({"kind": "cloud"})
    with pytest.raises(InputError, match=r"launcher\.warm: got 'yes', but it must be of type bool"):
        choose_launcher({"kind": "local", "warm": "yes"})
    with pytest.raises(InputError, match=r"launcher\.cpus: got 'many', but it must be of type float"):
        choose_launcher({"kind": "ray", "address": "auto", "cpus": "many", "gpus": 0.0})


@pytest.mark.parametrize(("name", "extra"), [("submitit", "slurm"), ("ray", "ray")])
def test_a_launcher_that_is_not_installed_names_its_extra(monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"launcher={name}: needs .* Install telucodec\[{extra}\]"):
        choose_launcher(compose_config([f"launcher={name}"], None, "sweep")["launcher"])


def test_launchers_that_have_devices_of_their_own_refuse_ours(tmp_path):
    launchers: list[Launcher] = [Submitit.__new__(Submitit), RayTasks.__new__(RayTasks)]
    for launcher in launchers:
        with pytest.raises(InputError, match=r"sweep\.devices: .* hands them out"):
            launcher.start(Job("a", {}, (), tmp_path), (0,))


@pytest.mark.parametrize(
    ("jobs", "devices", "slots"), [(None, (), 1), (None, (0, 1, 2), 3), (2, (0, 1, 2), 2), (4, (), 4)]
)
def test_devices_say_how_many_jobs_there_is_room_for(jobs, devices, slots):
    assert SweepSettings("s", jobs, devices, False).slots == Slots(slots, devices, False)


def composed(*lists):
    return compose_all([list(each) for each in lists], None, Console(quiet=True))


def test_jobs_are_called_after_what_differs_and_show_it(tmp_path):
    every = composed(
        ("loss.mel.weight=1", "max_steps=9", "seed=0"),
        ("loss.mel.weight=15", "max_steps=9", "seed=0"),
        ("loss.mel.weight=15", "max_steps=9", "seed=1"),
    )
    jobs = name_jobs(every, tmp_path)
    assert [job.label for job in jobs] == [
        "loss.mel.weight=1 seed=0",
        "loss.mel.weight=15 seed=0",
        "loss.mel.weight=15 seed=1",
    ]
    assert jobs[0].shown == ("loss.mel.weight", "seed"), "not training.terms.terms.mel.weight, which repeats it"
    assert _arm(jobs[0]) == "loss.mel.weight=1/seed=0"
    assert [job.config["loss"]["mel"]["weight"] for job in jobs] == [1, 15, 15]
    assert jobs[0].overrides == ("loss.mel.weight=1", "max_steps=9", "seed=0")
    assert len({job.identity for job in jobs}) == 3
    (only,) = name_jobs(every[:1], tmp_path)
    assert (only.label, only.shown) == (tmp_path.name, ())


def test_equal_jobs_are_made_once_and_said_to_be_equal(tmp_path):
    screen = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    jobs = name_jobs(composed(("optimizer.lr=1e-3",), ("optimizer.lr=0.001",), ("optimizer.lr=2e-3",)), tmp_path)
    assert [job.label for job in merge_equal(jobs, screen)] == ["optimizer.lr=1e-3", "optimizer.lr=2e-3"]
    assert "optimizer.lr=0.001 is the same run as optimizer.lr=1e-3: it is made once." in screen.export_text()


def test_a_job_is_composed_as_hydra_does():
    words = ["seed=1", "encoder=dac", "encoder.dim=8", "~loss.l1", "+targets={output_scale:2}", "ablation=[adam]"]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        expected = compose("train", overrides=words)
    for _ in range(2):  # the second time what the choices come to is known
        found = compose_checked(words, None)
        assert found == expected
        assert list(found) == list(expected)
        assert OmegaConf.is_struct(found)
    (job,) = composed(words)
    assert job.config == OmegaConf.to_container(expected, resolve=True)
    assert job.written["encoder.dim"] == 8
    assert job.written["training.codec"] == "${codec}"


@pytest.mark.slow
def test_many_jobs_are_checked_in_several_processes():
    lists = [[f"loss.mel.weight={n}", "seed=1"] for n in range(30)]
    found = compose_all(lists, None, Console(quiet=True))
    assert [each.config["loss"]["mel"]["weight"] for each in found] == list(range(30))
    with pytest.raises(InputError, match=r"30 of 30 jobs make no sense:\n  nonsense: there is no such key"):
        compose_all([[*each, "nonsense=1"] for each in lists], None, Console(quiet=True))


def test_a_job_of_other_code_or_a_moved_one_is_not_trained(tmp_path):
    job = Job("a", config(), (), tmp_path)
    job.write()
    home = job.folder.rename(tmp_path / "jobs" / "elsewhere")
    with pytest.raises(InputError, match="its job was made for other code, or moved"):
        make(home, [])
    with pytest.raises(InputError, match="the configuration of a job is in its folder"):
        make(home, ["seed=1"])


def test_a_job_that_is_over_is_left_alone(tmp_path, capsys):
    job = Job("a", config(), (), tmp_path)
    job.write()
    record = {"status": "diverged", "steps": 3, "seconds": 1.0}
    (job.folder / "run.json").write_text(json.dumps(record))
    assert main(["train", "--job", str(job.folder)]) == 2
    (job.folder / "run.json").write_text(json.dumps(record | {"status": "finished"}))
    (job.folder / "summary.json").write_text("{}")
    assert main(["train", "--job", str(job.folder)]) == 0
    assert "is finished already" in " ".join(capsys.readouterr().out.split())
    assert state(job.folder).steps == 3


def sweep(home, speech, *words):
    data = ["data=folder", f"data.root={speech}", "data.valid_fraction=0.2", "data.test_fraction=0.2"]
    env = os.environ | {"TELUCODEC_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "telucodec.cli.main", "train", "-m", *TOY, *data, *words]
    return subprocess.Popen(command, cwd=home, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
def test_a_sweep_trains_its_jobs_names_the_failed_one_and_skips_them_the_next_time(speech_folder, tmp_path):
    words = ["loss.l1.weight=1,2,-1", "sweep.jobs=2", "sweep.name=mine"]
    err = sweep(tmp_path, speech_folder, *words).communicate()[1]
    assert "failed loss.l1.weight=-1:" in err
    assert "loss.l1: weight must be >= 0, got -1" in " ".join(err.split())
    root = tmp_path / "runs" / "mine"
    with (root / "sweep.csv").open() as file:
        rows = {row["loss.l1.weight"]: row for row in csv.DictReader(file)}
    assert [rows[weight]["status"] for weight in ("1", "2", "-1")] == ["finished", "finished", "failed"]
    assert float(rows["1"]["val/snr"]) != float(rows["2"]["val/snr"])
    assert f"log: {Path('runs/mine') / 'jobs'}" in err
    links = sorted(path.name for path in (root / "tensorboard").iterdir() if path.is_symlink())
    assert links == ["1_loss.l1.weight=1", "2_loss.l1.weight=2", "3_loss.l1.weight=-1"]
    before = {path: path.stat().st_mtime for path in root.glob("jobs/*/summary.json")}
    again = sweep(tmp_path, speech_folder, *words)
    err = again.communicate()[1]
    assert again.returncode == 1
    assert "3 runs: 2 finished before and skipped, 1 to begin." in err
    assert {path: path.stat().st_mtime for path in root.glob("jobs/*/summary.json")} == before


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on_and_so_does_a_killed_one(speech_folder, tmp_path):
    words = ["seed=0,1", "max_steps=4000", "callback.validation.every=4000"]
    process = sweep(tmp_path, speech_folder, *words)
    while not list(tmp_path.glob("runs/sweep/jobs/*/checkpoints/*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    err = process.communicate()[1]
    assert process.returncode == 130
    assert "the same command goes on where it was:" in err
    (folder,) = (path.parent for path in tmp_path.glob("runs/sweep/jobs/*/run.json"))
    assert state(folder).status == "interrupted"
    reached = state(folder).steps
    again = sweep(tmp_path, speech_folder, *words)
    while "continuing" not in (folder / "log.txt").read_text():
        assert again.poll() is None, again.communicate()[1]
        time.sleep(0.1)
    while state(folder).status != "running":
        time.sleep(0.1)
    os.kill(again.pid, signal.SIGKILL)
    assert "1 to go on from where they stopped, 1 to begin" in again.communicate()[1]
    assert f"step-{reached:09}.ckpt" in (folder / "log.txt").read_text()
    while state(folder).status == "running":  # it saves and stops by itself
        time.sleep(0.1)
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert state(folder).steps > reached
    assert list(folder.glob(f"checkpoints/step-{state(folder).steps:09}.ckpt"))
