"""What the callbacks of a run share."""

from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from telucodec.data.module import SpeechData
from telucodec.metrics.evaluation import Evaluator
from telucodec.training.callbacks.stop import Stop
from telucodec.training.record import RunRecord


@dataclass(frozen=True)
class Run:
    """One run, as its callbacks see it."""

    folder: Path
    data: SpeechData
    evaluator: Evaluator
    record: RunRecord
    tensorboard: TensorBoardLogger
    console: Console
    stop: Stop
    max_steps: int
