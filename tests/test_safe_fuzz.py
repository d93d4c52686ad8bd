"""Damage and malice by the hundred: reading gives what was written or a message, makes no file and runs nothing.

The examples are the same at every run.
"""

import json
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conftest import config
from hostile import AGAIN, CHANGES, CHECKPOINT, EDITS, MANY, MARK, changed, clean, edited, everything, tree
from telucodec.build import build
from telucodec.cli.main import main
from telucodec.data.manifest import check_files, read_manifest
from telucodec.models.pretrained import load_pretrained
from telucodec.models.stored import CONFIG, WEIGHTS, load_codec
from telucodec.study.design.committed import read_state
from telucodec.study.design.made import made
from telucodec.study.design.read import read_study
from telucodec.study.jobs.job import read_job, state
from telucodec.study.jobs.progress import Following, ended_with
from telucodec.study.results.run import read_run
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint
from telucodec.training.reach import first_values
from telucodec.training.record import read_lines, read_rows

STUDY = {
    "question": "Which one?",
    "base": {"name": "base", "overrides": ["experiment=small"]},
    "arms": {"fast": {"overrides": ["optimizer.lr=1e-3"], "says": "a larger step"}},
    "seeds": [0, 1, 2],
    "budgets": {"full": {"steps": 600}},
    "metrics": ["val/snr"],
    "primary": "val/snr",
    "better": "higher",
}
PUBLISHED = {"model_type": "dac", "n_codebooks": 2, "downsampling_ratios": [2, 4], "codebook_dim": 4}


@pytest.fixture(scope="module")
def codec():
    return build(config()["training"]["codec"], "codec")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = everything(tmp_path_factory.mktemp("fuzz") / "jobs" / "run")
    (folder / "collected.yaml").write_text(yaml.safe_dump({"code": "c0de", "base": {"seed": 0}}))
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "config.json").write_text(json.dumps(PUBLISHED))
    (folder / "neighbour").write_text("not to be touched")
    return folder


def readers(folder, codec):
    """What reads each file of a folder."""
    follow = Following(folder / "metrics.jsonl")
    return {
        CHECKPOINT: [lambda: read_checkpoint(folder / CHECKPOINT), lambda: newest_checkpoint(folder)],
        WEIGHTS: [lambda: load_codec(folder)],
        CONFIG: [lambda: load_codec(folder), lambda: read_run(folder, "a")],
        "metrics.jsonl": [lambda: read_rows(follow.path), follow.read, lambda: read_run(folder, "a")],
        "utterances.jsonl": [lambda: read_lines(folder / "utterances.jsonl"), lambda: read_run(folder, "a")],
        "run.json": [lambda: state(folder), lambda: first_values(folder), lambda: read_run(folder, "a")],
        "summary.json": [lambda: ended_with(folder), lambda: read_run(folder, "a")],
        "data.jsonl": [lambda: _entries(folder / "data.jsonl")],
        "job.json": [lambda: read_job(folder).identity, lambda: made(folder.parents[1])],
        "study.yaml": [lambda: read_study(folder)],
        "collected.yaml": [lambda: read_state(folder)],
        "config.json": [lambda: load_pretrained(codec, folder)],
    }


def _entries(path):
    manifest = read_manifest(path)
    for entry in manifest.entries:
        inside = manifest.locate(entry).resolve().is_relative_to(path.parent.resolve())
        assert inside or entry.path.startswith("/"), "a relative path leads out of the folder"
    check_files(manifest, manifest.entries)


def hurt(home, codec, name, content):
    """Read a folder in which one file holds something else; the folder is as before afterwards."""
    whole = (home / name).read_bytes()
    aside = name == "config.json" and (home / CONFIG).read_bytes()  # a folder with both is a run of ours
    try:
        (home / name).write_bytes(content)
        if aside:
            (home / CONFIG).unlink()
        before = tree(home.parents[1])
        clean(*readers(home, codec)[name])
        assert tree(home.parents[1]) == before
    finally:
        (home / name).write_bytes(whole)
        if aside:
            (home / CONFIG).write_bytes(aside)


def flipped_and_cut(name, limits):
    @limits
    @given(edits=EDITS)
    def test(edits, home, codec):
        hurt(home, codec, name, edited((home / name).read_bytes(), edits))

    return test


def packed(node):
    content = BytesIO()
    torch.save(node, content)
    return content.getvalue()


def rewritten(name, limits):
    load, dump = {
        ".yaml": (yaml.safe_load, lambda node: yaml.safe_dump(node).encode()),
        ".json": (json.loads, lambda node: json.dumps(node).encode()),
        ".ckpt": (lambda content: torch.load(BytesIO(content), weights_only=True), packed),
    }[Path(name).suffix]

    @limits
    @given(changes=CHANGES)
    def test(changes, home, codec):
        hurt(home, codec, name, dump(changed(load((home / name).read_bytes()), changes)))

    return test


BYTES = (CHECKPOINT, WEIGHTS, CONFIG, "metrics.jsonl", "utterances.jsonl", "run.json", "data.jsonl", "job.json")
TREES = (CONFIG, "run.json", "summary.json", "job.json", "study.yaml", "collected.yaml", "config.json", CHECKPOINT)


@pytest.mark.parametrize("name", BYTES)
def test_flipped_bits_and_cut_files(name, home, codec):
    flipped_and_cut(name, AGAIN)(home=home, codec=codec)


@pytest.mark.parametrize("name", TREES)
def test_well_formed_files_with_something_else_in_them(name, home, codec):
    rewritten(name, AGAIN)(home=home, codec=codec)


def with_another_codec(limits):
    @limits
    @given(changes=CHANGES)
    def test(changes, home, codec):
        whole = yaml.safe_load((home / CONFIG).read_text())
        whole["training"]["codec"] = changed(whole["training"]["codec"], changes)
        hurt(home, codec, CONFIG, yaml.safe_dump(whole).encode())

    return test


def test_codecs_with_something_else_in_them(home, codec):
    with_another_codec(AGAIN)(home=home, codec=codec)


@pytest.mark.slow
def test_many_codecs_with_something_else_in_them(home, codec):
    with_another_codec(MANY)(home=home, codec=codec)


@pytest.mark.parametrize("name", ["metrics.jsonl", "utterances.jsonl", "data.jsonl"])
def test_lines_with_something_else_in_them(name, home, codec):
    @AGAIN
    @given(changes=CHANGES, which=st.integers(0, 1))
    def test(changes, which):
        lines = (home / name).read_text().splitlines()
        lines[which] = json.dumps(changed(json.loads(lines[which]), changes))
        hurt(home, codec, name, "\n".join(lines).encode() + b"\n")

    test()


@pytest.mark.slow
@pytest.mark.parametrize("name", BYTES)
def test_many_flipped_bits_and_cut_files(name, home, codec):
    flipped_and_cut(name, MANY)(home=home, codec=codec)


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_many_well_formed_files_with_something_else_in_them(name, home, codec):
    rewritten(name, MANY)(home=home, codec=codec)


@pytest.mark.slow
def test_many_configurations_build_what_they_say_or_nothing():
    whole = config("callback=[]")

    @MANY
    @given(changes=CHANGES, part=st.sampled_from(["level", "evaluator", "trainer", "loader", "optimizer", "schedule"]))
    def test(changes, part):
        clean(lambda: build(changed(deepcopy(whole[part]), changes), part))

    test()


@pytest.mark.slow
def test_commands_on_a_damaged_run_end_with_a_message(train, tmp_path, capsys):
    """Evaluate, diagnose, compare, reconstruct, describe, resume: an exit code, and the rest of the disk as before."""
    code, run = train("max_steps=2", "callback.validation.every=1")
    assert code == 0
    source = next((tmp_path / "speech").rglob("*.flac"))
    commands = (
        ["evaluate", run], ["diagnose", run], ["compare", run, run], ["reconstruct", run, source, run / "out.wav"],
        ["data", "info", run / "data.jsonl"], ["train", f"resume={run}", "max_steps=3"],
    )  # fmt: skip
    files = (CONFIG, WEIGHTS, "metrics.jsonl", "utterances.jsonl", "run.json", "summary.json", "data.jsonl", CHECKPOINT)
    kept = tree(run)

    @MANY
    @given(edits=EDITS, command=st.sampled_from(commands), name=st.sampled_from(files))
    def test(edits, command, name):
        (run / name).write_bytes(edited(kept[name], edits))
        before = {path: text for path, text in tree(tmp_path).items() if not path.startswith("runs/")}
        assert main([str(word) for word in command]) in (0, 1, 2)
        assert {path: text for path, text in tree(tmp_path).items() if not path.startswith("runs/")} == before
        assert not MARK.exists()
        for path, text in kept.items():
            (run / path).write_bytes(text)

    test()
