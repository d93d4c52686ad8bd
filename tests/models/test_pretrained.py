"""What is read from a folder, and what is refused. That the sound is right: tests/models/test_parity.py."""

import json

import pytest
import torch
import yaml
from safetensors.torch import save_file

from conftest import config
from telucodec.build import build
from telucodec.errors import InputError
from telucodec.models.parts import Part, parts_of
from telucodec.models.pretrained import load_pretrained
from telucodec.models.published import published
from telucodec.models.stored import CONFIG, save_codec

DAC = {
    "model_type": "dac",
    "encoder_hidden_size": 2,
    "decoder_hidden_size": 8,
    "downsampling_ratios": [2, 4],
    "n_codebooks": 3,
    "codebook_size": 16,
    "codebook_dim": 4,
}
ENCODEC = {
    "model_type": "encodec",
    "hidden_size": 8,
    "num_filters": 2,
    "upsampling_ratios": [4, 2],
    "codebook_size": 16,
    "target_bandwidths": [24.0],
    "sampling_rate": 16000,
}
MIMI = {
    "model_type": "mimi",
    "hidden_size": 8,
    "num_filters": 2,
    "upsampling_ratios": [4, 2],
    "codebook_size": 16,
    "vector_quantization_hidden_dimension": 4,
    "num_quantizers": 3,
    "num_hidden_layers": 1,
    "intermediate_size": 8,
    "num_attention_heads": 2,
    "sampling_rate": 16000,
}
DESCRIBED = {"dac": DAC, "encodec": ENCODEC, "mimi": MIMI}


def fitting(described, *more):
    torch.manual_seed(0)
    overrides = published(described, 99).overrides
    return build(config(*overrides, *more)["training"]["codec"], "codec")


def saved(described, folder):
    """A folder with random weights of the published layout."""
    found, codec, weights = published(described, 99), fitting(described), {}
    for here, there in zip(parts_of(codec), found.parts, strict=True):
        for slot, other in zip(here.slots, there.slots, strict=False):
            name = f"{here.name}.{slot}"
            owner = codec.get_submodule(name.rpartition(".")[0])
            weights[f"{there.name}.{other}"] = torch.rand_like(getattr(owner, slot.rpartition(".")[2])) + 0.1
    folder.mkdir(exist_ok=True)
    save_file(weights, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps(described))
    return weights


def refused(codec, folder, message):
    before = {name: tensor.clone() for name, tensor in codec.state_dict().items()}
    with pytest.raises(InputError, match=message) as found:
        load_pretrained(codec, folder)
    assert all(torch.equal(tensor, before[name]) for name, tensor in codec.state_dict().items())
    return str(found.value)


@pytest.mark.parametrize("kind", DESCRIBED)
def test_weights_arrive_in_one_line(kind, tmp_path):
    weights = saved(DESCRIBED[kind], tmp_path)
    codec = fitting(DESCRIBED[kind])
    n_q = codec.quantizer.n_q
    assert load_pretrained(codec, tmp_path) == f"{tmp_path}: weights of {kind}, {n_q} of {n_q} codebooks"
    first = "encoder.conv1.weight" if kind == "dac" else "encoder.layers.0.conv.weight"
    stem = codec.encoder.encoder if kind == "mimi" else codec.encoder
    torch.testing.assert_close(stem.layers[0].conv.weight.data, weights[first])


def test_weight_norm_is_folded_under_either_name(tmp_path):
    weights = saved(ENCODEC, tmp_path)
    direction, length = (
        torch.tensor([[[3.0, 0, 0, 4.0, 0, 0, 0]], [[0, 2.0, 0, 0, 0, 0, 0]]]),
        torch.tensor([10.0, 7.0]),
    )
    del weights["encoder.layers.0.conv.weight"]
    for names in (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1")):
        split = dict(zip(names, (length.view(2, 1, 1), direction), strict=True))
        own = {f"encoder.layers.0.conv.{name}": tensor for name, tensor in split.items()}
        save_file(weights | own, str(tmp_path / "model.safetensors"))
        for norm in ("norm=weight", "norm=none"):
            codec = fitting(ENCODEC, norm)
            load_pretrained(codec, tmp_path)
            expected = torch.tensor([[[6.0, 0, 0, 8.0, 0, 0, 0]], [[0, 7.0, 0, 0, 0, 0, 0]]])
            torch.testing.assert_close(codec.encoder.layers[0].conv.weight.data, expected)


def test_codebooks_go_on_from_where_they_were(tmp_path):
    weights = saved(ENCODEC, tmp_path)
    codec = fitting(ENCODEC, "restart=none")
    load_pretrained(codec, tmp_path)
    book, embed = codec.quantizer.books[0], weights["quantizer.layers.0.codebook.embed"]
    codec.train()(torch.randn(2, 1, 800))  # k-means would start here
    assert torch.equal(book.codewords, embed)
    assert torch.equal(book.counts, weights["quantizer.layers.0.codebook.cluster_size"])
    unused = torch.zeros(1, 8), torch.zeros(1, dtype=torch.long)
    book.update(*unused)
    torch.testing.assert_close(book.codewords[1:], embed[1:])
    torch.testing.assert_close(book.counts[1:], 0.99 * weights["quantizer.layers.0.codebook.cluster_size"][1:])


def test_codewords_of_mimi_are_sums_over_counts(tmp_path):
    weights, stem = saved(MIMI, tmp_path), "quantizer.semantic_residual_vector_quantizer.layers.0.codebook"
    weights[f"{stem}.embed_sum"] = 3 * weights.pop(f"{stem}.embed")
    weights[f"{stem}.cluster_usage"] = torch.full((16,), 2.0)
    save_file(weights, str(tmp_path / "model.safetensors"))
    codec = fitting(MIMI)
    load_pretrained(codec, tmp_path)
    book = codec.quantizer.semantic.inner.books[0]
    torch.testing.assert_close(book.codewords, weights[f"{stem}.embed_sum"] / 2)
    torch.testing.assert_close(book.sums, weights[f"{stem}.embed_sum"])


def test_codewords_without_counts_are_not_dead_at_once(tmp_path):
    saved(DAC, tmp_path)
    codec = fitting(DAC)
    load_pretrained(codec, tmp_path)
    assert (codec.quantizer.books[0].counts == 10).all()
    assert codec.quantizer.books[0].ready


def test_fewer_codebooks_are_the_first_ones(tmp_path):
    weights = saved(DAC, tmp_path)
    codec = fitting(DAC, "quantizer.n_q=2")
    assert "2 of 3 codebooks" in load_pretrained(codec, tmp_path)
    assert torch.equal(codec.quantizer.books[1].codewords.data, weights["quantizer.quantizers.1.codebook.weight"])
    refused(
        fitting(DAC, "quantizer.n_q=4"), tmp_path, r"^quantizer\.books\.3: here codebook of 16 x 4 by direction; in"
    )


def test_another_sample_rate_is_a_note(tmp_path):
    saved(ENCODEC | {"sampling_rate": 8000}, tmp_path)
    codec = fitting(ENCODEC, "quantizer.n_q=2")
    assert load_pretrained(codec, tmp_path).endswith("; trained at 8000 Hz, used at 16000 Hz")


def test_several_files_are_one_model(tmp_path):
    weights = saved(DAC, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    files = {name: f"model-0000{k % 2 + 1}-of-00002.safetensors" for k, name in enumerate(weights)}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, str(tmp_path / file))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    assert "3 of 3 codebooks" in load_pretrained(fitting(DAC), tmp_path)


def test_what_is_no_model_is_named(tmp_path):
    codec = fitting(DAC)
    refused(codec, tmp_path / "nowhere", "there is no such folder")
    refused(codec, tmp_path, r"holds neither config\.yaml nor config\.json")
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    refused(codec, tmp_path, "is a model of type wav2vec2; weights are read from dac, encodec and mimi")
    (tmp_path / "config.json").write_text("{")
    refused(codec, tmp_path, "is no JSON")
    (tmp_path / "config.json").write_text(json.dumps(DAC | {"downsampling_ratios": 7}))
    refused(codec, tmp_path, r"downsampling_ratios is 7, where something like \[2, 4, 8, 8\] belongs")
    (tmp_path / "config.json").write_text(json.dumps(DAC))
    refused(codec, tmp_path, r"model\.safetensors: missing\. Save the model with save_pretrained")


def test_damage_is_named_and_nothing_is_half_loaded(tmp_path):
    weights, codec, path = saved(DAC, tmp_path), fitting(DAC), tmp_path / "model.safetensors"
    last = "decoder.conv2.weight"
    save_file({name: tensor for name, tensor in weights.items() if name != last}, str(path))
    refused(codec, tmp_path, rf"{last} is missing")
    save_file(weights | {last: torch.zeros(1, 3, 7)}, str(path))
    refused(codec, tmp_path, rf"{last} is 1x3x7 and should be 1x2x7")
    save_file(weights | {last: torch.full((1, 2, 7), torch.nan)}, str(path))
    refused(codec, tmp_path, rf"{last} is not finite")
    path.write_bytes(path.read_bytes()[:-100])
    refused(codec, tmp_path, r"model\.safetensors: is damaged")


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        (
            "dac",
            ["encoder.channels=[2,6,8]"],
            r"^encoder\.layers\.5\.conv: here convolution 2 to 6, kernel 4, stride 2",
        ),
        ("dac", ["encoder.dilations=[[1,3,9],[1,2,9],[]]"], r"here .* dilation 2, .*; in .* \(dac\) .* dilation 3"),
        ("dac", ["activation=elu"], r"here ELU; in .* Snake \(encoder\.block\.0\.res_unit1\.snake1\)"),
        ("dac", ["output=[]"], r"^decoder\.tanh: here nothing; in .* Tanh"),
        ("dac", ["output=[tanh,post_net]"], "here convolution 1 to 16"),
        ("encodec", ["padding.fill=zeros"], "here convolution .* causal zeros; in .* causal reflect"),
        ("encodec", ["context.depth=1"], "here LSTM of width 8, depth 1; in .* LSTM of width 8, depth 2"),
        ("encodec", ["context=lstm_both"], "depth 2 in two directions; in .* LSTM of width 8, depth 2 "),
        ("encodec", ["encoder=seanet"], "here ELU; in .* convolution 2 to 2, kernel 1 .*shortcut"),
        ("mimi", ["encoder.context.window=3"], "window 3; in .* window 250"),
        ("mimi", ["encoder.context.heads=1"], "1 heads, .*; in .* 2 heads"),
    ],
)
def test_another_network_is_named_with_what_would_fit(kind, more, message, tmp_path):
    saved(DESCRIBED[kind], tmp_path)
    said = refused(fitting(DESCRIBED[kind], *more), tmp_path, message)
    assert "The folder's weights need encoder=" in said
    assert "'encoder." in said  # lists are quoted for the shell


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        ("encodec", {"norm_type": "time_group_norm"}, "norm_type is 'time_group_norm'.*with 'weight_norm' only"),
        ("encodec", {"normalize": True}, "normalize is True"),
        ("encodec", {"audio_channels": 2}, "audio_channels is 2"),
        ("encodec", {"codebook_dim": 4}, "codebook_dim is 4"),
        ("mimi", {"use_causal_conv": False}, "use_causal_conv is False"),
        ("mimi", {"num_key_value_heads": 1}, "num_key_value_heads is 1"),
        ("mimi", {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, "rope_parameters is"),
        ("mimi", {"encoder_config": None}, "encoder_config is None"),
    ],
)
def test_variants_without_a_network_are_refused_by_name(kind, other, message, tmp_path):
    saved(DESCRIBED[kind], tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(DESCRIBED[kind] | other))
    refused(fitting(DESCRIBED[kind]), tmp_path, message)


def test_a_run_is_read_too(tmp_path):
    torch.manual_seed(3)
    run = build(config()["training"]["codec"], "codec")
    run(torch.randn(2, 1, 4000))
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config()))
    save_codec(run, tmp_path)
    torch.manual_seed(4)
    codec = build(config()["training"]["codec"], "codec")
    assert load_pretrained(codec, tmp_path) == f"{tmp_path}: weights of the run toy"
    x = torch.randn(1, 1, 500)
    assert torch.equal(codec.eval()(x).audio, run.eval()(x).audio)
    wide = build(config("encoder.channels=[4,6]")["training"]["codec"], "codec")
    said = refused(wide, tmp_path, r"^encoder\.layers\.\d\.conv\.weight: here 6x4x4, in .* 8x4x4")
    assert "the encoder, quantizer, decoder and output of" in said
    (tmp_path / "codec.safetensors").unlink()
    refused(codec, tmp_path, "The run has not saved a checkpoint yet")


def test_a_layout_by_hand():
    found = published(DAC, 1)
    assert found.parts[0] == Part("encoder.conv1", "convolution 1 to 2, kernel 7, centred zeros", ("weight", "bias"))
    assert found.parts[-1] == Part("decoder.tanh", "Tanh")
    assert (found.sample_rate, found.n_q) == (16000, 3)
    books = [part.name for part in found.parts if part.says.startswith("codebook")]
    assert books == ["quantizer.quantizers.0.codebook"]
