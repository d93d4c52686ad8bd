"""Starting from pretrained weights, through the command."""

import json

import pytest
import torch


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_starts_where_another_one_ended(train, capsys):
    _, first = train()
    _, second = train(f"init_from={first}", "name=second")
    before = next(row for row in rows(first)[::-1] if "val/snr" in row)
    after = next(row for row in rows(second) if row["step"] == 0)
    for figure in ("val/snr", "val/rho", "codebook/0/perplexity"):
        assert after[figure] == pytest.approx(before[figure], rel=1e-5)
    assert f"starts from {first}: weights of the run toy" in " ".join(capsys.readouterr().out.split())


def test_an_average_starts_from_the_weights_too(train):
    _, first = train()
    _, second = train(f"init_from={first}", "name=second", "average=ema", "average.decay=0.999")
    before = next(row for row in rows(first)[::-1] if "val/snr" in row)
    after = next(row for row in rows(second) if row["step"] == 0)
    assert after["val/snr"] == pytest.approx(before["val/snr"], rel=1e-5)


def test_a_dac_folder_starts_a_run(train, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=4, decoder_hidden_size=16, downsampling_ratios=[2, 4], n_codebooks=3, codebook_size=16,
            codebook_dim=4, sampling_rate=16000,
        )
    )  # fmt: skip
    theirs.save_pretrained(tmp_path / "dac")
    small = [
        "encoder=dac", "decoder=dac", "quantizer=dac", "activation=snake", "norm=weight", "output=[tanh]",
        "loss=[l1,mel,adversarial,feature,commitment,codebook]", "encoder.strides=[1,2,4]", "encoder.channels=[4,8,16]",
        "decoder.channels=[4,8,16]", "encoder.dilations=[[1,3,9],[1,3,9],[]]", "encoder.dim=16", "quantizer.n_q=3",
        "quantizer.codebook.codebook_size=16", "quantizer.codebook.codebook_dim=4", "max_steps=2",
    ]  # fmt: skip
    code, run = train(f"init_from={tmp_path / 'dac'}", *small)
    assert code == 0
    assert [row["step"] for row in rows(run) if "val/snr" in row] == [0, 2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing", "missing"),
        ("empty", "config.json"),
        ("bert", "bert"),
        ("dac", "encoder=dac decoder=dac quantizer=dac"),
    ],
)
def test_what_cannot_be_started_from_is_named_with_both_sides(train, tmp_path, capsys, given, message):
    folder = tmp_path / given
    if given != "missing":
        folder.mkdir()
    if given == "bert":
        (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    if given == "dac":
        transformers = pytest.importorskip("transformers")
        small = {"encoder_hidden_size": 4, "decoder_hidden_size": 16, "codebook_dim": 4, "codebook_size": 16}
        transformers.DacModel(transformers.DacConfig(**small)).save_pretrained(folder)
    code, run = train(f"init_from={folder}")
    told = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert str(folder) in told
    assert message in told
    assert run is None or not (run / "run.json").exists()
