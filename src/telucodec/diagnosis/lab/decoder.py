"""An experiment on a whole codec: what of the quantizer's losses reaches the decoder (I9)."""

from functools import partial

import torch
from torch import Tensor, nn

from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.quantizer import DIM, small
from telucodec.diagnosis.lab.signals import batch, seeded, step_of
from telucodec.losses.quantizer import CodebookLoss, Commitment
from telucodec.losses.term import Term
from telucodec.losses.waveform import L1
from telucodec.models.codec import Codec
from telucodec.models.decoder import Decoder
from telucodec.models.encoder import Encoder
from telucodec.models.level import AsItIs
from telucodec.models.output import Output
from telucodec.nn.activation import ELU
from telucodec.nn.layers import Ends, Layers
from telucodec.nn.norm import no_norm
from telucodec.nn.padding import Centred
from telucodec.nn.recurrent import NoContext
from telucodec.nn.residual import ResidualUnit
from telucodec.nn.weights import as_built
from telucodec.quantization.evidence import Residual
from telucodec.quantization.gradient import StraightThrough

CLIP_NORM = 1.0  # of document S003, line 247
WEIGHTS = (0.0, 0.25, 1.0, 5.0, 25.0, 100.0, 500.0, 2500.0)


def toy_codec(seed: int) -> Codec:
    """A codec of strides 4 and 2 with two EMA codebooks, newly initialised."""
    layers = Layers(activation=partial(ELU, alpha=1.0), weights=as_built, norm=no_norm, padding=Centred(fill="zeros"))
    parts = {
        "strides": (4, 2),
        "channels": (4, 8),
        "dilations": ((1,), (1,)),
        "dim": DIM,
        "ends": Ends(first=3, last=3, bias=True),
        "unit": partial(ResidualUnit, kernel_size=3, compress=1, layers=layers),
        "layers": layers,
        "context": NoContext,
    }
    with seeded(seed):
        return Codec(
            sample_rate=16000,
            encoder=Encoder(**parts),  # type: ignore[arg-type]
            quantizer=small(2, StraightThrough(), Residual(), seed),
            decoder=Decoder(**parts),  # type: ignore[arg-type]
            output=Output(stages={}),
            loudness=AsItIs(),
        )


def decoder_gradients(seed: int) -> Experiment:
    """I9: no loss of the quantizer reaches the decoder, but for a clip that all share."""
    codec = toy_codec(seed)
    target = batch(4, 0.0, 1.0, 0.0, 12.0, 256, seed)[0].float()
    coded = codec(target)
    step = step_of(target, coded.audio, coded.quantized)
    l1, commitment = L1(weight=1.0, start=0, emphasis=0.0), Commitment(weight=1.0, start=0, reduce="mean")
    terms: dict[str, Term] = {
        "L1": l1,
        "commitment": commitment,
        "codebook": CodebookLoss(weight=1.0, start=0, reduce="mean"),
    }
    sides = {"encoder": list(codec.encoder.parameters()), "decoder": list(codec.decoder.parameters())}
    norms = {name: {side: _norm(term(step), own) for side, own in sides.items()} for name, term in terms.items()}
    heavy = 13 * float(l1(step).detach() / commitment(step).detach())  # document S004, line 63: 13 times L1's value
    mixed = _norm(l1(step) + heavy * commitment(step), sides["decoder"])
    clipped = [_clipped(codec, l1(step), weight * commitment(step), sides["decoder"]) for weight in WEIGHTS]
    told = [norms["L1"]["decoder"] * min(1.0, CLIP_NORM / total) for total, _ in clipped]
    checks = (
        Check("commitment loss at the decoder", 0, norms["commitment"]["decoder"], 0),
        Check("codebook loss at the decoder", 0, norms["codebook"]["decoder"], 0),
        Check("commitment loss at the encoder", 1e-6, norms["commitment"]["encoder"], 0, ">="),
        Check("decoder's gradient beside 13 x commitment", norms["L1"]["decoder"], mixed, 0),
        compare("decoder's gradient behind a shared clip", told, [after for _, after in clipped], 1e-6),
    )
    data = {"norm": norms, "weight": list(WEIGHTS), "clipped": [after for _, after in clipped], "heavy_weight": heavy}
    return Experiment(
        "i9", "What of the quantizer's losses reaches the decoder", "dL_vq / dw_decoder = 0", checks, data
    )


def _norm(value: Tensor, parameters: list[nn.Parameter]) -> float:
    """Norm of a loss's gradient at parameters; exactly 0 where no path leads to them."""
    if not value.requires_grad:
        return 0.0
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return float(torch.stack([torch.zeros(()) if g is None else g.norm() for g in found]).norm())


def _clipped(codec: Codec, plain: Tensor, extra: Tensor, decoder: list[nn.Parameter]) -> tuple[float, float]:
    """Norm of the whole gradient, and the decoder's part after clipping the whole."""
    own = list(codec.parameters())
    for parameter, gradient in zip(own, torch.autograd.grad(plain + extra, own, retain_graph=True), strict=True):
        parameter.grad = gradient
    total = torch.nn.utils.clip_grad_norm_(own, CLIP_NORM)
    return float(total), float(torch.stack([p.grad.norm() for p in decoder if p.grad is not None]).norm())
