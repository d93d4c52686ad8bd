"""A codec held against whole utterances."""

import torch

from telucodec.audio.level import dbfs
from telucodec.metrics.evaluation import Evaluator, Row
from telucodec.models.codec import Codec
from telucodec.precision import in_float32
from telucodec.records import Coded, Utterance


class Assessment:
    """Runs utterances through a codec, in float32 and evaluation mode, and sums up what comes out.

    Args:
        codec: is put back into the mode that it was in after each utterance.
        evaluator: what is measured.
    """

    def __init__(self, codec: Codec, evaluator: Evaluator) -> None:
        self.codec, self.device = codec, next(codec.parameters()).device
        self.evaluation = evaluator.begin(codec.sample_rate, codec.quantizer.n_q, codec.quantizer.codebook_size)

    @torch.no_grad()
    def hear(self, utterance: Utterance) -> tuple[Row, Coded]:
        """Code and decode one utterance, and keep its figures."""
        coded = self._run(utterance.audio)
        return self.evaluation.add(utterance, coded), coded

    def gather(self) -> None:
        """Put together what all processes heard."""
        self.evaluation.gather()

    @torch.no_grad()
    def summary(self) -> dict[str, float]:
        """The evaluation's summary, with kbps, the noise floor on one second of digital silence and output_scale."""
        silence = self._run(torch.zeros(1, 1, self.codec.sample_rate)).audio
        return self.evaluation.summary() | {
            "kbps": self.codec.bitrate,
            "noise_floor_dbfs": dbfs(float(silence.double().square().mean().sqrt())),
            "output_scale": self.codec.output.output_scale,
        }

    def _run(self, audio: torch.Tensor) -> Coded:
        training = self.codec.training
        self.codec.eval()
        with in_float32(self.device):
            coded: Coded = self.codec(audio.to(self.device))
        self.codec.train(training)
        return Coded(coded.audio.cpu(), coded.encoded, coded.quantized)


def keyed(summary: dict[str, float], split: str) -> dict[str, float]:
    """A summary under the keys of the log: `<split>/<figure>`; the codec's own figures keep theirs.

    Those are `codebook/...`, `latent/...` and `train/output_scale`.

    >>> keyed({"snr": 6.0, "codebook/usage_min": 0.5, "output_scale": 1.0}, "val")
    {'val/snr': 6.0, 'codebook/usage_min': 0.5, 'train/output_scale': 1.0}
    """
    own = {"output_scale": "train/output_scale"}
    return {own.get(k, k if k.startswith(("codebook/", "latent/")) else f"{split}/{k}"): v for k, v in summary.items()}
