"""Terms that teach the latent what a frozen listener hears."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from telucodec.errors import InputError, at_least
from telucodec.losses.teacher import Teacher
from telucodec.losses.term import Term
from telucodec.records import Step


class Distillation(Term):
    """Cosine distance between a learnt projection of the latent's semantic part and a teacher's features of the target.

    The teacher's frames are averaged (or repeated) to the codec's. The projection is trained with the codec, is kept in
    checkpoints, and is no part of the codec.

    Args:
        weight: see `Term`.
        start: see `Term`.
        teacher: the frozen listener.
        dim: width of the latent, >= 1.

    Shape:
        - Reads `step.quantized.semantic` [B, D, F], `step.target` [B, C, T]. Output: scalar in [0, 2], mean over
          frames.

    Raises:
        InputError: at the first step, if the quantizer has no semantic part.

    Source: Defossez et al. 2024, arXiv:2410.00037, section 3.3.3; Zhang et al. 2023, arXiv:2308.16692, section 3.2,
        compares along time instead.
    """

    through = "encoded"
    reads_semantic = True

    def __init__(self, *, weight: float, start: int, teacher: Teacher, dim: int) -> None:
        super().__init__(weight=weight, start=start)
        at_least(1, dim=dim)
        self.teacher = teacher
        self.projection = nn.Linear(dim, teacher.dim)

    def forward(self, step: Step) -> Tensor:
        semantic = step.quantized.semantic
        if semantic is None:
            raise InputError(
                "loss.distillation: this quantizer has no semantic part to teach. Choose quantizer=mimi, or leave "
                "distillation out of loss=[...]."
            )
        with torch.no_grad():
            lesson = F.adaptive_avg_pool1d(self.teacher.features(step.target).float(), semantic.shape[-1])
        said = self.projection(semantic.transpose(1, 2)).float()
        return 1 - F.cosine_similarity(said, lesson.transpose(1, 2), dim=2).mean()
