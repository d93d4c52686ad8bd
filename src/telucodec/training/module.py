"""The training step."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim import Optimizer

import telucodec
from telucodec import ranks
from telucodec.adversarial.adversary import Adversary
from telucodec.errors import at_least
from telucodec.losses.combine import Combine
from telucodec.losses.term import Scored, Terms
from telucodec.models.codec import Codec
from telucodec.models.stored import CONFIG_VERSION
from telucodec.records import Batch, Coded, Step
from telucodec.training.average import NoAverage
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
        players: how the weights of "codec" and of "adversary" move.
        accumulate: micro-batches that a batch is split into, to save memory.
        order: who moves first in a step: [adversary, codec] or [codec, adversary].
        average: which weights of the codec are measured and saved: the newest, or a running average.

    Shape:
        - Batch: audio [B, 1, T].
    """

    def __init__(
        self,
        *,
        codec: Codec,
        adversary: Adversary,
        terms: Terms,
        combine: Combine,
        players: Mapping[str, Player],
        accumulate: int,
        order: Sequence[Literal["codec", "adversary"]],
        average: NoAverage,
    ) -> None:
        super().__init__()
        at_least(1, accumulate=accumulate)
        if terms.judged and not adversary.discriminators:
            told = ", ".join(terms.judged)
            raise ValueError(
                f"{told}: read discriminators, but none is chosen. Leave them out of loss=[...], or choose one"
            )
        if terms.taught and not codec.quantizer.has_semantic:
            raise ValueError(
                f"{', '.join(terms.taught)}: teaches the semantic part of the latent, which this quantizer has not. "
                "Choose quantizer=mimi, or leave it out of loss=[...]"
            )
        if sorted(order) != ["adversary", "codec"]:
            raise ValueError(f"order must hold adversary and codec once each, got {list(order)}")
        if accumulate > 1 and order[0] == "codec":
            raise ValueError(
                f"accumulate {accumulate} needs the adversary to move first: with order [codec, adversary] it would "
                "judge a codec that has moved in between. Leave one of the two"
            )
        if sorted(players) != ["adversary", "codec"]:
            raise ValueError(f"players must be adversary and codec, got {sorted(players)}")
        self.automatic_optimization = False
        self.codec, self.adversary, self.terms, self.combine = codec, adversary, terms, combine
        self.players = dict(players)
        self.accumulate, self.order, self.average = accumulate, tuple(order), average
        self.average.follow(codec)
        self.index = 0  # generator updates made before this step
        # of the last step, on the device: whoever reads them waits for it
        self.figures: dict[str, Tensor] = {}  # losses and norms, in the order of computation; none: it was left out
        self.traces: dict[str, list[Tensor]] = {}  # tensor -> sums of its items, [B]: not finite where an item is not
        self.idle_since = 0.0  # when the last step and its callbacks ended: from then on the next batch is waited for
        self.revived: dict[str, Any] = {}  # our part of a checkpoint, put back when training starts

    def training_step(self, batch: Batch, _: int) -> None:
        self.index, parts = self.global_step, batch.audio.chunk(self.accumulate)
        self.figures, self.traces = {}, {}
        if len(parts) > 1:
            self.codec.acquaint(parts)
        shared = self.reconstruct(parts[0], 1.0) if len(parts) == 1 else None
        for side in self.order:
            if side == "codec":
                self._play_codec(parts, shared)
            elif side in self._sides() and self.adversary.plays(self.index):
                self._play_adversary(parts, shared)

    def _play_adversary(self, parts: Sequence[Tensor], shared: Step | None) -> None:
        with nullcontext() if shared else self._rehearsal():  # several parts: one graph in memory at a time
            for part, share in _shares(parts):
                step = shared or self.reconstruct(part, share)
                with torch.enable_grad():
                    loss, each = self.adversary.loss(step.target, step.audio)
                    self._descend(loss, share)
                self._note({f"adversary/{name}": value for name, value in each.items()}, share)
        self._move("adversary")

    def _play_codec(self, parts: Sequence[Tensor], shared: Step | None) -> None:
        evidence = []
        with self.adversary.frozen():
            for part, share in _shares(parts):
                step = shared or self.reconstruct(part, share)
                with parametrize.cached():  # the adversary's weights, which two verdicts share, are normalised once
                    scored = self.terms(step)
                self._descend(self.combine(scored, step), share)
                self._note(_values(scored), share)
                evidence.append(step.quantized)
        self._move("codec")
        self.codec.quantizer.update(evidence)

    def reconstruct(self, target: Tensor, share: float) -> Step:
        """One pass through the codec, [B, 1, T], a share of the batch; the adversary listens when it is asked."""
        coded: Coded = self.codec(target)
        self._trace(target=target, encoded=coded.encoded, latent=coded.quantized.latent, audio=coded.audio)
        return Step(self.index, target, coded.audio, coded.encoded, coded.quantized, self.adversary, share)

    def evaluated(self) -> Codec:
        """The codec to measure and to save."""
        return self.average.evaluated(self.codec)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        own = {"format": FORMAT, "config_version": CONFIG_VERSION, "version": telucodec.__version__}
        counters = {name: player.counters() for name, player in self.players.items()}
        checkpoint["telucodec"] = own | {"random": ranks.gathered(random_states()), "clipping": counters}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.revived = checkpoint["telucodec"]

    def on_train_start(self) -> None:
        if not self.revived:
            return
        states = self.revived["random"]  # of each process; where there are others now, they go on as the first one
        restore_random_states(states[ranks.own() if len(states) == ranks.count() else 0])
        for name, (steps, clipped) in self.revived["clipping"].items():
            self.players[name].count_on(steps, clipped.to(self.device))
        self.revived = {}  # all is restored

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.idle_since = time.monotonic()

    def configure_optimizers(self) -> list[Optimizer]:
        terms = ((f"terms.{name}", p) for name, p in self.terms.named_parameters())
        sides = {
            "codec": [*self.codec.named_parameters(), *terms],
            "adversary": list(self.adversary.named_parameters()),
        }
        return [self.players[name].equip(p) for name, p in sides.items() if name in self._sides()]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Runs between backward and step: where the learning rate is set, and gradients are unscaled and clipped."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)  # fused optimizers unscale while they step, which is too late for clipping
        name = self._sides()[[o.optimizer for o in self._optimizers()].index(optimizer)]
        self.figures[f"gradient_norm/{name}"] = self.players[name].prepare(optimizer, self.index)

    def learning_rates(self) -> dict[str, float]:
        """The learning rate in force for each player."""
        pairs = zip(self._sides(), self._optimizers(), strict=True)
        return {f"lr/{name}": o.param_groups[0]["lr"] for name, o in pairs}

    def clipping(self) -> dict[str, Tensor]:
        """How much each player's gradients were clipped since the last reading, on the device."""
        players = self.players.items()
        return {f"clip/{name}/{key}": value for name, player in players for key, value in player.clipping().items()}

    def _descend(self, loss: Tensor, share: float) -> None:
        self.manual_backward(loss * share if share < 1 else loss)

    def _move(self, name: str) -> None:
        optimizer = self._optimizers()[self._sides().index(name)]
        if name == "codec":
            self.average.before_step(self.codec)
            optimizer.step()
            self.average.after_step(self.codec)
        else:  # the same path through strategy and precision, but not counted by Lightning
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
        optimizer.zero_grad()

    def _note(self, values: dict[str, Tensor], share: float) -> None:
        for name, value in values.items():
            part = value.detach() * share if share < 1 else value.detach()
            self.figures[name] = self.figures[name] + part if name in self.figures else part

    def _trace(self, **tensors: Tensor) -> None:
        for name, tensor in tensors.items():
            self.traces.setdefault(name, []).append(tensor.detach().flatten(1).sum(1, dtype=torch.float32))

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


def _shares(parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, float]]:
    """Each part of a batch with its share of it."""
    items = sum(len(part) for part in parts)
    return ((part, len(part) / items) for part in parts)


def _values(scored: dict[str, Scored]) -> dict[str, Tensor]:
    weighted = {f"weighted/{name}": s.value * s.weight for name, s in scored.items()}
    values = {f"loss/{name}": s.value for name, s in scored.items()} | weighted
    return values | {"train/loss": torch.stack(list(weighted.values())).sum()}
