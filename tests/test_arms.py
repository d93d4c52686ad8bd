"""Every ablation and every preset: says what it is, changes what it says, and trains two steps on a CPU."""

import json
from functools import cache
from importlib import import_module
from itertools import pairwise

import lightning
import pytest
import torch
from omegaconf import OmegaConf

from conftest import ROOT
from small import small
from telucodec.build import build, check
from telucodec.cli.compose import compose_checked, compose_config, leaves
from telucodec.cli.contradictions import blame, refuse_contradictions
from telucodec.cli.main import main
from telucodec.errors import InputError
from telucodec.study.overlays import notes, read_overlay
from training.test_step import batches

ABLATIONS = sorted(path.stem for path in (ROOT / "conf" / "ablation").glob("*.yaml"))
PRESETS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
DOCUMENTS = ["s003", "s001", "s002", "s000", "s004"]
PUBLISHED = ["dac_16k", "encodec_16k", "nemo_16k", "bigcodec_16k", "soundstream_16k", "mimi_16k"]
LETTERS = {"A": 12, "L": 14, "Q": 9, "D": 5, "T": 7}
ROWS = [f"{letter}{number}" for letter, last in LETTERS.items() for number in range(1, last + 1)]
ROWS += [f"3.5.{number}" for number in range(1, 8)]


@cache
@cache
def flat(*overrides):
    """The configuration by key, with references to groups as they are written."""
    plain = OmegaConf.to_container(compose_checked(overrides, None), resolve=False)
    return {key: value for key, value in leaves(plain) if not isinstance(value, dict) or not value}


def train_two_steps(overrides):
    """Two steps at toy width; returns the module and what it was before."""
    config = compose_config([*overrides, "trainer=cpu", "adversary.start=0", "adversary.heard=0"], None)
    for name in ("loader", "evaluator", "trainer"):
        check(config[name], name)
    build(config["level"], "level")(torch.randn(1, 1024).numpy() / 10, 16000)
    torch.manual_seed(0)
    training = small(config["training"])
    training["accumulate"] = min(2, training["accumulate"])
    training["adversary"]["start"] = 0
    for term in training["terms"]["terms"].values():
        term["start"] = 0
    module = build(training, "training")
    before = [p.detach().clone() for p in module.codec.parameters()]
    trainer = lightning.Trainer(
        max_steps=2, max_epochs=-1, accelerator="cpu", precision=config["trainer"]["precision"], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, barebones=False,
    )  # fmt: skip
    trainer.fit(module, batches(2))
    return module, before


def assert_it_learned(module, before):
    after = list(module.codec.parameters())
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(torch.isfinite(value) for value in module.figures.values()), module.figures


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_says(name):
    overlay = read_overlay(ROOT / "conf" / "ablation" / f"{name}.yaml")
    import_module(overlay.owner)
    base, arm = flat(), flat(f"ablation=[{name}]")
    changed = [key for key in {**base, **arm} if base.get(key) != arm.get(key)]
    below = {key: [c for c in overlay.changes if key == c or key.startswith(f"{c}.")] for key in changed}
    assert [key for key, found in below.items() if not found] == [], "changed, but not declared"
    assert set(overlay.changes) == {c for found in below.values() for c in found}, "declared, but not changed"


@pytest.mark.slow
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_trains(name):
    assert_it_learned(*train_two_steps([f"ablation=[{name}]"]))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_trains(name):
    assert_it_learned(*train_two_steps([f"experiment={name}"]))


@pytest.mark.parametrize("preset", ["s003", "dac_16k"])
def test_an_added_stage_leaves_the_presets_own_in_place(preset):
    before, after = flat(f"experiment={preset}"), flat(f"experiment={preset}", "ablation=[remove_mean]")
    assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == {"output.centre._target_"}


def test_all_rows_of_the_list_of_switches_are_there(capsys):
    assert main(["fixes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["key"] for row in rows} == set(ROWS)
    assert {row["overlay"] for row in rows} == set(ABLATIONS)
    assert all(list(row) == ["key", "fix", "source", "owner", "expect", "overlay"] for row in rows)
    assert main(["fixes"]) == 0
    assert f"{len(rows)} switches" in capsys.readouterr().out


def test_all_presets_are_there():
    before = {f"{name}_before" for name in DOCUMENTS}
    assert set(PRESETS) == {*DOCUMENTS, *before, *PUBLISHED, "documents", "small", "small_collapsed"}


VALUES = {
    "s003_before": {
        "level._target_": "telucodec.data.level.Peak",
        "output.bound._target_": "telucodec.models.output.Tanh",
    },
    "s003": {
        "optimizer.lr": 1e-5,
        "loader.batch_size": 16,
        "subset.train_utterances": 33,
        "max_steps": 300,
        "output.bound._target_": None,
        "level._target_": "telucodec.data.level.AsRecorded",
    },
    "s001": {
        "output.scale.initial": 2.5,
        "loss.mse.weight": 1.0,
        "loss.perceptual.weight": 0.01,
        "loss.l1._target_": None,
    },
    "s002": {
        "output.scale.initial": 3.0,
        "loss.l1.weight": 2.0,
        "loss.mse.weight": 2.0,
        "loss.perceptual.weight": 0.1,
        "loss.perceptual.divisor": 3.0,
        "loss.codebook.weight": 1.0,
        "loss.commitment.weight": 0.25,
        "loss.commitment.reduce": "mean",
        "gradient._target_": "telucodec.quantization.gradient.PerStepAttached",
    },
    "s000_before": {"loss.rms._target_": "telucodec.losses.level.GlobalRMS", "loss.rms.weight": 1.0},
    "s000": {
        "output.scale.initial": 1.0,
        "loss.rms._target_": "telucodec.losses.level.PerSampleRMS",
        "loss.rms.weight": 15.0,
        "loss.perceptual.weight": 0.01,
        "loss.codebook.weight": 5.0,
        "loss.commitment.weight": 1.25,
    },
    "s004_before": {
        "level.dbfs": -16.0,
        "optimizer.lr": 1e-5,
        "activation._target_": "telucodec.nn.activation.Snake",
    },
    "s004": {
        "optimizer.lr": 1e-4,
        "adversary_optimizer.lr": 1e-4,
        "loss.l1.weight": 0.1,
        "loss.feature.weight": 2.0,
        "loss.adversarial.weight": 1.0,
        "discriminator.scale.channels": [16, 64, 256, 1024],
        "discriminator.scale.scales": 3,
    },
    "dac_16k": {
        "quantizer.n_q": 12,
        "loader.batch_size": 72,
        "loader.segment_seconds": 0.38,
        "loss.mel.weight": 15.0,
        "loss.feature.weight": 2.0,
    },
    "encodec_16k": {
        "quantizer.codebook.codebook_size": 2048,
        "combine.decay": 0.999,
        "loss.adversarial.weight": 4.0,
        "optimizer.lr": 3e-4,
    },
    "nemo_16k": {
        "training.adversary.rhythm": [1, 1, 0],
        "encoder.strides": [1, 2, 4, 5, 5],
        "optimizer.betas": [0.8, 0.9],
    },
    "bigcodec_16k": {"quantizer.n_q": 1, "quantizer.codebook.codebook_size": 8192, "loader.batch_size": 8},
    "mimi_16k": {
        "encoder.stride": 2,
        "quantizer.acoustic.inner.n_q": 7,
        "optimizer.lr": 8e-4,
        "loss.mel._target_": None,
        "loss.l1._target_": None,
    },
}
BITRATES = {
    "documents": 8.0,
    "dac_16k": 6.0,
    "encodec_16k": 2.2,
    "nemo_16k": 6.4,
    "bigcodec_16k": 1.04,
    "mimi_16k": 1.1,
}


@pytest.mark.parametrize("preset", VALUES)
def test_a_preset_has_the_published_values(preset):
    found = flat(f"experiment={preset}")
    assert {key: found.get(key) for key in VALUES[preset]} == VALUES[preset]


@pytest.mark.parametrize(("preset", "kbps"), BITRATES.items())
def test_a_preset_has_the_published_bitrate(preset, kbps):
    config = compose_config([f"experiment={preset}"], None)
    with torch.device("meta"):
        codec = build(config["training"]["codec"], "codec")
    assert codec.bitrate == pytest.approx(kbps)


def test_every_value_of_a_document_has_its_line():
    for name in [*DOCUMENTS, *(f"{name}_before" for name in DOCUMENTS)]:
        found = notes(ROOT / "conf" / "experiment" / f"{name}.yaml")
        unsaid = [key for key in found if not found[key].startswith(("S00", "silent"))]
        assert len(found) > 15, name
        assert unsaid == [] or all("S00" in found[key] for key in unsaid), (name, unsaid)


def test_diff_tells_values_and_lines(capsys):
    assert main(["diff", "s002", "s000", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["output.scale.initial"] == {
        "key": "output.scale.initial", "first": 3.0, "second": 1.0, "why_first": "S002:93", "why_second": "S000:41",
    }  # fmt: skip
    assert (rows["loss.rms.weight"]["first"], rows["loss.rms.weight"]["why_second"]) == ("-", "S000:95")
    assert not any(key.startswith(("training.codec", "codec.", "training.terms")) for key in rows), "groups only once"
    assert main(["diff", "s002", "s002"]) == 0
    assert "are the same" in capsys.readouterr().out
    assert main(["diff", "s002", "s00"]) == 2
    assert "s00: is no preset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("tanh", "clamp"), "output"),
        (("no_scale", "scale_2_5"), "output"),
        (("rms_global_15", "rms_per_sample_15"), "loss.rms"),
        (("beta_1", "commitment_5"), "loss.commitment.weight"),
        (("fsq", "codebook_gradient"), "quantizer"),
    ],
)
def test_two_ablations_that_contradict_are_both_named(pair, message):
    for first, second in (pair, pair[::-1]):
        with pytest.raises(InputError, match=message) as told:
            refuse_contradictions([f"ablation=[{first},{second}]"], None)
        assert f"'{first}'" in str(told.value)
        assert f"'{second}'" in str(told.value)


@pytest.mark.parametrize("pair", [("snake", "no_kmeans"), ("perceptual_01", "offset_loss"), ("scale_3", "remove_mean")])
def test_two_ablations_that_go_together_do(pair):
    refuse_contradictions([f"ablation=[{','.join(pair)}]"], None)
    both, alone = flat(f"ablation=[{','.join(pair)}]"), [flat(f"ablation=[{name}]") for name in pair]
    base = flat()
    for arm in alone:
        changes = {key: value for key, value in arm.items() if value != base.get(key)}
        assert {key: both.get(key) for key in changes} == changes


@pytest.mark.slow
def test_any_two_ablations_compose_or_both_are_named():
    refused = 0
    for first, second in [*pairwise(ABLATIONS)][::3]:  # neighbours by name are the most alike
        try:
            refuse_contradictions([f"ablation=[{first},{second}]"], None)
            config = compose_config([f"ablation=[{first},{second}]"], None)
            build(small(config["training"]), "training").configure_optimizers()
        except InputError as error:
            refused += 1
            told = str(blame(error, [f"ablation=[{first},{second}]"], None))
            assert first in told, told
            assert second in told, told
    assert 0 < refused < len(ABLATIONS)


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["experiment=dac_16k", "ablation=[scale_2_5]"], ["ablation=scale_2_5", "experiment=dac_16k", "output.scale"]),
        (
            ["experiment=s000", "ablation=[commitment_5]"],
            ["ablation=commitment_5", "changes nothing", "experiment=s000"],
        ),
        (["quantizer=fsq", "ablation=[no_restart]"], ["ablation=no_restart", "changes nothing", "quantizer=fsq"]),
        (
            ["experiment=encodec_16k", "ablation=[feature_relative]"],
            ["ablation=feature_relative", "experiment=encodec_16k"],
        ),
        (["ablation=[no_scale,scale_own_rate]"], ["no_scale", "scale_own_rate"]),
        (["parameter_groups={output*:{lr:1e-3}}"], ["+parameter_groups="]),
        (["training.accumulate=2", "training.order=[codec,adversary]"], ["accumulate 2", "order"]),
        (["experiment=s003", "encoder.dim=32", "quantizer.dim=64"], ["quantizer", "width 64", "encoder", "of 32"]),
        (["encoder.strides=[3,3,37]"], ["333", "16000", "nearest"]),
        (["experiment=mimi_16k", "teacher=wavlm"], ["teacher=wavlm", "no such choice"]),
        (["experiment=mimi_16k", "teacher=transformers"], ["teacher", "folder"]),
        (["experiment=mimi_16k", "quantizer=rvq"], ["distillation", "quantizer=mimi"]),
    ],
)
def test_choices_that_do_not_go_together_are_named(overrides, parts, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path))
    assert main(["train", *overrides]) == 2
    told = capsys.readouterr().err
    assert [part for part in parts if part not in told] == [], told
