import json
import re
from zlib import crc32

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from conftest import config
from telucodec.build import build
from telucodec.errors import InputError
from telucodec.metrics.evaluation import Evaluator
from telucodec.models.assess import Assessment
from telucodec.models.pretrained import load_pretrained
from telucodec.models.stored import CONFIG, WEIGHTS, load_codec, save_codec
from telucodec.records import Utterance


@pytest.fixture
def stored(tmp_path):
    codec = build(config()["training"]["codec"], "codec")
    codec(torch.randn(2, 1, 4000))
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config()))
    save_codec(codec, tmp_path)
    return codec.eval(), tmp_path


def test_a_stored_codec_gives_the_same_audio(stored):
    codec, folder = stored
    x = torch.randn(1, 1, 1000)
    loaded, _ = load_codec(folder)
    assert torch.equal(loaded(x).audio, codec(x).audio)


def test_damage_is_named(stored):
    _, folder = stored
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match=r"codec\.safetensors: damaged"):
        load_codec(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match="has not saved a checkpoint yet"):
        load_codec(folder)


def changed(path, name, change):
    """Write a stored codec anew with another tensor, as if the disk or a stranger had done it."""
    with safe_open(str(path), "pt") as file:
        told = file.metadata()
    weights = load_file(str(path))
    weights[name] = change(weights[name])
    save_file(weights, str(path), told)


def test_every_flipped_bit_of_a_tensor_is_named_by_its_checksum(stored):
    codec, folder = stored
    whole, start = (folder / WEIGHTS).read_bytes(), 8 + int.from_bytes((folder / WEIGHTS).read_bytes()[:8], "little")
    for place in (start, (start + len(whole)) // 2, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        (folder / WEIGHTS).write_bytes(flipped)
        for read in (lambda: load_codec(folder), lambda: load_pretrained(codec, folder)):
            with pytest.raises(InputError, match=r"codec\.safetensors: damaged: \S+ has changed since it was written"):
                read()
    (folder / WEIGHTS).write_bytes(whole)
    checksums = json.loads(safe_open(str(folder / WEIGHTS), "pt").metadata()["crc32"])
    name, tensor = next(iter(load_file(str(folder / WEIGHTS)).items()))
    assert checksums[name] == crc32(tensor.numpy().tobytes())


def test_a_file_without_checksums_is_read_and_a_number_that_is_none_is_named(stored):
    codec, folder = stored
    weights = load_file(str(folder / WEIGHTS))
    save_file(weights, str(folder / WEIGHTS))
    assert_close(load_codec(folder)[0].state_dict(), codec.state_dict())
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    changed(folder / WEIGHTS, name, lambda tensor: torch.full_like(tensor, float("nan")))
    for read in (lambda: load_codec(folder), lambda: load_pretrained(codec, folder)):
        with pytest.raises(InputError, match=rf"damaged: {re.escape(name)} is not finite"):
            read()
    save_file(weights, str(folder / WEIGHTS), {"crc32": "["})
    with pytest.raises(InputError, match=r"codec\.safetensors: crc32: is no JSON"):
        load_codec(folder)


def test_no_run_and_another_version_are_named(stored, tmp_path):
    _, folder = stored
    with pytest.raises(InputError, match="is no run folder"):
        load_codec(tmp_path / "nowhere")
    (folder / CONFIG).write_text(yaml.safe_dump(config() | {"version": 99}))
    with pytest.raises(InputError, match="config version 99, this telucodec reads version 2"):
        load_codec(folder)
    (folder / CONFIG).write_text("a: [")
    with pytest.raises(InputError, match="is no YAML"):
        load_codec(folder)


def test_a_stored_config_cannot_run_what_it_names(stored):
    _, folder = stored
    evil = config()
    evil["training"]["codec"]["output"]["stages"] = {"x": {"_target_": "os.system", "command": "true"}}
    (folder / CONFIG).write_text(yaml.safe_dump(evil))
    with pytest.raises(InputError, match=r"'os\.system' is not allowed"):
        load_codec(folder)


def test_assessment_leaves_the_codec_as_it_was(stored):
    codec, _ = stored
    codec.train()
    before = {k: v.clone() for k, v in codec.state_dict().items()}
    assessment = Assessment(codec, Evaluator(metrics={}, silence_dbfs=-60))
    row, coded = assessment.hear(Utterance(torch.randn(1, 1, 777), "a", None, None))
    assert codec.training
    assert all(torch.equal(v, before[k]) for k, v in codec.state_dict().items())
    assert row.figures["rms_ratio"] == pytest.approx(float(coded.audio.std(correction=0) / 1), rel=0.2)
    summary = assessment.summary()
    assert summary["kbps"] == 24.0
    assert -200 <= summary["noise_floor_dbfs"] < 0
