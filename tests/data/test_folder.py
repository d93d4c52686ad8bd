import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from speechlike import QUIET, save, signal, text

from telucodec.data.assemble import Splits
from telucodec.data.folder import index_folder
from telucodec.data.manifest import check_files, read_manifest, write_manifest
from telucodec.data.measure import Rules
from telucodec.data.prepare import Options, prepare
from telucodec.disk import whole
from telucodec.errors import InputError
from telucodec.training.resume import bind_data


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    for n in range(12):
        save(tmp_path / "mine" / f"s{n % 4}" / f"{n}.{('wav', 'flac')[n % 2]}", signal(0.5, seed=n))
    return tmp_path / "mine"


def measured(monkeypatch):
    from telucodec.data import folder

    names = []
    real = folder.measure_in_place
    monkeypatch.setattr(folder, "measure_in_place", lambda job: names.append(job.name) or real(job))
    return names


def test_a_folder_is_measured_where_it_lies(root, cache):
    indexed = index_folder(root, QUIET, speaker_from="parent")
    assert len(indexed.manifest.entries) == 12
    assert (indexed.refused, indexed.notes) == ((), ())
    for entry in indexed.manifest.entries:
        file = indexed.manifest.locate(entry)
        assert file == root / entry.source
        assert (entry.samples, entry.sample_rate) == (8000, 16000)
        assert entry.rms_dbfs == pytest.approx(-20, abs=0.1)
        assert entry.bandwidth_hz > 7500
    assert len({(entry.speaker, entry.split) for entry in indexed.manifest.entries}) == 4
    assert {entry.split for entry in indexed.manifest.entries} == {"train", "valid", "test"}
    check_files(indexed.manifest, indexed.manifest.entries)
    assert read_manifest(indexed.manifest.path) == indexed.manifest
    assert cache in indexed.manifest.path.parents
    assert sorted(path.suffix for path in root.rglob("*.*")) == [".flac"] * 6 + [".wav"] * 6


def test_a_folder_reached_by_dots_is_the_same_folder(root, tmp_path, monkeypatch):
    """The run keeps the list, and reads it again to go on: paths with .. in them would be refused there."""
    monkeypatch.chdir(root / "s0")
    found = index_folder(Path("../../mine"), QUIET).manifest
    assert found == index_folder(root, QUIET).manifest
    write_manifest(root / "list.jsonl", tuple(replace(entry, path=entry.source) for entry in found.entries))
    listed = read_manifest(Path("../list.jsonl"))
    assert bind_data(tmp_path, listed) == bind_data(tmp_path, listed)
    (tmp_path / "link").symlink_to(root / "s0")
    assert whole(Path("a")) == root / "s0" / "a"
    assert whole(tmp_path / "link" / "a") == tmp_path / "link" / "a"
    assert whole(tmp_path / "link" / ".." / "list.jsonl") == root / "list.jsonl"


def test_a_folder_whose_name_no_list_can_hold_is_refused(root):
    with pytest.raises(InputError, match=r"mine\\x1b.*Rename the folder"):
        index_folder(root.rename(root.with_name("mine\x1b")), QUIET)


def test_known_files_are_not_read_again(root, monkeypatch):
    first = index_folder(root, QUIET).manifest
    names = measured(monkeypatch)
    assert index_folder(root, QUIET).manifest == first
    assert names == []
    os.utime(root / "s0" / "0.wav", ns=(1, 1))
    save(root / "new.wav")
    index_folder(root, QUIET)
    assert sorted(names) == ["new.wav", "s0/0.wav"]


def test_it_measures_what_preparation_measures(root, tmp_path):
    prepared = prepare(root, tmp_path / "out", Options(workers=0), QUIET).manifest
    indexed = index_folder(tmp_path / "out" / "audio", QUIET).manifest
    for one, other in zip(prepared.entries, indexed.entries, strict=True):
        for name in ("samples", "rms_dbfs", "peak", "bandwidth_hz", "bytes", "sha256"):
            assert getattr(one, name) == getattr(other, name)
    assert "holds a manifest" in index_folder(tmp_path / "out", QUIET).notes[-1]


def test_a_broken_file_among_good_ones_is_set_aside_by_name(root):
    (root / "bad.wav").write_bytes(b"junk" * 50)
    indexed = index_folder(root, QUIET)
    assert len(indexed.manifest.entries) == 12
    assert [str(one)[:20] for one in indexed.refused] == ["bad.wav: unreadable "]


@pytest.mark.parametrize(
    ("audio", "kind"),
    [
        (np.zeros(0), "empty"),
        (np.full(8000, np.nan), "non-finite"),
        (np.zeros(8000), "silent"),
        (signal(0.1), "too short"),
        (signal(0.5) * 1e8, "too loud"),
    ],
)
def test_every_bad_file_is_set_aside_with_its_reason(root, audio, kind):
    save(root / "bad.wav", audio, subtype="FLOAT")
    (one,) = index_folder(root, QUIET).refused
    assert (one.path, one.kind) == ("bad.wav", kind)
    assert one.cure


def test_a_clip_shorter_than_a_segment_is_kept(root):
    save(root / "shortish.wav", signal(0.35))
    assert len(index_folder(root, QUIET).manifest.entries) == 13
    assert len(index_folder(root, QUIET, rules=Rules(min_seconds=0.4)).manifest.entries) == 12


def test_many_bad_files_are_an_error_that_names_them(root):
    for n in range(3):
        save(root / f"silent{n}.wav", np.zeros(8000))
    with pytest.raises(
        InputError, match=r"(?s)3 of 15 files cannot be used:\n  silent0\.wav: silent .*telucodec data prepare"
    ):
        index_folder(root, QUIET)


def test_all_silent_is_an_error(tmp_path):
    for n in range(4):
        save(tmp_path / "quiet" / f"{n}.wav", np.full(8000, 1e-4))
    with pytest.raises(InputError, match=r"(?s)4 of 4 files cannot be used.*silent \(RMS -80\.8 dBFS"):
        index_folder(tmp_path / "quiet", QUIET)


@pytest.mark.parametrize(
    ("name", "audio", "rate", "form", "why"),
    [
        ("a.mp3", signal(1), 16000, {}, r"a\.mp3: MP3 cannot be read in pieces exactly"),
        ("a.opus", signal(1, 0, 48000), 48000, {"format": "OGG", "subtype": "OPUS"}, r"a\.opus: OGG cannot"),
        ("a.wav", np.stack([signal(1, 0, 44100)] * 2, 1), 44100, {}, r"a\.wav: 44100 Hz, 2 channels"),
        ("a.flac", signal(1, 0, 48000), 48000, {}, r"a\.flac: 48000 Hz, 1 channel\n"),
    ],
)
def test_what_needs_converting_is_refused_with_the_command(root, name, audio, rate, form, why):
    save(root / name, audio, rate, **form)
    with pytest.raises(InputError, match=f"(?s)1 files are not 16000 Hz mono WAV or FLAC:.*{why}.*data prepare {root}"):
        index_folder(root, QUIET)


def test_only_the_first_three_are_named(root):
    for n in range(5):
        save(root / f"{n}.mp3")
    with pytest.raises(InputError, match=r"(?s)5 files are not.*and 2 more\nConvert it once: telucodec data prepare"):
        index_folder(root, QUIET)


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no audio"):
        index_folder(tmp_path / "empty", QUIET)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        index_folder(tmp_path / "nowhere", QUIET)
    save(tmp_path / "one" / "a.wav")
    with pytest.raises(InputError, match="1 usable recording: cannot be split"):
        index_folder(tmp_path / "one", QUIET)
    assert len(index_folder(tmp_path / "one", QUIET, splits=Splits(0, 0)).manifest.entries) == 1


def test_files_that_no_library_here_reads_are_told(root):
    text(root / "talk.m4a", "aac")
    assert "1 files were left out because they need converting first" in index_folder(root, QUIET).notes[-1]


def test_workers_change_nothing(root):
    one = index_folder(root, QUIET, workers=0)
    one.manifest.path.unlink()
    one.manifest.path.with_suffix(".measured.jsonl").unlink()
    assert index_folder(root, QUIET, workers=2) == one
