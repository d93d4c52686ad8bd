"""Encoding and decoding 10 s of audio: ours against DAC's own code, and EnCodec and Mimi as `transformers` has them.

    python benchmarks/coding.py
    python benchmarks/coding.py --codec mimi --rounds 12

At full size, on the same random weights, without gradients: one item, whole. EnCodec and Mimi are saved by transformers
and read by `telucodec`'s weights, as published ones are. Codes must be equal, but for frames where two codewords are as
near as rounding tells, and the audio of the same codes must agree to 1e-5 of its peak before anything is timed. Ours is
timed as `telucodec reconstruct` has it and, with --folded, with weight norm multiplied out.
"""

import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pairs import in_turns, parser, ratio, same, say, settle, write
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.models.codec import Codec, Codes
from telucodec.models.pretrained import load_pretrained

SECONDS = 10
ENCODEC = (
    *("encoder=encodec", "quantizer=encodec", "context=lstm", "padding=causal_reflect", "norm=weight", "output=[]"),
    *("quantizer.n_q=8", "quantizer.codebook.codebook_size=1024", "sample_rate=24000"),
)
MIMI = (
    *("encoder=mimi", "decoder=mimi", "quantizer=mimi", "padding=causal", "output=[]", "sample_rate=24000"),
    "encoder.encoder.strides=[1,4,5,6,8]",
)


class Peer(NamedTuple):
    """Another's codec: audio [1, 1, T] to codes [1, K, F], and codes to audio, on the weights of ours."""

    ours: Codec
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def dac(device: torch.device) -> Peer:
    """Descript-audio-codec at 16 kHz."""
    from dac_step import DacStep

    overrides = ["experiment=dac_16k", "trainer=cpu", "quantizer_dropout=none"]
    module = build(compose_config(overrides, None)["training"], "training").to(device)
    with torch.no_grad():
        module.codec(0.1 * torch.randn(1, 1, 16000, device=device))  # codebooks begin
    step = DacStep(64, 1536, device, torch.float32)
    step.take_over(module)
    theirs = step.codec.eval()

    def decode(codes: Tensor) -> Tensor:
        latent, _, _ = theirs.quantizer.from_codes(codes)
        return theirs.decode(latent)

    return Peer(module.codec.eval(), lambda audio: theirs.encode(theirs.preprocess(audio, 16000))[1], decode)


def encodec(device: torch.device) -> Peer:
    """EnCodec at 24 kHz and 6 kbit/s."""
    from transformers import EncodecConfig, EncodecModel

    theirs = EncodecModel(EncodecConfig()).eval()
    with torch.no_grad():
        for name, tensor in theirs.named_parameters():
            if "original0" in name:
                tensor.mul_(2)
        spread = theirs.encoder(0.1 * torch.randn(1, 1, 24000)).std()
        for k, layer in enumerate(theirs.quantizer.layers):
            layer.codebook.embed.normal_().mul_(0.7 * 0.95**k * spread)
    ours = taken_over(theirs, ENCODEC, device)

    def decode(codes: Tensor) -> Tensor:
        audio: Tensor = theirs.decode(codes[None], [None]).audio_values
        return audio

    return Peer(ours, lambda audio: theirs.encode(audio, bandwidth=6.0).audio_codes[0], decode)


def mimi(device: torch.device) -> Peer:
    """Mimi at 24 kHz, its first 8 codebooks."""
    from transformers import MimiConfig, MimiModel

    theirs = MimiModel(MimiConfig()).eval()
    with torch.no_grad():
        for name, tensor in [*theirs.named_parameters(), *theirs.named_buffers()]:
            if name.endswith("embed_sum"):
                tensor.normal_().mul_(0.1)
            elif "layer_scale" in name:
                tensor.uniform_(0.5, 1.5)
            elif "coder.layers" in name and tensor.dim() == 3:
                tensor.mul_(1.5)
    ours = taken_over(theirs, MIMI, device)

    def decode(codes: Tensor) -> Tensor:
        audio: Tensor = theirs.decode(codes).audio_values
        return audio

    return Peer(ours, lambda audio: theirs.encode(audio, num_quantizers=8).audio_codes, decode)


def taken_over(theirs: Any, overrides: tuple[str, ...], device: torch.device) -> Codec:
    """Ours, with the weights that transformers saves."""
    ours: Codec = build(compose_config(list(overrides), None)["training"]["codec"], "codec")
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        say(load_pretrained(ours, Path(folder)).partition(": ")[2])
    theirs.to(device)
    return ours.to(device).eval()


CODECS = {"dac": dac, "encodec": encodec, "mimi": mimi}


def fold(codec: nn.Module) -> None:
    """Multiply weight norm out."""
    for module in codec.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")


@torch.inference_mode()
def compare(name: str, rounds: int, folded: bool, device: torch.device) -> dict[str, Any]:
    """Hold both codecs against each other, then time them."""
    torch.manual_seed(0)
    with torch.inference_mode(mode=False):
        peer = CODECS[name](device)
    ours = peer.ours
    samples = SECONDS * ours.sample_rate
    audio = 0.1 * torch.randn(1, 1, samples, device=device)
    codes = peer.encode(audio)
    row = {"codec": name, "seconds": SECONDS} | agree(name, ours, audio, codes, peer.decode(codes))
    coded = Codes(codes, samples)
    ways = {
        "encode": lambda: ours.encode(audio),
        "encode_theirs": lambda: peer.encode(audio),
        "decode": lambda: ours.decode(coded),
        "decode_theirs": lambda: peer.decode(codes),
    }
    spent = in_turns(ways, rounds, device)
    row["as_stored"] = told(name, spent)
    if folded:
        with torch.inference_mode(mode=False):
            fold(ours)
        agree(f"{name}, folded", ours, audio, codes, peer.decode(codes))
        row["folded"] = told(f"{name}, folded", in_turns(ways, rounds, device))
    return row


def agree(name: str, ours: Codec, audio: Tensor, codes: Tensor, decoded: Tensor) -> dict[str, Any]:
    """Hold codes and audio against each other; what of the codes differs."""
    own = ours.encode(audio).codes
    differ = int((own != codes).any(1).sum()) if own.shape == codes.shape else -1
    different, used = differ / codes.shape[-1], codes.unique().numel()
    found = ours.decode(Codes(codes, audio.shape[-1]))
    apart = float((found - decoded).abs().max() / decoded.abs().max())
    loud = float(decoded.std())
    say(
        f"{name:>16}: {differ} of {codes.shape[-1]} frames differ, {used} codes in use; audio {apart:.1e} of its peak "
        f"apart, RMS {loud:.2g}"
    )
    same(f"{name}: frames", [1 + different], [1], 1e-3)
    same(f"{name}: audio", [1 + apart], [1], 1e-5)
    return {"frames_different": differ, "frames": codes.shape[-1], "apart": apart}


def told(name: str, spent: dict[str, list[float]]) -> dict[str, Any]:
    """Say and keep the ratios, and how many times as fast as the sound plays everything is."""
    faster = {way: SECONDS / statistics.median(times) for way, times in spent.items()}
    rows: dict[str, Any] = {"times_real_time": faster}
    for way in ("encode", "decode"):
        rows[way] = vars(ratio(spent[f"{way}_theirs"], spent[way]))
        say(
            f"{name:>16} {way}: {ratio(spent[f'{way}_theirs'], spent[way])} times as fast as theirs; "
            f"{faster[way]:.2f} x real time, theirs {faster[f'{way}_theirs']:.2f}"
        )
    return rows


def main() -> None:
    """Compare each codec."""
    options = parser(__doc__, rounds=8)
    options.add_argument("--codec", choices=CODECS, action="append", help="which (default: all)")
    options.add_argument("--folded", action="store_true", help="time ours with weight norm multiplied out, too")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    device = settle(given.device)
    write("coding", [compare(name, given.rounds, given.folded, device) for name in given.codec or CODECS], device)


if __name__ == "__main__":
    main()
