"""What the callbacks of a run share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from telucodec.audio.picture import pixels
from telucodec.data.module import SpeechData
from telucodec.disk import replacing
from telucodec.metrics.evaluation import Evaluator
from telucodec.training.callbacks.stop import Stop
from telucodec.training.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    def show(self, tag: str, figure: "Figure", step: int, name: str) -> None:
        """Put a picture into TensorBoard, and into pictures/NAME.png in place of the one before."""
        from matplotlib.image import imsave

        drawn = pixels(figure)
        self.tensorboard.experiment.add_image(tag, drawn[..., :3], step, dataformats="HWC")
        with replacing(self.folder / "pictures" / f"{name}.png") as partial:
            imsave(partial, drawn, format="png")
