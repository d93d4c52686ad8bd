"""Which run a start goes on with, and that it never begins anew without a word."""

import io
import os
from copy import deepcopy

import pytest
import yaml
from rich.console import Console
from test_checkpoint import written

from conftest import config
from telucodec.disk import holding
from telucodec.errors import InputError
from telucodec.models.stored import CONFIG_VERSION
from telucodec.training.resume import differences, find_run, remove_remains, resume_from, run_to_continue

CONFIG = {"version": CONFIG_VERSION, "max_steps": 6, "name": "toy", "seed": 0, "resume": "auto", "sample_rate": 16000}
CONFIG |= {"level": {}, "evaluator": {}, "training": {}}


def begun(home, name, **other):
    """The folder of a run that has begun."""
    (home / name).mkdir(parents=True)
    (home / name / "config.yaml").write_text(yaml.safe_dump(CONFIG | other))
    return home / name


def asked(home, resume, start=False):
    """What `resume` finds, and what it says."""
    console, config = Console(file=io.StringIO(), width=500), CONFIG | {"resume": resume}
    found = run_to_continue(home, config, console)
    if start and found:
        found = resume_from(found, config, console)
    return found, console.file.getvalue()


def test_the_newest_unfinished_run_of_this_configuration_is_found(tmp_path):
    older, newer = begun(tmp_path, "1"), begun(tmp_path, "2")
    begun(tmp_path, "3", seed=1)
    (begun(tmp_path, "4") / "summary.json").write_text("{}")
    assert asked(tmp_path, "auto") == (newer, "")
    assert asked(tmp_path, "must") == (newer, "")
    with holding(newer / ".lock"):
        assert asked(tmp_path, "auto")[0] == older
    assert asked(tmp_path, "never") == (None, "")
    assert asked(tmp_path, str(older)) == (older, "")


def test_auto_says_that_it_starts_a_new_one(tmp_path):
    found, told = asked(tmp_path / "toy", "auto")
    assert found is None
    assert f"resume=auto: no unfinished run of this configuration under {tmp_path / 'toy'}; starting a new one" in told


def test_must_names_what_it_looked_at_and_starts_nothing(tmp_path):
    begun(tmp_path, "3", seed=1)
    (begun(tmp_path, "2") / "summary.json").write_text("{}")
    (tmp_path / "1").mkdir()
    with pytest.raises(InputError) as error, holding(begun(tmp_path, "4") / ".lock"):
        asked(tmp_path, "must")
    head, *lines, cure = str(error.value).splitlines()
    assert head == f"resume=must: no unfinished run of this configuration under {tmp_path}."
    assert [line.split(":")[0].strip() for line in lines] == ["4", "3", "2", "1"]
    assert ["another process is at work there" in lines[0], "seed: 1 -> 0" in lines[1]] == [True, True]
    assert ["is finished" in lines[2], "is no run folder" in lines[3]] == [True, True]
    assert cure == "resume=auto starts a new one."
    assert len(list(tmp_path.iterdir())) == 4


def test_must_does_not_begin_a_run_that_has_saved_nothing(tmp_path):
    folder = begun(tmp_path, "1")
    assert "has no checkpoint yet; it starts from the first step" in asked(tmp_path, "auto", start=True)[1]
    with pytest.raises(InputError, match=r"has no checkpoint yet\. resume=auto starts it from the first step"):
        asked(tmp_path, "must", start=True)
    path = written(folder, 2)
    assert asked(tmp_path, "must", start=True)[0] == path


def test_find_run_says_why_it_passes_runs_over(tmp_path):
    begun(tmp_path, "1", seed=3)
    assert find_run(tmp_path, CONFIG) == (None, ["1: has another configuration (seed: 3 -> 0)"])
    assert differences(CONFIG, CONFIG | {"max_steps": 9, "resume": "must"}) == []


def test_a_run_of_before_there_were_these_keys_can_go_on():
    now = config()
    before = deepcopy(now)
    for key in ("devices", "strategy", "benchmark", "compile", "profile"):
        del before["trainer"][key]
    before["callback"] = {k: v for k, v in now["callback"].items() if k not in ("health", "nonfinite", "broken")}
    now["callback"]["health"] = {"every": 100}
    now["callback"]["requeue"] = {"signals": ["SIGUSR1"]}
    assert differences(before, now) == []
    now["trainer"]["compile"] = True
    assert differences(before, now) == ["trainer.compile: None -> True"]


def test_the_next_start_removes_what_a_killed_process_left_half_written(tmp_path):
    for name in ("codec.safetensors", "checkpoints/step-000000002.ckpt", "pictures/plane.png", "evaluation/a/b.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("whole")
        (tmp_path / name).with_name(f".{(tmp_path / name).name}.{os.getpid()}.partial").write_text("ha")
    remove_remains(tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == [
        f".b.json.{os.getpid()}.partial",  # of an evaluation, which may be at work
        "b.json",
        "codec.safetensors",
        "plane.png",
        "step-000000002.ckpt",
    ]
