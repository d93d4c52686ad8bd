"""Our networks give the codes and the audio of the published ones, with the same weights.

Weights are random and none is neutral; networks are small. Lengths are multiples of the hop: elsewhere the published
EnCodec and Mimi pad each layer by itself, where ours pads the audio with zeros once. DAC's published decoder loses
samples at the end for each odd stride, and what is near the end with them; everything before is compared.
"""

import shlex

import pytest
import torch

from conftest import config
from telucodec.build import build
from telucodec.models.pretrained import load_pretrained
from telucodec.nn.conv import receptive_field

transformers = pytest.importorskip("transformers")

DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "n_codebooks": 3, "codebook_size": 16, "codebook_dim": 4}
ENCODEC = {
    "hidden_size": 8,
    "num_filters": 4,
    "upsampling_ratios": [5, 4, 2],
    "codebook_size": 16,
    "target_bandwidths": [9.6],
    "sampling_rate": 16000,
}
MIMI = {
    "hidden_size": 16,
    "num_filters": 4,
    "upsampling_ratios": [5, 4, 2],
    "codebook_size": 16,
    "codebook_dim": 8,
    "vector_quantization_hidden_dimension": 8,
    "num_quantizers": 6,
    "upsample_groups": 16,
    "num_hidden_layers": 2,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "sliding_window": 5,
    "sampling_rate": 16000,
}


def theirs(kind, options, folder):
    """A published network with random weights, and a folder that holds it."""
    torch.manual_seed(1)
    made, described = {
        "dac": (transformers.DacModel, transformers.DacConfig),
        "encodec": (transformers.EncodecModel, transformers.EncodecConfig),
        "mimi": (transformers.MimiModel, transformers.MimiConfig),
    }[kind]
    model = made(described(**options)).eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            stir(kind, name, tensor)
        settle(kind, model)
    model.save_pretrained(folder)
    return model


def stir(kind, name, tensor):
    """Make a tensor random where the published code starts it at 0 or 1, or too small to be heard at the other end."""
    if name.endswith("bias"):
        tensor.normal_().mul_(0.1)
    elif name.endswith("codebook.weight") or "codebook.embed" in name:
        tensor.normal_()
    elif "layer_scale" in name or name.endswith(("cluster_usage", "alpha", "layernorm.weight")):
        tensor.copy_(torch.rand_like(tensor) + 0.5)
    elif "original0" in name:
        tensor.mul_(torch.rand_like(tensor) + 1.0)
    elif "lstm.weight" in name:
        tensor.mul_(2.0)
    elif "transformer" in name and tensor.dim() == 2:
        tensor.normal_().mul_(1.5 * tensor.shape[-1] ** -0.5)
    elif kind == "dac" and tensor.dim() == 3:
        tensor.normal_().mul_(0.7 * tensor[0].numel() ** -0.5)


def settle(kind, model):
    """Let codewords lie where frames are, so that all of them are chosen."""
    residual = None if kind == "mimi" else model.encoder(torch.randn(1, 1, 20 * model.config.hop_length))
    for book in {"dac": lambda: model.quantizer.quantizers, "encodec": lambda: model.quantizer.layers}.get(
        kind, list
    )():
        seen = book.in_proj(residual) if kind == "dac" else residual
        words = book.codebook.weight if kind == "dac" else book.codebook.embed
        words.copy_(seen[0].t()[torch.randperm(20)[: len(words)]] * 0.9)
        residual = residual - (book(residual)[0] if kind == "dac" else book.decode(book.encode(residual)))


def ours(*overrides):
    torch.manual_seed(2)
    return build(config(*overrides)["training"]["codec"], "codec").eval()


DAC_OURS = (
    "encoder=dac", "decoder=dac", "quantizer=dac", "activation=snake", "norm=weight", "output=[tanh]",
    "encoder.channels=[4,8,16,32,64]", "encoder.dim=64", "decoder.channels=[4,8,16,32,64]", "quantizer.n_q=3",
    "quantizer.codebook.codebook_size=16", "quantizer.codebook.codebook_dim=4",
)  # fmt: skip
ENCODEC_OURS = (
    "encoder=encodec", "quantizer=encodec", "context=lstm", "padding=causal_reflect", "norm=weight", "output=[]",
    "encoder.strides=[1,2,4,5]", "encoder.channels=[4,8,16,32]", "encoder.dilations=[[1],[1],[1],[]]", "encoder.dim=8",
    "quantizer.n_q=6", "quantizer.codebook.codebook_size=16",
)  # fmt: skip
MIMI_OURS = (
    "encoder=mimi", "decoder=mimi", "quantizer=mimi", "padding=causal", "output=[]", "encoder.dim=16",
    "encoder.encoder.strides=[1,2,4,5]", "encoder.encoder.channels=[4,8,16,32]",
    "encoder.encoder.dilations=[[1],[1],[1],[]]", "encoder.context.depth=2", "encoder.context.heads=2",
    "encoder.context.feedforward=24", "encoder.context.window=5", "quantizer.semantic.inner.dim=8",
    "quantizer.acoustic.inner.dim=8", "quantizer.semantic.inner.codebook.codebook_size=16",
    "quantizer.acoustic.inner.codebook.codebook_size=16", "quantizer.acoustic.inner.n_q=3",
)  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("strides", [[2, 4, 8, 8], [2, 4, 5, 8]], ids=str)
def test_dac(strides, tmp_path):
    model = theirs("dac", DAC | {"downsampling_ratios": strides}, tmp_path)
    codec = ours(*DAC_OURS, f"encoder.strides={[1, *strides]}".replace(" ", ""))
    assert "3 of 3 codebooks" in load_pretrained(codec, tmp_path)
    hop, frames = codec.hop_length, 40
    x = torch.randn(2, 1, frames * hop)
    coded, found = codec(x), model(x)
    torch.testing.assert_close(coded.encoded, model.encoder(x), atol=1e-4, rtol=1e-4)
    assert torch.equal(coded.quantized.codes, found.audio_codes)
    assert found.audio_codes.unique().numel() >= 10
    torch.testing.assert_close(coded.quantized.latent, found.quantized_representation, atol=1e-4, rtol=1e-4)
    decoded = codec.decode(codec.encode(x))
    odd = strides != [2, 4, 8, 8]
    assert found.audio_values.shape[-1] == frames * hop - (8 if odd else 0)  # a sample at stride 5, times 2 x 4
    same = (frames - receptive_field(codec.decoder) * odd) * hop
    assert same > 10 * hop
    assert coded.audio.std(-1).min() > 0.03
    for audio in (coded.audio, decoded):
        torch.testing.assert_close(audio[..., :same], found.audio_values[:, None, :same], atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "overrides", "n_q"),
    [
        ({}, [], 6),
        ({}, [], 2),
        ({"use_causal_conv": False, "use_conv_shortcut": False}, ["encoder=seanet", "padding=centred_reflect"], 6),
        ({"num_residual_layers": 2, "pad_mode": "constant"}, ["encoder.dilations=[[1,2],[1,2],[1,2],[]]",
                                                             "padding=causal"], 6),
    ],
    ids=["as published", "fewer codebooks", "as in MusicGen", "two units a stage, zeros"],
)  # fmt: skip
def test_encodec(options, overrides, n_q, tmp_path):
    model = theirs("encodec", ENCODEC | options, tmp_path)
    codec = ours(*ENCODEC_OURS, *overrides, f"quantizer.n_q={n_q}")
    assert f"{n_q} of 6 codebooks" in load_pretrained(codec, tmp_path)
    x = torch.randn(2, 1, 25 * codec.hop_length)
    encoded = model.encoder(x)
    codes = model.quantizer.encode(encoded, 9.6)[:n_q]
    coded = codec(x)
    torch.testing.assert_close(coded.encoded, encoded, atol=1e-4, rtol=1e-4)
    assert torch.equal(coded.quantized.codes, codes.transpose(0, 1))
    assert codes.unique().numel() >= 10
    expected = model.decoder(model.quantizer.decode(codes))
    assert expected.std(-1).min() > 0.03
    for audio in (coded.audio, codec.decode(codec.encode(x))):
        torch.testing.assert_close(audio, expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_mimi(tmp_path):
    model = theirs("mimi", MIMI, tmp_path)
    codec = ours(*MIMI_OURS)
    assert "4 of 6 codebooks" in load_pretrained(codec, tmp_path)
    x = torch.randn(2, 1, 25 * codec.hop_length)  # 50 frames in the transformers, ten times their window
    latents, codes = model.encoder(x).latents, model.encode(x, num_quantizers=4).audio_codes
    coded = codec(x)
    torch.testing.assert_close(coded.encoded, latents, atol=1e-4, rtol=1e-4)
    assert torch.equal(coded.quantized.codes, codes)
    assert codes.unique().numel() >= 10
    expected = model.decode(codes).audio_values
    assert expected.std(-1).min() > 0.03
    for audio in (coded.audio, codec.decode(codec.encode(x))):
        torch.testing.assert_close(audio, expected, atol=1e-4, rtol=0)


FULL = {
    "dac": (
        {"downsampling_ratios": [2, 4, 5, 8], "n_codebooks": 12},
        ("encoder=dac", "decoder=dac", "quantizer=dac", "activation=snake", "norm=none", "output=[tanh]",
         "quantizer.codebook.norm._target_=telucodec.nn.norm.no_norm"),
    ),
    "encodec": (
        {},
        ("encoder=encodec", "quantizer=encodec", "context=lstm", "padding=causal_reflect", "norm=weight", "output=[]",
         "quantizer.n_q=32", "quantizer.codebook.codebook_size=1024"),
    ),
    "mimi": (
        {},
        ("encoder=mimi", "decoder=mimi", "quantizer=mimi", "padding=causal", "output=[]", "sample_rate=24000",
         "encoder.encoder.strides=[1,4,5,6,8]", "quantizer.acoustic.inner.n_q=31"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FULL)
def test_published_sizes_have_the_published_number_of_parameters(kind):
    options, overrides = FULL[kind]
    made = {"dac": "Dac", "encodec": "Encodec", "mimi": "Mimi"}[kind]
    with torch.device("meta"):
        model = getattr(transformers, f"{made}Model")(getattr(transformers, f"{made}Config")(**options))
        codec = build(config(*overrides)["training"]["codec"], "codec")
    books = sum(b.numel() for name, b in model.named_buffers() if name.endswith(("codebook.embed", "embed_sum")))
    assert codec.parameter_count == sum(p.numel() for p in model.parameters()) + books


@torch.no_grad()
@pytest.mark.parametrize("kind", FULL)
def test_the_overrides_of_a_refusal_are_those_of_a_codec_that_fits(kind, tmp_path):
    options = {"dac": DAC | {"downsampling_ratios": [2, 4, 5]}, "encodec": ENCODEC, "mimi": MIMI}[kind]
    theirs(kind, options, tmp_path)
    codec = ours()
    before = {name: tensor.clone() for name, tensor in codec.state_dict().items()}
    with pytest.raises(ValueError, match=rf"^encoder\.layers\.0\.conv: here .*; in .* \({kind}\) conv") as refusal:
        load_pretrained(codec, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in codec.state_dict().items())
    overrides = shlex.split(str(refusal.value).partition("weights need ")[2])
    load_pretrained(ours(*overrides), tmp_path)
