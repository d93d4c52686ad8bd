"""Fixed utterances to look at and listen to."""

from collections.abc import Sequence

from torch import Tensor

from telucodec.audio.files import write
from telucodec.audio.picture import compare
from telucodec.records import Utterance
from telucodec.training.context import Run


class Gallery:
    """Puts examples into TensorBoard at each validation, and the newest ones into the run folder.

    TensorBoard gets each target once and each output every time, under tags that agree between runs.

    Args:
        run: what the callbacks share; files go to audio/ and pictures/ in its folder.
        drawn: how many of the examples are drawn.
    """

    def __init__(self, run: Run, drawn: int) -> None:
        self.run, self.drawn, self.folder, self.sample_rate = run, drawn, run.folder, run.data.sample_rate
        self.targets_shown = False

    def show(self, step: int, examples: Sequence[tuple[Utterance, Tensor]]) -> None:
        """Show what the codec made of some utterances at a step, [1, 1, T] each."""
        writer = self.run.tensorboard.experiment
        for number, (utterance, decoded) in enumerate(examples):
            target, audio = utterance.audio[0, 0], decoded[0, 0]
            if not self.targets_shown:
                writer.add_audio(f"utterance_{number}/target", target, step, self.sample_rate)
                write(self.folder / "audio" / f"utterance_{number}_target.wav", target[None].numpy(), self.sample_rate)
            writer.add_audio(f"utterance_{number}/output", audio.clamp(-1, 1), step, self.sample_rate)
            write(
                self.folder / "audio" / f"utterance_{number}_output.wav",
                audio[None].clamp(-1, 1).numpy(),
                self.sample_rate,
            )
            if number < self.drawn:
                figure = compare(target, audio, self.sample_rate, f"{utterance.name}, step {step}")
                name = f"utterance_{number}_{'before' if step == 0 else 'after'}"
                self.run.show(f"utterance_{number}/comparison", figure, step, name)
        self.targets_shown = True
