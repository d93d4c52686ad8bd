"""The training step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

import telucodec
from telucodec.adversarial.adversary import Adversary
from telucodec.errors import at_least
from telucodec.losses.combine import WeightedSum
from telucodec.losses.term import Scored, Terms
from telucodec.models.codec import Codec
from telucodec.models.stored import CONFIG_VERSION
from telucodec.records import Batch, Coded, Step
from telucodec.training.checkpoint import FORMAT, random_states, restore_random_states
from telucodec.training.player import Player


class CodecTraining(lightning.LightningModule):
    """Alternates one adversary step and one codec step per batch.

    `global_step` counts the codec's updates, that is batches: the adversary's optimizer steps beside Lightning's count.

    Args:
        codec: the generator.
        adversary: the discriminators; may be empty.
        terms: what the codec minimises.
        combine: evaluated terms to one scalar.
        codec_player: how the codec's weights move.
        adversary_player: how the discriminators' weights move.
        accumulate: micro-batches that a batch is split into, to save memory.

    Shape:
        - Batch: audio [B, 1, T].
    """

    def __init__(
        self,
        *,
        codec: Codec,
        adversary: Adversary,
        terms: Terms,
        combine: WeightedSum,
        codec_player: Player,
        adversary_player: Player,
        accumulate: int,
    ) -> None:
        super().__init__()
        at_least(1, accumulate=accumulate)
        if terms.judged and not adversary.discriminators:
            told = ", ".join(terms.judged)
            raise ValueError(
                f"{told}: read discriminators, but none is chosen. Leave them out of loss=[...], or choose one"
            )
        self.automatic_optimization = False
        self.codec, self.adversary, self.terms, self.combine = codec, adversary, terms, combine
        self.players = {"codec": codec_player, "adversary": adversary_player}
        self.accumulate = accumulate
        self.noting = True  # whether the step notes its figures; a callback sets it for the steps that it logs
        self.figures: dict[str, Tensor] = {}  # of the last noted step, on the device: whoever logs them waits for it
        self.idle_since = 0.0  # when the last step and its callbacks ended: from then on the next batch is waited for
        self.revived: dict[str, Any] = {}  # random states of a checkpoint, put back when training starts

    def training_step(self, batch: Batch, _: int) -> None:
        index, parts = self.global_step, batch.audio.chunk(self.accumulate)
        shared = self.reconstruct(parts[0], index) if len(parts) == 1 else None
        self.figures = {}
        if "adversary" in self._sides() and self.adversary.plays(index):
            with nullcontext() if shared else self._rehearsal():  # several parts: one graph in memory at a time
                for part in parts:
                    step = shared or self.reconstruct(part, index)
                    with torch.enable_grad():
                        loss, each = self.adversary.loss(step.target, step.audio)
                        self._descend(loss, len(part) / len(batch.audio))
                    self._note({f"adversary/{name}": value for name, value in each.items()}, part, batch)
            self._move("adversary")
        evidence = []
        with self.adversary.frozen():
            for part in parts:
                step = shared or self.reconstruct(part, index)
                scored = self.terms(step)
                self._descend(self.combine(scored, step), len(part) / len(batch.audio))
                self._note(_values(scored), part, batch)
                evidence.append(step.quantized)
        self._move("codec")
        self.codec.quantizer.update(evidence)

    def reconstruct(self, target: Tensor, index: int) -> Step:
        """One pass through the codec, [B, 1, T]; the adversary listens when it is asked."""
        coded: Coded = self.codec(target)
        return Step(index, target, coded.audio, coded.encoded, coded.quantized, self.adversary)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        own = {"format": FORMAT, "config_version": CONFIG_VERSION, "version": telucodec.__version__}
        checkpoint["telucodec"] = own | {"random": random_states()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.revived = checkpoint["telucodec"]["random"]

    def on_train_start(self) -> None:
        if self.revived:
            restore_random_states(self.revived)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.idle_since = time.monotonic()

    def configure_optimizers(self) -> list[Optimizer]:
        sides = {"codec": self.codec.parameters(), "adversary": self.adversary.parameters()}
        return [self.players[name].equip(p) for name, p in sides.items() if name in self._sides()]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Runs between backward and step: where the learning rate is set, and gradients are unscaled and clipped."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # fused optimizers unscale while they step, which is too late for clipping
        name = self._sides()[[o.optimizer for o in self._optimizers()].index(optimizer)]
        self.figures[f"gradient_norm/{name}"] = self.players[name].prepare(optimizer, self.global_step)

    def learning_rates(self) -> dict[str, float]:
        """The learning rate in force for each player."""
        pairs = zip(self._sides(), self._optimizers(), strict=True)
        return {f"lr/{name}": o.param_groups[0]["lr"] for name, o in pairs}

    def _descend(self, loss: Tensor, share: float) -> None:
        self.manual_backward(loss * share if share < 1 else loss)

    def _move(self, name: str) -> None:
        optimizer = self._optimizers()[self._sides().index(name)]
        if name == "codec":
            optimizer.step()
        else:  # the same path through strategy and precision, but not counted by Lightning
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
        optimizer.zero_grad()

    def _note(self, values: dict[str, Tensor], part: Tensor, batch: Batch) -> None:
        share = len(part) / len(batch.audio)
        if self.noting:
            self.figures |= {k: self.figures.get(k, 0) + v.detach() * share for k, v in values.items()}

    def _sides(self) -> list[str]:
        return ["codec", "adversary"] if self.terms.judged else ["codec"]  # unread discriminators never run

    def _optimizers(self) -> list[LightningOptimizer]:
        found: Any = self.optimizers()
        return list(found) if isinstance(found, list) else [found]

    @contextmanager
    def _rehearsal(self) -> Iterator[None]:
        """A first pass without a graph whose random draws the second pass will repeat."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            yield


def _values(scored: dict[str, Scored]) -> dict[str, Tensor]:
    values = {f"loss/{name}": s.value for name, s in scored.items()}
    return values | {f"weighted/{name}": s.value * s.weight for name, s in scored.items()}
