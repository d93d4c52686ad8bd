import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
from speechlike import QUIET

from telucodec.data import synthesis
from telucodec.data.manifest import check_files
from telucodec.data.measure import file_sha256
from telucodec.data.sentences import TEST_VOICE, TRAIN_VOICES, VALID_VOICE, Plan, order_all
from telucodec.data.speak import has_variant, short_path
from telucodec.data.synthesis import embedded
from telucodec.errors import InputError

SMALL = Plan(train=16, valid=2, test=2)  # every voice once

needs_espeak = pytest.mark.skipif(importlib.util.find_spec("espeakng_loader") is None, reason="needs the extra synth")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_plan_shares_neither_voices_nor_sentences():
    orders = order_all(Plan())
    texts = {split: {o.text for o in orders if o.split == split} for split in ("train", "valid", "test")}
    voices = {split: {o.voice for o in orders if o.split == split} for split in ("train", "valid", "test")}
    assert voices == {"train": set(TRAIN_VOICES), "valid": {VALID_VOICE}, "test": {TEST_VOICE}}
    assert sum(map(len, texts.values())) == len(set.union(*texts.values())) == 185
    assert sum(map(len, voices.values())) == len(set.union(*voices.values())) == 18
    assert len({order.file for order in orders}) == len(orders)
    assert len({(order.text, order.voice) for order in orders}) == len(orders)
    levels = [order.level for order in orders]
    assert -32 <= min(levels) < -31 < -17 < max(levels) <= -16
    assert all(140 <= o.rate < 190 and 35 <= o.pitch < 65 and 40 <= o.range < 60 for o in orders)


@needs_espeak
def test_two_makings_give_the_same_bytes(cache):
    first = embedded(QUIET, SMALL)
    hashes = {entry.path: file_sha256(first.locate(entry)) for entry in first.entries}
    shutil.move(cache, cache.with_name("first"))
    second = embedded(QUIET, SMALL)
    assert second == first
    assert {entry.path: file_sha256(second.locate(entry)) for entry in second.entries} == hashes
    assert hashes == {entry.path: entry.sha256 for entry in first.entries}
    assert [path.name for path in cache.iterdir()] == [first.path.parent.name]


@needs_espeak
def test_the_clock_does_not_seed_the_breath(cache, monkeypatch):
    """Valid and test voices breathe; another second of the clock gave other samples before the seed was set."""
    import time

    one = embedded(QUIET, Plan(1, 1, 1))
    shutil.rmtree(cache)
    time.sleep(1.1)
    assert embedded(QUIET, Plan(1, 1, 1)) == one


@needs_espeak
def test_entries_say_what_lies_there():
    manifest = embedded(QUIET, SMALL)
    assert [sum(e.split == s for e in manifest.entries) for s in ("train", "valid", "test")] == [16, 2, 2]
    check_files(manifest, manifest.entries)
    for entry, order in zip(manifest.entries, order_all(SMALL), strict=True):
        info = soundfile.info(manifest.locate(entry))
        assert (info.samplerate, info.channels, info.frames) == (16000, 1, entry.samples)
        assert (entry.language, entry.speaker, entry.source_sample_rate) == ("te", order.voice, 22050)
        assert entry.peak <= 0.9801
        assert entry.rms_dbfs <= order.level + 0.02
        assert entry.rms_dbfs >= order.level - 3 or entry.peak >= 0.979
        assert entry.seconds > 1
        assert order.text in entry.source


@needs_espeak
def test_it_is_made_once(monkeypatch):
    first = embedded(QUIET, SMALL)
    monkeypatch.setattr(synthesis, "_make", None)
    assert embedded(QUIET, SMALL) == first


@needs_espeak
def test_a_damaged_set_is_made_again():
    first = embedded(QUIET, SMALL)
    first.locate(first.entries[3]).unlink()
    assert embedded(QUIET, SMALL) == first
    first.path.write_text("{")
    assert embedded(QUIET, SMALL) == first


@needs_espeak
def test_two_starts_at_once_do_no_harm(cache):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: embedded(QUIET, SMALL), range(2))
    assert one == other
    assert [path.name for path in cache.iterdir()] == [one.path.parent.name]


@needs_espeak
def test_a_failure_leaves_nothing_behind(cache, monkeypatch):
    monkeypatch.setattr(synthesis, "write", lambda *args: (_ for _ in ()).throw(InputError("full")))
    with pytest.raises(InputError, match="full"):
        embedded(QUIET, SMALL)
    assert list(cache.iterdir()) == []


@needs_espeak
def test_an_unknown_voice_is_refused_before_anything_is_spoken(monkeypatch):
    import espeakng_loader

    data = Path(espeakng_loader.get_data_path())
    assert all(has_variant(data, voice) for voice in (*TRAIN_VOICES, VALID_VOICE, TEST_VOICE))
    assert not has_variant(data, "te+nosuch")
    monkeypatch.setattr("telucodec.data.sentences.VALID_VOICE", "te+nosuch")
    with pytest.raises(InputError, match=r"lacks the voices te\+nosuch"):
        embedded(QUIET, SMALL)


@needs_espeak
def test_a_speaker_that_fails_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr("telucodec.data.sentences.TEST_VOICE", "xx")
    with pytest.raises(InputError, match=r"could not say '.+' in the voice xx \(.*no voice xx\)\. Install it again"):
        embedded(QUIET, SMALL)


def test_without_the_extra_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'telucodec\[synth\]'"):
        embedded(QUIET, SMALL)


@needs_espeak
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="Set TELUCODEC_CACHE to another folder"):
        embedded(QUIET, SMALL)


def test_a_long_path_gets_a_short_name(tmp_path):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    (deep / "phontab").touch()
    with short_path(str(deep)) as short:
        assert len(short) < 140
        assert Path(short, "phontab").exists()
    with short_path("/usr/share") as short:
        assert short == "/usr/share"


def test_the_speaking_process_is_light():
    code = "import sys, telucodec.data.speak; print(sorted({'torch', 'numpy', 'soundfile'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@needs_espeak
@pytest.mark.slow
def test_the_whole_set_is_about_twenty_minutes():
    manifest = embedded(QUIET)
    assert 19 < sum(entry.seconds for entry in manifest.entries) / 60 < 21
    for split in ("valid", "test"):
        assert 1.7 < sum(entry.seconds for entry in manifest.split(split)) / 60 < 2.3
