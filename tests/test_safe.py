"""What a stranger may have put into a checkpoint, a codec, a record or a manifest runs no code and breaks nothing."""

import json
import os
from copy import deepcopy
from dataclasses import asdict
from importlib import import_module
from inspect import isclass
from pkgutil import walk_packages

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file, save_file

from conftest import config, voices
from hostile import CHECKPOINT, COMMAND, ENTRY, MARK, clean, everything, evil_checkpoints, tree
from telucodec.audio.files import write
from telucodec.build import ROOMS, build, check
from telucodec.cli.diagnose import _parts
from telucodec.cli.main import main
from telucodec.cli.make import _over
from telucodec.data.journal import Journal
from telucodec.data.manifest import check_files, read_manifest
from telucodec.disk import holding, is_held
from telucodec.errors import InputError
from telucodec.models.codec import Codec
from telucodec.models.pretrained import load_pretrained
from telucodec.models.stored import CONFIG, WEIGHTS, load_codec, read_config
from telucodec.reading import DEEPEST, MOST, from_json, held, read_json, read_text, read_yaml
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint
from telucodec.training.record import RunRecord
from telucodec.training.resume import remove_remains, resume_from, run_to_continue

BOOK = ("quantizer", "codebook")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("safe") / "run")


@pytest.fixture
def stored(whole, tmp_path):
    for name in (CONFIG, WEIGHTS):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize(("name", "content"), list(evil_checkpoints()), ids=[name for name, _ in evil_checkpoints()])
def test_a_checkpoint_that_would_run_a_command_is_refused_unrun(tmp_path, name, content):
    path = tmp_path / CHECKPOINT
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"step-000000002\.ckpt: damaged or no checkpoint of telucodec"):
        read_checkpoint(path)
    assert newest_checkpoint(tmp_path)[0] is None
    assert not MARK.exists()
    if name == "zip":  # the command is one: whoever trusts the file runs it
        torch.load(path, weights_only=False)
        assert MARK.exists()
        MARK.unlink()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, f"stands for more than {MOST} values"),
        ("a: &a [*a]", r"the alias \*a stands inside of what it names"),
        ("a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(200)), f"more than {DEEPEST} deep"),
        ("[" * 200_000, f"more than {DEEPEST} deep"),
        ("{a: " * 200_000, f"more than {DEEPEST} deep"),
        pytest.param(f"!!python/object/apply:os.system ['{COMMAND}']", "could not determine a constructor", id="apply"),
        pytest.param(f"!!python/object/new:os.system ['{COMMAND}']", "could not determine a constructor", id="new"),
        ("version: " + "1" * 5000, r"1111\.\.\. is no number of at most 19 digits"),
        ("version: 0x" + "f" * 5000, r"ffff\.\.\. is no number of at most 19 digits"),
        ("version: -0b" + "1" * 20000, "is no number of at most 19 digits"),
        ("version: 0" + "7" * 20000, "is no number of at most 19 digits"),
        ("version: 1" + ":59" * 20000, "is no number of at most 19 digits"),
        ("version: !!int '" + "1" * 30 + "'", "is no number of at most 19 digits"),
        ("a: 2001-99-99", "month must be in"),
        ("!!timestamp foo", "is no YAML"),
        ("!!int ''", "is no YAML"),
        ("{[1]: 2}", "unhashable"),
        ("a: \0", "control characters"),
    ],
)
def test_hostile_yaml_is_a_message(tmp_path, text, why):
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(InputError, match=rf"config\.yaml: .*{why}"):
        read_config(tmp_path)
    assert not MARK.exists()


def test_yaml_may_repeat_itself_within_reason(tmp_path):
    (tmp_path / "b.yaml").write_text(f"a: '{'1' * 64}'\nb: {'f' * 64}\nc: {2**63 - 1}\nd: 0x{'f' * 16}")
    assert read_yaml(tmp_path / "b.yaml") == {"a": "1" * 64, "b": "f" * 64, "c": 2**63 - 1, "d": 2**64 - 1}
    (tmp_path / "a.yaml").write_text("base: &base {a: 1}\nother: {<<: *base, b: &two 2}\nlast: [*two, *base]")
    assert read_yaml(tmp_path / "a.yaml") == {"base": {"a": 1}, "other": {"a": 1, "b": 2}, "last": [2, {"a": 1}]}


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 500 + "]" * 500, "9" * 5000, "", "{", "nul"])
def test_hostile_json_is_a_message(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: is "):
        read_json(tmp_path / "a.json")


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match=r"is no file of at most 256 MiB|Is a directory"):
            read_text(type(tmp_path)(path))
    with pytest.raises(InputError, match="is no path"):
        read_text(tmp_path / "a\0b")


def test_kinds_are_held():
    assert held({"steps": 5, "more": []}, {"steps": int}, "run.json") == {"steps": 5, "more": []}
    for node, why in (([], "holds no mapping"), ({}, "lacks steps"), ({"steps": True}, "steps is 'True'")):
        with pytest.raises(InputError, match=rf"run\.json: {why}"):
            held(node, {"steps": int}, "run.json")
    assert from_json("[1, null]", "x") == [1, None]


def test_a_codec_may_only_name_what_codecs_are_made_of(stored):
    whole = yaml.safe_load((stored / CONFIG).read_text())
    codec = whole["training"]["codec"]
    teacher = {"_target_": "telucodec.losses.teacher.MelTeacher", "sample_rate": 16000, "n_fft": 64, "hop_length": 8}
    for key, node, why in (
        ("output", {"_target_": "os.system", "command": COMMAND}, r"'os\.system' is not allowed in a codec"),
        ("output", teacher | {"n_mels": 8, "floor": 1e-5}, r"MelTeacher' is not allowed in a codec"),
        ("output", codec["encoder"], r"codec\.output: describes .*Encoder, where a Output belongs"),
        ("output", codec["output"] | {"_partial_": True}, r"where a Output belongs"),
        ("sample_rate", "${oc.env:HOME}", r"codec\.sample_rate: got '\$\{oc\.env:HOME\}'"),
        ("quantizer", None, r"codec\.quantizer: got None"),
    ):
        evil = deepcopy(whole)
        evil["training"]["codec"][key] = node
        (stored / CONFIG).write_text(yaml.safe_dump(evil))
        with pytest.raises(InputError, match=why):
            load_codec(stored)
    assert not MARK.exists()


def test_numbers_that_no_memory_holds_are_held_against_the_weights_first(stored):
    whole = yaml.safe_load((stored / CONFIG).read_text())
    for path, value, why in (
        (("quantizer", "n_q"), 10**9, "n_q must be <= 1024"),
        ((*BOOK, "codebook_size"), 10**12, r"codewords is \(16, 8\), by its configuration \(10{12}, 8\)"),
        ((*BOOK, "codebook_size"), 10**18, "codec"),
        (("encoder", "dim"), 10**9, "by its configuration|must be alike"),
        (("sample_rate",), 10**12, "sample_rate must be <= 1000000"),
        (("encoder", "dilations", 0), [10**9], "dilations must be <= 65536"),
        (("encoder", "dilations", 0), [0], "dilations must be >= 1"),
        (("decoder", "dilations", 0), [-3], "dilations must be >= 1"),
    ):
        evil = deepcopy(whole)
        node = evil["training"]["codec"]
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        (stored / CONFIG).write_text(yaml.safe_dump(evil))
        with pytest.raises(InputError, match=why):
            load_codec(stored)


def test_nothing_in_a_configuration_is_resolved_or_passed_by_the_way():
    scale = {"_target_": "telucodec.models.output.OutputScale", "initial": 1.0}
    for change, why in (
        ({"_args_": [2.0]}, "takes no '_args_'"),
        ({"_recursive_": False}, "takes no '_recursive_'"),
        ({"_convert_": "object"}, "takes no '_convert_'"),
        ({"_partial_": "yes"}, r"_partial_: must be true or false, got 'yes'"),
        ({"initial": "${oc.create:{_target_:os.system,command:ls}}"}, "must be of type float"),
        ({"_target_": ["os", "system"]}, "is not allowed"),
        ({"_target_": "telucodec.nn.conv.Conv1d\0"}, "is not allowed"),
        ({5: 6}, "takes no '5'"),
    ):
        with pytest.raises(InputError, match=why):
            build(scale | change, "scale")
    with pytest.raises(InputError, match=r"scale: describes a OutputScale, where a Codec belongs"):
        build(scale, "scale", Codec)
    for node in (None, 3, "torch.optim.AdamW", [scale]):
        with pytest.raises(InputError, match="must be a mapping with a _target_"):
            build(node, "scale")


@pytest.mark.parametrize("change", [{"n_fft": 10**6}, {"n_mels": 10**6}])
def test_a_metric_that_no_memory_holds_is_refused(change):
    node = {"_target_": "telucodec.metrics.spectral.MelDistance", "n_fft": 512, "n_mels": 20, "floor": 1e-5}
    build(node, "metric")
    with pytest.raises(InputError, match=r"metric: n_\w+ must be <= "):
        build(node | change, "metric")


@pytest.mark.parametrize("room", ROOMS)
def test_every_class_of_a_room_can_be_named_in_a_configuration_and_is_held_or_refused(room):
    place = import_module(f"telucodec.{room}")
    names = [module.name for module in walk_packages(place.__path__, f"telucodec.{room}.")]
    found = [(name, key) for name in names for key, value in vars(import_module(name)).items() if isclass(value)]
    assert len(found) > 3
    for name, key in found:
        node = {"_target_": f"{name}.{key}"}
        clean(lambda node=node: check(node, "x"), lambda node=node: check(node | {"_partial_": True}, "x"))
    with pytest.raises(InputError, match=r"Findings' is nothing that a configuration describes"):
        check({"_target_": "telucodec.diagnosis.probe.Findings"}, "x")


@pytest.mark.parametrize("name", [".job.lock", ".lock", "incidents.jsonl", "checkpoints", "audio", "tensorboard"])
def test_a_link_in_a_run_folder_empties_and_fills_nothing_elsewhere(tmp_path, name):
    run, precious = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    precious.mkdir()
    (precious / ".a.1.partial").write_text("kept")
    before = tree(precious)
    (run / name).symlink_to(precious / ".a.1.partial" if "." in name else precious)
    writes = {"incidents.jsonl": lambda: RunRecord(run, 0).tell({"step": 1})}
    writes |= dict.fromkeys((".lock", ".job.lock"), lambda: holding(run / name).__enter__())
    with pytest.raises(InputError, match=rf"run/{name}: is a link"):
        writes.get(name, lambda: remove_remains(run))()
    assert tree(precious) == before


def test_a_command_writes_through_no_link(whole, tmp_path, capsys):
    for name in (CONFIG, WEIGHTS, "job.json"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".job.lock").symlink_to(tmp_path / "precious")
    assert main(["train", "--job", str(tmp_path)]) == 2
    assert ".job.lock: is a link" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "evaluation").symlink_to(tmp_path)
    for number in range(4):
        write(tmp_path / "sounds" / f"{number}.wav", voices(number, 0.5), 16000)
    assert main(["evaluate", str(tmp_path), "--data", str(tmp_path / "sounds")]) == 2
    assert "evaluation: is a link" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "precious").read_text() == "kept"


def test_text_that_looks_like_markup_is_shown_as_it_is(tmp_path, capsys):
    """A folder called [ with one called bold] in it makes a path that ends a style which never began."""
    folder = everything(tmp_path / "[" / "bold]")
    (folder / CHECKPOINT).write_bytes(b"x")
    console, asked = Console(width=500), read_config(folder) | {"resume": str(folder)}
    assert _over(folder, console) == 0
    with pytest.raises(InputError, match="no checkpoint of it can be read"):
        resume_from(folder, asked, console)
    (folder / CHECKPOINT).unlink()
    assert resume_from(folder, asked, console) is None
    assert run_to_continue(folder, asked | {"resume": "auto"}, console) is None
    told = capsys.readouterr().out
    assert [f"{folder}: is finished" in told, f"skipped: {folder}" in told] == [True, True]
    assert [f"{folder}: has no checkpoint" in told, f"under {folder};" in told] == [True, True]
    other = everything(tmp_path / "other")
    (other / CONFIG).write_text(yaml.safe_dump(read_config(other) | {"[/a]": "[red]b"}))
    assert main(["diff", str(folder), str(other)]) == 0
    _parts(console, "by loudness", {"val/[red]/rho": 1.0}, "val/")
    told = capsys.readouterr().out
    assert ["[/a]" in told, "[red]b" in told, "[red] " in told] == [True] * 3


def test_a_pipe_is_waited_for_by_no_reader(stored):
    (stored / WEIGHTS).unlink()
    for name in (WEIGHTS, ".lock"):
        os.mkfifo(stored / name)
    assert not is_held(stored / ".lock")
    codec = build(config()["training"]["codec"], "codec")
    for read in (lambda: load_codec(stored), lambda: load_pretrained(codec, stored)):
        with pytest.raises(InputError, match=r"codec\.safetensors: is no file"):
            read()
    with pytest.raises(InputError, match=r"\.lock: is no file"), holding(stored / ".lock"):
        pass


def line(**changes):
    return json.dumps(asdict(ENTRY) | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"path": "../../etc/passwd"}, r"the path '\.\./\.\./etc/passwd' leads out of the manifest's folder"),
        ({"path": "audio/../../x.flac"}, r"the path 'audio/\.\./\.\./x\.flac' leads out of the manifest's folder"),
        ({"path": "a\0b"}, "path is"),
        ({"path": "a\x1b[2J.flac"}, "path is"),
        ({"path": "\ud800.flac"}, "path is"),
        ({"speaker": "a\nb"}, "speaker is"),
        ({"samples": -1}, "samples is -1"),
        ({"samples": 0}, "samples is 0"),
        ({"samples": True}, "samples is true"),
        ({"samples": 2**41}, "samples is"),
        ({"samples": 2**39}, r"549755813888 samples are more than 40000 bytes can hold"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": 10**12}, "sample_rate is"),
        ({"rms_dbfs": float("nan")}, "rms_dbfs is NaN"),
        ({"peak": float("inf")}, "peak is Infinity"),
        ({"peak": 10**400}, "peak is"),
        ({"bytes": -5}, "bytes is -5"),
        ({"path": ["a"]}, "path is"),
        ({"__class__": 1}, "is not an entry"),
    ],
)
def test_a_manifest_that_cannot_be_true_is_refused(tmp_path, changes, why):
    (tmp_path / "m.jsonl").write_text(line() + "\n" + line(**changes) + "\n")
    with pytest.raises(InputError, match=rf"m\.jsonl, line 2: {why}"):
        read_manifest(tmp_path / "m.jsonl")


def test_whole_paths_and_links_are_followed_and_only_files_are_files(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"x" * 40000)
    (tmp_path / "link.flac").symlink_to(tmp_path / "a.flac")
    os.mkfifo(tmp_path / "pipe.flac")
    (tmp_path / "m.jsonl").write_text("\n".join([line(path=str(tmp_path / "a.flac")), line(path="link.flac")]))
    manifest = read_manifest(tmp_path / "m.jsonl")
    check_files(manifest, manifest.entries)
    for path in ("pipe.flac", ".", "/dev/zero", "x" * 5000):
        (tmp_path / "m.jsonl").write_text(line(path=path))
        manifest = read_manifest(tmp_path / "m.jsonl")
        with pytest.raises(InputError, match=": missing"):
            check_files(manifest, manifest.entries)


def test_a_journal_deletes_nothing_outside_of_its_folder(tmp_path):
    (tmp_path / "precious").write_text("kept")
    told = {"path": "a", "kind": "empty", "reason": "0 bytes", "cure": "none"}
    outputs = ("../precious", "/etc/x", "audio/a")
    rows = [{"key": output, "output": output, "refused": told} for output in outputs]
    (tmp_path / "dest").mkdir()
    path = tmp_path / "dest" / "journal.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert Journal(path).keep_only([]) == {"audio/a"}


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": ["dac"]}, {"n_codebooks": 10**9}, {"encoder_hidden_size": "x"},
        {"downsampling_ratios": [2] * 5000},
        {"codebook_size": -1}, {"codebook_dim": 1e400}, {"sampling_rate": None, "downsampling_ratios": []},
    ],
)  # fmt: skip
def test_a_published_codec_that_cannot_be_one_is_refused(tmp_path, change):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dac"} | change))
    save_file({"a": torch.zeros(1)}, str(tmp_path / "model.safetensors"))
    codec = build(config()["training"]["codec"], "codec")
    assert clean(lambda: load_pretrained(codec, tmp_path)) == 1


def test_an_index_cannot_lead_out_of_its_folder(tmp_path, whole):
    save_file({"secret": torch.zeros(1)}, str(tmp_path / "secret.safetensors"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "dac"}')
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    from telucodec.models.pretrained import _read_weights

    with pytest.raises(InputError, match=r"model/secret\.safetensors: missing"):
        _read_weights(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": 5}')
    with pytest.raises(InputError, match=r"weight_map is '5'"):
        _read_weights(folder)
    assert set(load_file(str(whole / WEIGHTS)))
