"""One file with all recordings: what is read from it is what their own files hold, or it is refused."""

import argparse
import json
import os
import pickle
import shlex
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from test_crops import folder_source, speech
from torch.utils.data import DataLoader

from conftest import TOY, composed, voices
from hostile import EDITS, MANY, clean, edited
from telucodec.audio.files import read, read_int16
from telucodec.cli import evaluate
from telucodec.cli.data import configure
from telucodec.cli.main import main
from telucodec.cli.pack import _override
from telucodec.data import packing
from telucodec.data.columns import Columns, numbers
from telucodec.data.folder import index_folder
from telucodec.data.level import RMS, AsRecorded
from telucodec.data.manifest import Manifest, read_manifest, write_manifest
from telucodec.data.measure import file_sha256
from telucodec.data.pack import Pack, pack_path, packed
from telucodec.data.packing import verify_pack, write_pack
from telucodec.data.readers import Files, Packed, reader
from telucodec.data.sampler import CropOrder, EndlessBatches
from telucodec.data.segments import Segments, Utterances, collate
from telucodec.data.source import FromManifest, FromPack
from telucodec.errors import InputError
from telucodec.training.resume import bind_data

CROP = 12000  # some of the recordings are shorter


@pytest.fixture
def manifest(speech_folder, tmp_path):
    path = tmp_path / "made" / "manifest.jsonl"
    write_manifest(path, folder_source(speech_folder)().entries)
    return read_manifest(path)


def segments(manifest, level):
    return Segments(manifest, manifest.entries, CropOrder(numbers(manifest.entries, "samples"), CROP, seed=0), level)


def batches(data, workers):
    order = EndlessBatches(4, 0, rank=0, ranks=1)
    loaded = iter(DataLoader(data, batch_sampler=order, num_workers=workers, collate_fn=collate))
    return [next(loaded) for _ in range(8)]


@pytest.mark.parametrize(("level", "workers"), [(AsRecorded(), 0), (AsRecorded(), 2), (RMS(dbfs=-16), 0)])
def test_batches_are_the_same_from_files_and_from_a_pack(manifest, level, workers):
    assert write_pack(manifest, pack_path(manifest))
    files, pack = segments(manifest, level), segments(packed(manifest), level)
    assert (type(files.reader), type(pack.reader)) == (Files, Packed)
    for a, b in zip(batches(files, 0), batches(pack, workers), strict=True):
        assert torch.equal(a.audio, b.audio)
        assert a.audio.any()
        assert a.files == b.files
    assert torch.equal(files[5].audio, pickle.loads(pickle.dumps(pack))[5].audio)


def test_a_run_finds_the_same_in_a_pack(manifest, tmp_path):
    """Crops, validation and the list that it keeps; without the files, too."""
    write_pack(manifest, tmp_path / "a.pack")
    files = speech(FromManifest(manifest=str(manifest.path)))
    pack = speech(FromPack(manifest=str(manifest.path.parent), pack=str(tmp_path / "a.pack")))
    for data, run in ((files, tmp_path / "files"), (pack, tmp_path / "pack")):
        bind_data(run, data.prepare())
    assert (tmp_path / "files/data.jsonl").read_bytes() == (tmp_path / "pack/data.jsonl").read_bytes()
    assert torch.equal(files.crops("train", 3), pack.crops("train", 3))
    assert files.steps_per_epoch == pack.steps_per_epoch
    for a, b in zip(files.utterances("valid"), pack.utterances("valid"), strict=True):
        assert torch.equal(a.audio, b.audio)
        assert (a.name, a.speaker, a.language) == (b.name, b.speaker, b.language)
    for entry in manifest.entries:
        manifest.locate(entry).unlink()
    assert bind_data(tmp_path / "pack", pack.prepare(tmp_path / "pack/data.jsonl"))["utterances"] == 12
    with pytest.raises(InputError, match="missing"):
        files.prepare()


def test_samples_and_checksums_are_those_of_the_files(manifest):
    write_pack(manifest, pack_path(manifest))
    pack = packed(manifest).pack
    assert verify_pack(pack) == []
    for row, entry in enumerate(manifest.entries):
        audio, _ = read(manifest.locate(entry))
        assert np.array_equal(pack.whole(row), audio)
        assert np.array_equal(pack.samples[pack.starts[row] : pack.starts[row + 1]] / 32768, audio[0])
    assert pack.path.stat().st_size == 8192 + 2 * sum(entry.samples for entry in manifest.entries)


def test_a_pack_that_is_up_to_date_is_left(manifest, monkeypatch):
    path = pack_path(manifest)
    assert path.name == "manifest.pack"
    (path.parent / f".{path.name}.123.partial").write_bytes(b"left by a killed one")
    assert write_pack(manifest, path)
    assert [file.name for file in path.parent.glob(".*partial")] == []
    monkeypatch.setattr(packing, "_samples", None)
    assert not write_pack(manifest, path)


def test_a_pack_of_an_older_manifest_is_refused_and_made_anew(manifest):
    path = pack_path(manifest)
    write_pack(manifest, path)
    file = manifest.locate(manifest.entries[3])
    soundfile.write(file, voices(77, manifest.entries[3].samples / 16000)[0], 16000)
    changed = replace(manifest.entries[3], sha256=file_sha256(file), bytes=file.stat().st_size)
    shorter, other = manifest.entries[:-1], (*manifest.entries[:3], changed, *manifest.entries[4:])
    for entries, why in ((shorter, r"utterances '12', not '11'"), (other, r"\(recordings '")):
        write_manifest(manifest.path, entries)
        with pytest.raises(InputError, match=rf"manifest\.pack: holds other .*{why}.*telucodec data pack"):
            FromPack(manifest=str(manifest.path), pack=None)()
    spoken = [replace(entry, speaker="another", split="train") for entry in manifest.entries]
    write_manifest(manifest.path, spoken)  # the recordings are the same
    with pytest.raises(InputError, match=r"3\.flac: changed since"):
        write_pack(Manifest(manifest.path, manifest.entries), path.with_name("b.pack"))
    assert write_pack(Manifest(manifest.path, other), path)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda raw: raw[:-2], "bytes long instead of"),
        (lambda raw: raw + b"\0", "bytes long instead of"),
        (lambda raw: raw[:4100] + bytes([raw[4100] ^ 1]) + raw[4101:], "its index is damaged"),
        (lambda raw: b"\xff" + raw[1:], "is no pack"),
        (lambda raw: raw.replace(b'"samples"', b'"sample "', 1), "lacks samples"),
        (lambda raw: raw.replace(b'"telucodec_pack": 1', b'"telucodec_pack": 2', 1), "another version .*Make it again"),
        (lambda raw: raw.replace(b'"telucodec_pack": 1', b'"telucodec_pack":""', 1), "is no pack. Give a pack, or"),
        (lambda raw: b"", "is no pack"),
        (None, "no such pack. Make it first: telucodec data pack"),
    ],
)
def test_a_damaged_pack_is_refused_by_name(manifest, damage, why):
    path = pack_path(manifest)
    write_pack(manifest, path)
    raw = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(raw))
    with pytest.raises(InputError, match=rf"manifest\.pack: .*{why}"):
        packed(manifest)


def test_a_flipped_bit_is_found_where_it_is(manifest):
    path = pack_path(manifest)
    write_pack(manifest, path)
    pack = packed(manifest).pack
    with path.open("r+b") as file:
        file.seek(8192 + 2 * int(pack.starts[4]) + 7)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 64]))
    pack = packed(manifest)
    assert verify_pack(pack.pack) == [4]
    heard = Utterances(pack, pack.entries, 16000, AsRecorded())
    assert heard[3].audio.any()
    with pytest.raises(InputError, match="samples of utterance 5 are damaged"):
        _ = heard[4]


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_samples_that_16_bits_cannot_tell_are_refused(tmp_path, monkeypatch, subtype):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    for name, kind in (("a", "PCM_16"), ("b", "PCM_U8"), ("c", subtype)):
        (tmp_path / "in").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "in" / f"{name}.wav", voices(0, 0.5)[0], 16000, kind)
    manifest = index_folder(tmp_path / "in", Console(quiet=True)).manifest
    for name in "ab":
        file = tmp_path / "in" / f"{name}.wav"
        assert np.array_equal(read_int16(file)[0] / 32768, read(file)[0])
    with pytest.raises(InputError, match=rf"c\.wav: its samples \(WAV, {subtype}\) would be .*telucodec data prepare"):
        write_pack(manifest, tmp_path / "a.pack")
    assert list(tmp_path.glob("*.pack")) == []


def test_a_disk_without_room_and_several_rates_are_told_before_anything_is_written(manifest, monkeypatch):
    mixed = (replace(manifest.entries[0], sample_rate=8000), *manifest.entries[1:])
    with pytest.raises(InputError, match=r"8000, 16000 Hz, and a pack has one rate.*--sample-rate 16000"):
        write_pack(Manifest(manifest.path, mixed), pack_path(manifest))
    monkeypatch.setattr(packing, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"needs 0\.0 GB, and 0\.0 GB are free"):
        write_pack(manifest, pack_path(manifest))
    assert not pack_path(manifest).exists()


def put(path, kind):
    """Something that a user would not want to lose."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(path.parent / "nowhere")
    else:
        path.write_bytes(kind)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("folder", r"is a folder, .* Name the file, too: telucodec data pack \S+ \S+/x/manifest\.pack"),
        ("pipe", "is a link, or no file. It would be lost: remove it first, or choose another place: .* DEST"),
        ("link", "is a link, or no file. It would be lost: remove it first"),
        (b"", "is no pack. It would be lost: remove it first"),
        (b'{"path": "a.flac"}\n', "is no pack. It would be lost: remove it first"),
        (b"RIFF\xff" * 2000, "is no pack. It would be lost: remove it first"),
        (b'{"telucodec_pack": 1, "manifest": "0"}', "is a pack of another manifest than .* remove it first"),
    ],
)
def test_nothing_but_an_older_pack_of_this_manifest_is_written_over(manifest, tmp_path, monkeypatch, kind, why):
    monkeypatch.setattr(packing, "_samples", None)
    path = tmp_path / "safe" / "x"
    path.parent.mkdir()
    put(path, kind)
    before = path.lstat()
    with pytest.raises(InputError, match=rf"safe/x: {why}"):
        write_pack(manifest, path)
    after = path.lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert [file.name for file in path.parent.iterdir()] == ["x"], "no lock is left beside it"


def test_a_pack_that_other_recordings_need_is_kept(manifest, tmp_path):
    path, other = tmp_path / "a.pack", tmp_path / "made" / "other.jsonl"
    write_pack(manifest, path)
    raw = path.read_bytes()
    write_manifest(other, manifest.entries[:5])
    with pytest.raises(InputError, match=r"is a pack of another manifest than .*other\.jsonl.*remove it first"):
        write_pack(read_manifest(other), path)
    assert path.read_bytes() == raw
    path.write_bytes(raw.replace(b'"telucodec_pack": 1', b'"telucodec_pack": 0'))
    assert write_pack(manifest, path), "it was made of this manifest, by another version"
    assert path.read_bytes() == raw


def test_a_folder_that_has_moved_with_its_pack_can_be_packed_again(manifest):
    write_pack(manifest, pack_path(manifest))
    moved = manifest.path.parent.rename(manifest.path.parent.with_name("moved")) / manifest.path.name
    write_manifest(moved, read_manifest(moved).entries[:5])
    assert write_pack(read_manifest(moved), pack_path(read_manifest(moved)))


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_samples", None)
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(InputError, match=r"file/a\.pack: cannot be written \(.*\)\. Choose another place"):
        write_pack(manifest, tmp_path / "file" / "a.pack")
    (tmp_path / "shut").mkdir(mode=0o500)
    if not os.access(tmp_path / "shut", os.W_OK):  # root may write everywhere
        with pytest.raises(InputError, match=r"a\.pack.*: cannot be written"):
            write_pack(manifest, tmp_path / "shut" / "a.pack")
    assert (tmp_path / "file").read_bytes() == b"kept"


@pytest.mark.parametrize("most", [8000, 16000, 48000])
def test_the_rate_of_most_recordings_is_named(manifest, most):
    rates = [8000, 16000, 48000, *[most] * 9]
    mixed = [replace(entry, sample_rate=rate) for entry, rate in zip(manifest.entries, rates, strict=True)]
    with pytest.raises(InputError, match=rf"8000, 16000, 48000 Hz.*--sample-rate {most}$"):
        write_pack(Manifest(manifest.path, mixed), pack_path(manifest))


def test_evaluation_reads_what_a_run_on_a_pack_has_listed_without_the_files(manifest, tmp_path, capsys):
    """The whole list, or a part; what changed since is said, and the files are read."""
    write_pack(manifest, tmp_path / "a.pack")
    data = {"_target_": "telucodec.data.source.FromPack"}
    data |= {"manifest": str(manifest.path), "pack": str(tmp_path / "a.pack")}
    options = argparse.Namespace(data=None, run_folder=tmp_path)
    heard = {entry.path: read(manifest.locate(entry))[0] for entry in manifest.absolute()}
    for entry in manifest.entries:
        manifest.locate(entry).unlink()
    for some in (slice(None), slice(2, None, 3)):
        listed = manifest.absolute()[some]
        write_manifest(tmp_path / "data.jsonl", listed)
        found, bare = evaluate._manifest(options, {"data": data}, 16000)
        assert (found.absolute(), bare) == (listed, False)
        assert [entry.path for entry in found.entries] == [entry.path for entry in listed]  # so reports name them
        for name in ("all", "valid"):
            part = evaluate._entries(found, name)
            for index, entry in enumerate(part):
                audio = reader(found, part).whole(index)[0]
                assert np.array_equal(audio, heard[str(manifest.path.parent / entry.path)])
    write_manifest(tmp_path / "data.jsonl", [replace(entry, split="test") for entry in listed])
    found, _ = evaluate._manifest(options, {"data": data}, 16000)
    assert "is not what it was when the run began. So the recordings are read from" in capsys.readouterr().err
    with pytest.raises(InputError, match="4 of 4 files do not match"):
        evaluate._entries(found, "all")


@pytest.mark.parametrize(
    "path",
    [
        "/a/m.jsonl",
        "/a b/m",
        "/a,b",
        "/a=b",
        "a'b/\"c",
        "/తె/(1)[2]{3}",
        "/a#b;$x|&*",
        "/a${b}",
        "/a\\",
        "12",
        "null",
        "~a",
    ],
)
def test_a_printed_path_comes_back_whole_from_shell_and_hydra(path):
    (word,) = shlex.split(shlex.join([_override("data.manifest", path)]))
    assert composed("data=pack", word)["data"]["manifest"] == path
    assert (word == f"data.manifest={path}") == (path in ("/a/m.jsonl", "/a b/m", "/a\\"))


def test_parts_of_a_packed_manifest_keep_their_samples(manifest):
    write_pack(manifest, pack_path(manifest))
    pack = packed(manifest)
    train = pack.split("train")[2:]
    assert isinstance(train, Columns)
    assert [entry.path for entry in train] == [entry.path for entry in manifest.split("train")[2:]]
    for index, entry in enumerate(train):
        assert np.array_equal(reader(pack, train).whole(index)[0], read(manifest.locate(entry))[0])
    assert isinstance(pack.pack, Pack)


def run(*arguments):
    parser = argparse.ArgumentParser()
    configure(parser)
    args = parser.parse_args(list(map(str, arguments)))
    return args.run(args)


def test_the_command_names_paths_as_a_shell_takes_them(manifest, tmp_path, capsys):
    path = tmp_path / "a b,c=d" / "x.pack"
    assert run("pack", manifest.path, path) == 0
    command = capsys.readouterr().out.partition("train on it: ")[2]
    words = shlex.split(command)
    assert words[:3] == ["telucodec", "train", "data=pack"]
    data = composed(*words[2:])["data"]
    assert (data["manifest"], data["pack"]) == (str(manifest.path), str(path))


def test_the_command(manifest, tmp_path, capsys):
    assert run("pack", manifest.path.parent, "--verify") == 0
    said = capsys.readouterr().out
    assert f"telucodec train data=pack data.manifest={manifest.path}\n" in said
    assert "0 of 12 recordings in it are damaged" in said
    path = tmp_path / "new" / "b.pack"
    assert run("pack", manifest.path, path) == 0
    assert f"data.pack={path}" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-2] + b"ab")
    assert run("pack", manifest.path, path, "--verify") == 1
    said = capsys.readouterr().out
    assert "up to date" in said
    assert f"{path}: damaged where {manifest.entries[11].path} is" in said
    with pytest.raises(InputError, match="no such manifest"):
        run("pack", tmp_path)


@pytest.mark.slow
def test_a_training_from_a_pack_is_the_training_from_the_files(manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("telucodec.training.context.pixels", lambda figure: np.zeros((8, 8, 4), np.uint8))
    write_pack(manifest, pack_path(manifest))
    found = []
    for data in ("manifest", "pack"):
        assert (
            main(["train", *TOY, f"data={data}", f"data.manifest={manifest.path}", "max_steps=2", f"name={data}"]) == 0
        )
        (log,) = (tmp_path / "runs" / data).glob("*/metrics.jsonl")
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        found.append([{k: repr(v) for k, v in row.items() if k.startswith(("loss/", "val/"))} for row in rows])
    assert found[0] == found[1]
    assert any("loss/l1" in row for row in found[0])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A pack, and what belongs to it."""
    folder = tmp_path_factory.mktemp("small")
    for name in "ab":
        soundfile.write(folder / f"{name}.wav", voices(0, 0.1)[0], 16000)
    files = [folder / "a.wav", folder / "b.wav"]
    made = {"samples": 1600, "sample_rate": 16000, "source_sample_rate": 16000, "rms_dbfs": -20, "peak": 0.5}
    made |= dict.fromkeys(("speaker", "language"), None) | {"split": "train", "bandwidth_hz": 8000, "source": "a"}
    rows = [made | {"path": f.name, "bytes": f.stat().st_size, "sha256": file_sha256(f)} for f in files]
    (folder / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = read_manifest(folder / "m.jsonl")
    write_pack(manifest, folder / "m.pack")
    return manifest, (folder / "m.pack").read_bytes()


@MANY
@given(edits=EDITS, header=st.booleans())
def test_whatever_is_done_to_a_pack_it_is_read_or_refused(small, edits, header):
    manifest, raw = small
    path = pack_path(manifest)
    path.write_bytes(edited(raw[:4096], edits) + raw[4096:] if header else edited(raw, edits))

    def read_all():
        pack = packed(manifest)
        assert verify_pack(pack.pack) in ([], [0], [1], [0, 1])
        assert segments(pack, AsRecorded())[0].audio.isfinite().all()

    clean(read_all)
