"""The page of a study holds what it should, escaped, whatever its runs are called and however they ended."""

import json
import math
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from synthetic import collected, ran, with_sounds

from telucodec.audio.files import read, write
from telucodec.study.report.arms import by_arm, chosen, rows
from telucodec.study.report.measures import measure, tabled
from telucodec.study.report.origin import troubles
from telucodec.study.report.page import Claimed, ReportOptions, write_report
from telucodec.study.report.sentences import verdict
from telucodec.study.report.series import clock, curve, paths
from telucodec.study.report.sounds import clip, gather, matched, spectrogram

HOSTILE = """<img src=x onerror=alert(1)>"'&</script><b>"""
SNR = measure("val/snr")


class Page(HTMLParser):
    """Text, references and scripts of a page, as a parser of HTML sees them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.scripts, self.text, self.inside = [], [], {}, [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.tags.append(tag)
        self.references += [told[key] for key in ("src", "href", "action", "poster", "data") if key in told]
        self.inside = told.get("id", "code") if tag == "script" else "style" if tag == "style" else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside is None:
            self.text.append(data)
        else:
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + data


def page(found, tmp_path, **options):
    path = write_report(found, tmp_path / "report.html", ReportOptions(**options))
    return Page(path.read_text(encoding="utf-8"))


def test_hostile_names_stay_text(tmp_path):
    found = collected(tmp_path, 3, 2, arm_1=HOSTILE, name="<marquee>study", question=HOSTILE)
    found = replace(found, notes=[HOSTILE], failed=[(HOSTILE, 0, HOSTILE)], missing=[("arm_2", 9)])
    with_sounds(found, 1, 0.2)
    told = page(found, tmp_path, claims=[Claimed(HOSTILE, "refuted", HOSTILE)])
    assert "img" not in told.tags
    assert "marquee" not in told.tags
    assert "".join(told.text).count(HOSTILE) >= 8
    assert json.loads(told.scripts["data"])["arms"][1]["name"] == HOSTILE


def test_nothing_is_fetched(tmp_path):
    found = collected(tmp_path, 2)
    with_sounds(found, 1, 0.2)
    told = page(found, tmp_path)
    assert {ref for ref in told.references if not ref.startswith("#")} == {"data:,"}
    everything = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"')\s]+", everything)) == {"http://www.w3.org/2000/svg"}  # a namespace's name
    assert "@import" not in told.scripts["style"]
    assert "url(" not in told.scripts["style"]
    assert "connect-src" not in everything
    assert "default-src 'none'" in everything


def test_every_curve_path_and_difference_is_in_the_data(tmp_path):
    data = json.loads(page(collected(tmp_path, 3), tmp_path).scripts["data"])
    assert [len(each["rows"]) for each in data["curves"]["val/snr"].values()] == [3, 3, 3]
    assert len(data["plane"]["paths"]) == 9
    assert [one["arm"] for one in data["forest"]["val/snr"]] == [1, 2]
    assert all(len(one["each"]) == one["seeds"] == 3 for one in data["forest"]["val/snr"])
    assert sum(data["gradients"]["encoded"]["arms"]["0"]) == pytest.approx(1, abs=1e-3)
    assert len(data["codebook"]["usage"]["2"]) == 8
    assert {"loss/mel", "codebook/perplexity_min"} <= data["curves"].keys()


def test_what_failed_diverged_or_is_missing_stays_on_the_page(tmp_path):
    found = collected(tmp_path, 3)
    blown = ran(
        found.study, 1, 0, status="diverged", rows={0: {"val/snr": math.nan, "loss/l1": 1e30}}, heard=(), label=""
    )
    runs = [blown, *(each for each in found.runs if (each.arm, each.seed) not in {("arm_1", 0), ("arm_2", 2)})]
    failed = [("arm_1", 0, "diverged at step 300"), ("arm_2", 2, "failed before its first step (out of memory)")]
    found = replace(found, runs=runs, failed=failed, missing=[("base", 5)])
    assert [(one.arm, one.seed, one.status) for one in troubles(found)] == [
        ("arm_1", 0, "diverged"),
        ("arm_2", 2, "failed"),
        ("base", 5, "missing"),
    ]
    text = " ".join("".join(page(found, tmp_path).text).split())
    assert "diverged at step 300" in text
    assert "out of memory" in text
    assert "Not every run came to its end" in text
    assert "arm_1 (1 diverged)" in text


def test_the_verdict_names_who_differs_and_who_does_not(tmp_path):
    found = collected(tmp_path, 4)
    table = rows(found, "val/snr", tabled(found.runs, "val/snr", ()))
    sentences = verdict(table, SNR, True, [])
    assert len(sentences) == 3
    worse = next(row for row in table if row.name == "arm_3")
    assert worse.difference.clear
    assert f"arm_3 by {SNR.written(worse.difference.mean, signed=True)} dB" in sentences[0]
    assert "worse" in sentences[0]
    alike = [row.name for row in table if row.difference and not row.difference.clear]
    assert alike
    assert all(name in sentences[1] for name in alike)
    assert sentences[2] == "All 12 runs came to their end."
    assert "better: arm_3" in verdict(table, SNR, False, [])[0]
    assert verdict(table, SNR, True, [Claimed("P1", "confirmed", "")] * 2)[3].endswith("2 confirmed.")


def test_a_single_seed_is_never_called_a_difference(tmp_path):
    found = collected(tmp_path, 3, 1)
    sentences = verdict(rows(found, "val/snr", [SNR]), SNR, True, [])
    assert sentences[0] == "Nothing can be compared in SNR yet."
    assert "Too few seeds compare arm_1 and arm_2" in sentences[1]
    assert "one seed" in "".join(page(found, tmp_path).text)


def test_committed_tables_alone_make_a_page_that_says_what_is_missing(tmp_path):
    found = collected(tmp_path, 3)
    keep = ("step", "val/snr", "val/mel_distance")
    runs = [
        replace(
            run, config={}, evaluator={}, command=(), rows={s: {k: r[k] for k in keep} for s, r in run.rows.items()}
        )
        for run in found.runs
    ]
    told = page(replace(found, runs=runs), tmp_path)
    text = " ".join("".join(told.text).split())
    for missing in (
        "No sounds:",
        "no pair of RMS ratio and correlation",
        "No run logged gradients",
        "no figures per codebook",
    ):
        assert missing in text
    assert "telucodec study run synthetic" in text
    assert "do not hold versions" in text
    assert json.loads(told.scripts["data"])["curves"].keys() == {"val/snr", "val/mel_distance"}


def test_one_arm_is_a_study_too(tmp_path):
    data = json.loads(page(collected(tmp_path, 1), tmp_path).scripts["data"])
    assert data["forest"] == {}
    assert data["chosen"] == [0]


def test_the_run_folder_tells_versions_data_and_hardware(tmp_path):
    found = collected(tmp_path, 2, 1)
    record = {"git": {"commit": "abc123", "changed": True}, "data": {"sha256": "f341"}, "versions": {"torch": "2.11.0"}}
    for run in found.runs:
        run.folder.mkdir(parents=True)
        (run.folder / "run.json").write_text(json.dumps(record))
    text = "".join(page(found, tmp_path, price=3.0, currency="EUR").text)
    for wanted in ("abc123 with changes", "f341", "torch 2.11.0", "AMD EPYC, 1 thread", "a75303fbc7f6", "EUR"):
        assert wanted in text
    assert "telucodec train 'discriminator=[]' loss.mel.weight=1 seed=0" in text


def test_switches_show_the_overrides_and_what_composition_made_of_them(tmp_path):
    text = " ".join("".join(page(collected(tmp_path, 2), tmp_path).text).split())
    assert "loss.mel.weight=1" in text
    assert "loss.mel.weight 0 1" in text.replace("loss.mel.weight01", "loss.mel.weight 0 1")
    assert "training.repeats" not in text


def test_curves_keep_seeds_apart_and_skip_what_is_not_finite(tmp_path):
    study = collected(tmp_path, 1).study
    runs = [
        ran(study, 0, seed, rows={0: {"loss/l1": 2.0}, 5: {"loss/l1": math.nan if seed else 1.0}}) for seed in (0, 1)
    ]
    assert curve(runs, "loss/l1") == {"steps": [0, 5], "rows": [[2.0, 1.0], [2.0, None]]}
    assert curve(runs, "loss/mel") is None


def test_the_clock_goes_evenly_where_the_log_has_no_seconds(tmp_path):
    study = collected(tmp_path, 1).study
    runs = [ran(study, 0, 0, rows={0: {}, 300: {}, 600: {}}, seconds=60.0, audio_hours=1.2)]
    assert clock(runs) == ([0, 300, 600], [0.0, 30.0, 60.0], 0.002)


def test_paths_take_all_samples_together_if_they_can(tmp_path):
    study = collected(tmp_path, 1).study
    row = {"val/rms_ratio": 1.0, "val/rho": 0.5}
    assert paths(ran(study, 0, 0, rows={3: row})) == [(3, 1.0, 0.5)]
    pooled = row | {"val/rms_ratio_pooled": 0.8, "val/rho_pooled": 0.4}
    assert paths(ran(study, 0, 0, rows={3: pooled})) == [(3, 0.8, 0.4)]


def test_a_clip_is_its_file_again(tmp_path):
    tone = 0.5 * np.sin(np.arange(8000) / 5, dtype=np.float32)[None]
    tone[0, :7] = 1.0
    write(tmp_path / "tone.wav", tone, 16000)
    found = clip(tmp_path / "tone.wav", "one")
    assert (found.seconds, found.clipped, found.peak) == (0.5, 7, pytest.approx(1, abs=1e-4))
    (tmp_path / "again.flac").write_bytes(b64decode(found.sound))
    np.testing.assert_array_equal(read(tmp_path / "again.flac")[0], read(tmp_path / "tone.wav")[0])


def test_level_matching_stops_at_full_scale(tmp_path):
    quiet = np.full((1, 1000), 0.01, dtype=np.float32)
    spiky = quiet.copy()
    spiky[0, 0] = 0.5
    for name, audio in (("target", 10 * quiet), ("quiet", quiet), ("spiky", spiky), ("empty", 0 * quiet)):
        write(tmp_path / f"{name}.wav", audio, 16000)
    target, *others = (clip(tmp_path / f"{name}.wav", name) for name in ("target", "quiet", "spiky", "empty"))
    assert matched(target, others[0]) == (pytest.approx(20, abs=0.05), False)
    assert matched(target, others[1]) == (pytest.approx(6.02, abs=0.01), True)
    assert matched(target, others[2]) == (0.0, True)


def test_a_tone_is_bright_where_its_pitch_is():
    tone = 0.05 * np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    shades = np.asarray(Image.open(BytesIO(spectrogram(tone))))
    height = shades.shape[0]
    brightest = shades[:, shades.shape[1] // 2].argmax()
    assert height == 129
    assert height - 1 - brightest == 2000 / 16000 * 256
    assert len(spectrogram(np.zeros(100, dtype=np.float32))) > 0


def test_the_bound_on_size_drops_utterances_then_arms(tmp_path):
    found = collected(tmp_path, 4, 1)
    with_sounds(found, 3, 0.1)
    full = gather(by_arm(found), 3, 20.0)
    assert [list(one.outputs) for one in full.utterances] == [[0, 1, 2, 3]] * 3
    assert full.dropped_utterances == 0
    size = full.utterances[0].size
    fewer = gather(by_arm(found), 3, 1.5 * size / 1e6)
    assert (len(fewer.utterances), fewer.dropped_utterances, list(fewer.dropped_arms)) == (1, 2, [])
    least = gather(by_arm(found), 3, 0.6 * size / 1e6)
    assert list(least.dropped_arms) == [2, 3]
    assert least.utterances[0].size < 0.6 * size
    assert "Left out for size: arm_2 and arm_3" in "".join(page(found, tmp_path, megabytes=0.6 * size / 1e6).text)
    assert gather(by_arm(found), 0, 20.0).utterances == []


def test_sounds_are_of_the_first_seed_that_has_them_and_of_the_same_recording(tmp_path):
    found = collected(tmp_path, 2, 3)
    with_sounds(found, 1, 0.2, seeds=(1, 2))
    other = next(run for run in found.runs if (run.arm, run.seed) == ("arm_1", 1))
    write(other.folder / "audio/utterance_0_output.wav", np.zeros((1, 99), dtype=np.float32), 16000)
    sounds = gather(by_arm(found), 4, 20.0)
    assert [output.seed for output in sounds.utterances[0].outputs.values()] == [1]
    assert list(sounds.unlike) == [1]


def test_colours_go_to_references_and_extremes(tmp_path):
    found = collected(tmp_path, 16, 2)
    table = rows(found, "val/snr", [SNR])
    numbers = chosen(table, ())
    assert len(numbers) == 8
    assert numbers[0] == 0
    assert {1, 15} <= set(numbers)
    middle = next(row.number for row in table if row.number not in numbers)
    named = chosen(table, [table[middle].name, "cut away"])
    assert len(named) == 8
    assert {0, middle} <= set(named)
