"""Fixed utterances to look at and listen to."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

from telucodec.audio.files import write
from telucodec.audio.picture import compare
from telucodec.disk import replacing
from telucodec.records import Coded, Utterance


class Gallery:
    """Puts examples into TensorBoard at each validation, and the newest ones into the run folder.

    TensorBoard gets each target once and each output every time, under tags that agree between runs.

    Args:
        folder: of the run; files go to audio/ and pictures/ in it.
        sample_rate: in Hz.
        tensorboard: where audio and pictures are shown.
    """

    def __init__(self, folder: Path, sample_rate: int, tensorboard: TensorBoardLogger) -> None:
        self.folder, self.sample_rate, self.tensorboard = folder, sample_rate, tensorboard
        self.targets_shown = False

    def show(self, step: int, examples: Sequence[tuple[Utterance, Coded]]) -> None:
        """Show what the codec made of some utterances at a step."""
        writer = self.tensorboard.experiment
        for number, (utterance, coded) in enumerate(examples):
            target, audio = utterance.audio[0, 0], coded.audio[0, 0]
            if not self.targets_shown:
                writer.add_audio(f"utterance_{number}/target", target, step, self.sample_rate)
                write(self.folder / "audio" / f"utterance_{number}_target.wav", target[None].numpy(), self.sample_rate)
            writer.add_audio(f"utterance_{number}/output", audio.clamp(-1, 1), step, self.sample_rate)
            write(
                self.folder / "audio" / f"utterance_{number}_output.wav",
                audio[None].clamp(-1, 1).numpy(),
                self.sample_rate,
            )
            figure = compare(target, audio, self.sample_rate, f"{utterance.name}, step {step}")
            name = "before" if step == 0 else "after"
            path = self.folder / "pictures" / f"utterance_{number}_{name}.png"
            with replacing(path) as partial:
                figure.savefig(partial, dpi=100, format="png")
            writer.add_figure(f"utterance_{number}/comparison", figure, step)
        self.targets_shown = True
