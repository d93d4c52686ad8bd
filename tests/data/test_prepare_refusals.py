"""What preparation refuses, file by file and altogether."""

import csv

import numpy as np
import pytest
from speechlike import QUIET, save, signal, text

from telucodec.audio.resample import resample
from telucodec.data.measure import Rules
from telucodec.data.prepare import Options, prepare
from telucodec.errors import InputError

HERE = Options(workers=0)  # in this process: quick


def fill(folder, count=6):
    for n in range(count):
        save(folder / f"s{n % 3}" / f"{n}.wav", signal(0.6, seed=n))
    return folder


def refusals(dest):
    with (dest / "refused.csv").open(encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_each_refusal_has_a_reason_and_a_cure(tmp_path):
    src = fill(tmp_path / "in")
    whole = (src / "s0" / "0.wav").read_bytes()
    (src / "junk.wav").write_bytes(b"junk" * 50)
    (src / "zero.wav").touch()
    (src / "header.wav").write_bytes(b"")
    save(src / "header.wav", np.zeros(0))
    save(src / "short.wav", signal(0.1))
    save(src / "silent.wav", np.full(16000, 1e-4))
    save(src / "digital.flac", np.zeros(16000))
    broken = signal(1)
    broken[500] = np.nan
    save(src / "nan.wav", broken, subtype="FLOAT")
    broken[500] = np.inf
    save(src / "inf.wav", broken, subtype="FLOAT")
    opposite = np.stack([signal(1), -signal(1)], axis=1)
    save(src / "opposite.wav", opposite)
    (src / "cut.flac").write_bytes(save(tmp_path / "long.flac", signal(5)).read_bytes()[:20000])
    text(src / "talk.m4a", "aac")
    (src / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    reasons = refusals(tmp_path / "out")
    assert {path: reason.split(":")[0] for path, reason in reasons.items()} == {
        "junk.wav": "unreadable", "zero.wav": "empty", "header.wav": "empty", "short.wav": "too short",
        "silent.wav": "silent", "digital.flac": "silent", "nan.wav": "non-finite", "inf.wav": "non-finite",
        "opposite.wav": "silent", "cut.flac": "unreadable", "talk.m4a": "unsupported", "gone.wav": "missing",
    }  # fmt: skip
    assert reasons["short.wav"] == "too short: 0.100 s, under 0.3 s"
    assert reasons["silent.wav"] == "silent: RMS -80.8 dBFS, under -60 dBFS"
    assert all(one.cure for one in made.refused)
    assert len(made.manifest.entries) == 6
    assert made.report["refused"]["silent"] == 3
    assert made.report["found"] == 18
    assert len(whole) > 0


def test_nothing_refused_still_writes_the_header(tmp_path):
    prepare(fill(tmp_path / "in"), tmp_path / "out", HERE, QUIET)
    assert (tmp_path / "out" / "refused.csv").read_text() == "path,reason,cure\n"


def test_the_bandwidth_filter_refuses_telephone_speech_only_when_asked(tmp_path):
    src = fill(tmp_path / "in")
    narrow = resample(resample(signal(1)[None].astype(np.float32), 16000, 7000), 7000, 16000)[0]
    save(src / "phone.wav", narrow)
    assert len(prepare(src, tmp_path / "all", HERE, QUIET).manifest.entries) == 7
    made = prepare(src, tmp_path / "wide", Options(rules=Rules(min_bandwidth_hz=5000), workers=0), QUIET)
    assert [(one.path, one.kind) for one in made.refused] == [("phone.wav", "telephone band")]
    assert "under 5000 Hz" in made.refused[0].reason


def test_a_corpus_names_a_file_that_is_missing_and_one_it_does_not_name(tmp_path):
    src = tmp_path / "in"
    text(src / "line_index.tsv", "".join(f"tef_0000{n}_1\tx\n" for n in range(6)) + "../out_1\tx\n/etc/x_1\tx\n")
    for n in range(5):
        save(src / f"tef_0000{n}_1.wav")
    save(src / "tef_99999_1.wav")
    made = prepare(src, tmp_path / "out", HERE, QUIET)
    assert sorted((one.path.rsplit("/", 1)[-1], one.kind) for one in made.refused) == [
        ("out_1.wav", "outside"), ("tef_00005_1.wav", "missing"), ("x_1.wav", "outside"),
    ]  # fmt: skip
    assert len(made.manifest.entries) == 5
    assert made.report["options"]["corpus"] == "slr66"
    assert made.report["notes"] == [
        "1 audio files are not in the slr66 index and were left out (first: tef_99999_1.wav)"
    ]


def test_exact_copies_are_told(tmp_path):
    src = fill(tmp_path / "in")
    save(src / "copy.wav", signal(0.6, seed=0))
    notes = prepare(src, tmp_path / "out", HERE, QUIET).report["notes"]
    assert any("1 recordings are exact copies of others (first: s0/0.wav of copy.wav)" in note for note in notes)


def test_folders_that_cannot_be_used(tmp_path):
    src = fill(tmp_path / "in")
    with pytest.raises(InputError, match=r"lies in .* and would be read as a recording"):
        prepare(src, src / "out", HERE, QUIET)
    with pytest.raises(InputError, match=r"lies in .* and would be read as a recording"):
        prepare(src, src, HERE, QUIET)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out", HERE, QUIET)
    text(tmp_path / "taken" / "thesis.txt", "mine")
    with pytest.raises(InputError, match="is not empty and was not made by"):
        prepare(src, tmp_path / "taken", HERE, QUIET)
    with pytest.raises(InputError, match=r"thesis\.txt: is a file"):
        prepare(src, tmp_path / "taken" / "thesis.txt" / "out", HERE, QUIET)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no audio"):
        prepare(tmp_path / "empty", tmp_path / "out", HERE, QUIET)


def test_all_refused_points_to_the_list_and_can_be_tried_again(tmp_path):
    for n in range(7):
        save(tmp_path / "in" / f"{n}.wav", np.zeros(16000))
    with pytest.raises(
        InputError, match=r"(?s)all 7 recordings were refused, see .*refused\.csv:.*0\.wav: silent.*and 2 more"
    ):
        prepare(tmp_path / "in", tmp_path / "out", HERE, QUIET)
    assert len(refusals(tmp_path / "out")) == 7
    fill(tmp_path / "in")
    assert len(prepare(tmp_path / "in", tmp_path / "out", HERE, QUIET).manifest.entries) == 6


@pytest.mark.parametrize(
    ("rules", "why"),
    [({"min_seconds": -1}, "0 or more"), ({"trim_db": 0}, "above 0"), ({"sample_rate": 0}, "between 1000 and 192000")],
)
def test_impossible_rules(rules, why):
    with pytest.raises(InputError, match=why):
        Rules(**rules)
