import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speechlike import QUIET, save, signal

from telucodec.audio.level import dbfs, rms
from telucodec.audio.resample import RESAMPLER, resample
from telucodec.data import kept, manifest
from telucodec.data.assemble import Splits
from telucodec.data.kept import rules
from telucodec.data.manifest import check_files, read_manifest
from telucodec.data.measure import Rules, file_sha256
from telucodec.data.prepare import Options, prepare
from telucodec.errors import InputError

HERE = Options(workers=0)  # in this process: quick


def fill(folder, count=6):
    for n in range(count):
        save(folder / f"s{n % 3}" / f"{n}.wav", signal(0.6, seed=n))
    return folder


def test_every_format_becomes_16_khz_mono_flac(tmp_path):
    stereo = np.stack([signal(2, 1, 44100), signal(2, 2, 44100)], axis=1)
    src = tmp_path / "in"
    save(src / "pcm16.wav", signal(1, 3), subtype="PCM_16")
    save(src / "pcm24.wav", signal(1, 4), subtype="PCM_24")
    save(src / "float.wav", signal(1, 5), subtype="FLOAT")
    save(src / "stereo.wav", stereo, 44100)
    save(src / "sub" / "a.flac", signal(1, 6, 48000), 48000)
    save(src / "sub" / "a.ogg", signal(1, 7), format="OGG", subtype="VORBIS")
    save(src / "sub" / "a.mp3", signal(1, 8, 32000), 32000)
    save(src / "sub" / "a.opus", signal(1, 9, 48000), 48000, format="OGG", subtype="OPUS")
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    entries = {entry.source: entry for entry in made.manifest.entries}
    assert len(entries) == 8
    assert made.refused == ()
    assert {name: entry.source_sample_rate for name, entry in entries.items()} == {
        "pcm16.wav": 16000, "pcm24.wav": 16000, "float.wav": 16000, "stereo.wav": 44100,
        "sub/a.flac": 48000, "sub/a.ogg": 16000, "sub/a.mp3": 32000, "sub/a.opus": 48000,
    }  # fmt: skip
    assert entries["sub/a.flac"].path == "audio/sub/a.flac"
    assert entries["sub/a.mp3"].path == "audio/sub/a.mp3.flac"
    for entry in entries.values():
        info = soundfile.info(made.manifest.locate(entry))
        assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "FLAC", "PCM_16")
        assert info.frames == entry.samples
        assert abs(entry.seconds - (2 if entry.source == "stereo.wav" else 1)) < 0.08  # codecs pad a little
        assert entry.sha256 == file_sha256(made.manifest.locate(entry))
        lost = 10 * np.log10(entry.source_sample_rate / 16000)  # of white noise above 8 kHz
        mixed = 3 if entry.source == "stereo.wav" else 0  # of two unlike channels
        assert entry.rms_dbfs == pytest.approx(-20 - lost - mixed, abs=1)
    check_files(made.manifest, made.manifest.entries)
    assert read_manifest(made.manifest.path) == made.manifest


def test_what_is_written_is_the_mean_of_the_channels_resampled(tmp_path):
    stereo = np.stack([signal(1, 1, 44100), signal(1, 2, 44100)], axis=1).astype(np.float32)
    save(tmp_path / "in" / "a.wav", stereo, 44100, subtype="FLOAT")
    made = prepare(tmp_path / "in", tmp_path / "out", Options(workers=0, splits=Splits(0, 0)), QUIET)
    wanted = resample(stereo.mean(axis=1)[None], 44100, 16000)[0]
    audio, _ = soundfile.read(made.manifest.locate(made.manifest.entries[0]))
    assert np.abs(audio - wanted).max() <= 0.5001 / 32768
    (entry,) = made.manifest.entries
    assert entry.rms_dbfs == pytest.approx(dbfs(rms(audio)), abs=0.006)
    assert entry.peak == pytest.approx(np.abs(audio).max(), abs=1e-6)


def test_sixteen_bit_16_khz_mono_keeps_every_sample(tmp_path):
    loud = np.random.default_rng(0).integers(-32768, 32768, 16000).astype(np.int16)
    save(tmp_path / "in" / "a.wav", None)
    soundfile.write(tmp_path / "in" / "a.wav", loud, 16000)
    made = prepare(tmp_path / "in", tmp_path / "out", Options(workers=0, splits=Splits(0, 0)), QUIET)
    audio, _ = soundfile.read(made.manifest.locate(made.manifest.entries[0]), dtype="int16")
    np.testing.assert_array_equal(audio, loud)


def test_a_peak_beyond_full_scale_is_scaled_down_and_told(tmp_path):
    src = fill(tmp_path / "in")
    save(src / "hot.wav", 20 * signal(1, 1), subtype="FLOAT")
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    (hot,) = [entry for entry in made.manifest.entries if entry.source == "hot.wav"]
    assert hot.peak == pytest.approx(0.999, abs=1e-4)
    assert made.report["scaled_down"]["files"] == 1
    assert made.report["scaled_down"]["most_db"] == pytest.approx(
        20 * np.log10(0.999 / (20 * np.abs(signal(1, 1)).max())), abs=0.01
    )


def test_trimming_cuts_the_ends_and_keeps_margins(tmp_path):
    src = fill(tmp_path / "in")
    save(src / "padded.wav", np.concatenate([np.zeros(32000), signal(1), np.zeros(32000)]))
    made = prepare(src, tmp_path / "out", Options(rules=Rules(trim_db=40), workers=0), QUIET)
    (padded,) = [entry for entry in made.manifest.entries if entry.source == "padded.wav"]
    assert abs(padded.seconds - 1.2) < 0.26


def test_files_of_one_stem_do_not_meet(tmp_path):
    src = tmp_path / "in"
    for n, name in enumerate(("a.wav", "a.flac", "a.mp3", "a.wav.flac", "b/a.wav")):
        save(src / name, signal(1, n))
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    assert len({entry.path for entry in made.manifest.entries}) == 5
    assert len({entry.sha256 for entry in made.manifest.entries}) == 5


def test_long_telugu_names(tmp_path):
    src = fill(tmp_path / "in")
    for tail in "ab":
        save(src / ("తెలుగు" * 13 + tail + ".wav"), signal(1, ord(tail)))
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    assert len(made.manifest.entries) == 8
    check_files(made.manifest, made.manifest.entries)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes UTF-8 names only")
def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    src = fill(tmp_path / "in")
    Path(os.fsdecode(os.fsencode(src) + b"/\xff\xfe.wav")).write_bytes((src / "s0" / "0.wav").read_bytes())
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    assert [(one.path, one.kind) for one in made.refused] == [(r"\udcff\udcfe.wav", "bad name")]
    assert len(made.manifest.entries) == 6


def test_speakers_by_folder_or_expression_do_not_share_splits(tmp_path):
    src = fill(tmp_path / "in", 12)
    made = prepare(src, tmp_path / "out", Options(speaker_from="parent", language="te", workers=0), QUIET)
    assert {entry.speaker for entry in made.manifest.entries} == {"s0", "s1", "s2"}
    assert len({(entry.speaker, entry.split) for entry in made.manifest.entries}) == 3
    assert {entry.language for entry in made.manifest.entries} == {"te"}
    assert (made.report["split_by"], made.report["notes"]) == ("speaker", [])
    again = prepare(src, tmp_path / "out", Options(speaker_from=r"s(\d)/", workers=0), QUIET)
    assert {entry.speaker for entry in again.manifest.entries} == {"0", "1", "2"}
    none = prepare(src, tmp_path / "out", HERE, QUIET)
    assert none.report["split_by"] == "file"
    assert "no speaker is known" in none.report["notes"][0]
    with pytest.raises(
        InputError, match=r"speaker rule 'x\(y\)': names no speaker in any path, for example not in 's0/0\.wav'"
    ):
        prepare(src, tmp_path / "out", Options(speaker_from="x(y)", workers=0), QUIET)


def test_the_report_says_how_it_was_made(tmp_path):
    prepare(fill(tmp_path / "in"), tmp_path / "out", Options(speaker_from="parent", workers=0), QUIET)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["resampler"] == RESAMPLER
    assert report["options"]["sample_rate"] == 16000
    assert report["versions"].keys() == {"telucodec", "soundfile", "soxr", "numpy"}
    assert report["splits"]["all"]["utterances"] == report["accepted"] == 6
    assert report["splits"]["all"]["seconds"] == pytest.approx(3.6)
    assert set(report["splits"]) == {"train", "valid", "test", "all"}


def test_other_splits_decode_nothing_and_other_rules_decode_again(tmp_path):
    src, out = fill(tmp_path / "in"), tmp_path / "out"
    first = prepare(src, out, HERE, QUIET)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    prepare(src, out, Options(splits=Splits(0.3, 0.3, 7), workers=0), QUIET)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")} == times
    prepare(src, out, Options(rules=Rules(min_seconds=0.2), workers=0), QUIET)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.flac")}
    assert all(after[path] > times[path] for path in times)
    assert prepare(src, out, HERE, QUIET).manifest == first.manifest


def test_a_changed_or_removed_recording_is_noticed(tmp_path):
    src, out = fill(tmp_path / "in"), tmp_path / "out"
    first = {entry.source: entry.sha256 for entry in prepare(src, out, HERE, QUIET).manifest.entries}
    save(src / "s0" / "0.wav", signal(0.7, seed=99))
    (src / "s1" / "1.wav").unlink()
    second = {entry.source: entry.sha256 for entry in prepare(src, out, HERE, QUIET).manifest.entries}
    assert second.keys() == first.keys() - {"s1/1.wav"}
    assert [name for name in second if second[name] != first[name]] == ["s0/0.wav"]
    assert not (out / "audio" / "s1" / "1.wav.flac").exists()
    (out / "audio" / "s2" / "2.wav.flac").unlink()
    assert prepare(src, out, HERE, QUIET).manifest.entries
    assert (out / "audio" / "s2" / "2.wav.flac").exists()


def test_the_number_of_workers_changes_nothing(tmp_path):
    src = fill(tmp_path / "in", 9)
    (src / "junk.mp3").write_bytes(b"junk" * 50)
    save(src / "a.mp3", signal(1, 1, 44100), 44100)
    save(src / "a.opus", signal(1, 2, 48000), 48000, format="OGG", subtype="OPUS")
    files = {}
    for workers in (0, 1, 3):
        prepare(src, tmp_path / f"out{workers}", Options(workers=workers), QUIET)
        out = tmp_path / f"out{workers}"
        files[workers] = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert files[0] == files[1] == files[3]


def test_a_long_list_is_parsed_already_when_training_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(manifest, "SHORT", 0)
    made = prepare(fill(tmp_path / "in"), tmp_path / "out", HERE, QUIET).manifest
    assert len(list((tmp_path / "cache" / f"lists-{rules()}").iterdir())) == 1
    monkeypatch.setattr(kept, "tables", None)  # whoever parses fails
    assert list(read_manifest(made.path).entries) == list(made.entries)
