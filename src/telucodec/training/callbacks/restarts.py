"""Whether codewords that a restart moved are still of use some steps later."""

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from telucodec.errors import at_least
from telucodec.quantization.codebook import Codebook
from telucodec.quantization.restart import NoRestart
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining

Cohort = dict[str, Any]  # of one codebook after the step that moved it: moved, moves, counts [N], updates


class Restarts(Callback):
    """Logs how many codewords are moved, and which share of those moved in one step survives.

    A codeword survives some steps if it was not moved again and at least one frame has chosen it since. A restart that
    the running averages undo has a survival of about 0, whatever number of restarts it reports.

    Looks at every `every`-th step alone, and waits for the device in no other. It draws no random numbers and changes
    nothing. Comes before the callback that saves, so that a resumed run goes on with the same codewords.

    Args:
        every: steps between the steps whose codewords are followed, >= 1.
        after: numbers of steps, each >= 1, after which survival is asked.
        run: what the callbacks share.
    """

    def __init__(self, *, every: int, after: Sequence[int], run: Run) -> None:
        at_least(1, every=every, after=after)
        self.every, self.after = every, sorted(set(after))
        self.books: dict[int, Codebook] = {}  # those that have restarts, by their place among the codebooks
        self.before: dict[int, Tensor] = {}  # moves at the beginning of a step that is looked at
        self.reported: dict[int, Tensor] = {}  # moves at the last report
        self.reported_at = 0
        self.cohorts: dict[int, dict[int, Cohort]] = {}  # step -> place -> what was moved in it
        self.loaded: dict[str, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, CodecTraining)
        books = [part for part in pl_module.codec.quantizer.modules() if isinstance(part, Codebook)]
        self.books = {k: book for k, book in enumerate(books) if not isinstance(book.restart, NoRestart)}
        self.reported, self.reported_at = {k: torch.zeros_like(b.moves) for k, b in self.books.items()}, 0
        if self.loaded:
            self._go_on(self.loaded)
            self.loaded = {}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.global_step + 1) % self.every == 0:
            self.before = {k: book.moves.clone() for k, book in self.books.items()}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, figures = trainer.global_step, dict[str, float]()
        self.cohorts = {then: cohorts for then, cohorts in self.cohorts.items() if self._knows(cohorts)}
        if self.books and step % self.every == 0:
            figures |= self._count(step)
            self.cohorts[step] = {k: _cohort(book, self.before[k]) for k, book in self.books.items()}
        for after in self.after:
            if step - after in self.cohorts:
                figures |= self._ask(self.cohorts[step - after], after)
        self.cohorts.pop(step - self.after[-1], None)
        if figures:
            for logger in trainer.loggers:
                logger.log_metrics(figures, step)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from; the codebooks do not keep their own tally."""
        tally = {k: (book.moves, book.updates) for k, book in self.books.items()}
        reported = {"reported": self.reported, "reported_at": self.reported_at}
        return {"tally": tally, "cohorts": self.cohorts} | reported

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it until the codebooks are where they will be trained."""
        self.loaded = state_dict

    def _go_on(self, state: dict[str, Any]) -> None:
        for k, (moves, updates) in state["tally"].items():
            self.books[k].moves.copy_(moves)
            self.books[k].updates = updates
        device = {k: book.moves.device for k, book in self.books.items()}
        self.reported = {k: moves.to(device[k]) for k, moves in state["reported"].items()}
        self.reported_at = state["reported_at"]
        self.cohorts = {
            step: {k: {n: _on(v, device[k]) for n, v in cohort.items()} for k, cohort in cohorts.items()}
            for step, cohorts in state["cohorts"].items()
        }

    def _count(self, step: int) -> dict[str, float]:
        """Codewords moved since the last report, per step."""
        since = [(book.moves - self.reported[k]).clamp(min=0).sum() for k, book in self.books.items()]
        moved = torch.stack(since).tolist()
        steps = step - self.reported_at
        self.reported, self.reported_at = {k: book.moves.clone() for k, book in self.books.items()}, step
        return {f"codebook/{k}/restarts": n / steps for k, n in zip(self.books, moved, strict=True)}

    def _knows(self, cohorts: dict[int, Cohort]) -> bool:
        """Whether the codebooks have not been put back to before they moved these."""
        return all(self.books[k].updates >= cohort["updates"] for k, cohort in cohorts.items())

    def _ask(self, cohorts: dict[int, Cohort], after: int) -> dict[str, float]:
        """The share that survived, by codebook and of all; none where none was moved."""
        pairs = [(cohort["moved"].sum(), survivors(self.books[k], cohort).sum()) for k, cohort in cohorts.items()]
        numbers = dict(zip(cohorts, torch.stack([torch.stack(pair) for pair in pairs]).tolist(), strict=True))
        figures = {f"codebook/{k}/survival_{after}": n / of for k, (of, n) in numbers.items() if of}
        whole = sum(of for of, _ in numbers.values())
        if whole:
            figures[f"codebook/survival_{after}"] = sum(n for _, n in numbers.values()) / whole
        return figures


@torch.no_grad()
def survivors(book: Codebook, cohort: Cohort) -> Tensor:
    """Which codewords of a cohort were not moved again and have been chosen since, [N] of bool.

    An average count c that no frame adds to becomes decay x c with each update, and nothing but a restart touches it
    otherwise; a frame adds 1 - decay to it, of which decay**m is left m updates later, when decay**n of c is left. So
    a codeword was chosen if and only if its count is above decay**n c. That is computed by the very operation that the
    codebook uses, as often as it has used it, so that both round alike and no tolerance is needed.
    """
    idle = cohort["counts"].clone()
    for _ in range(book.updates - cohort["updates"]):
        idle.lerp_(torch.zeros_like(idle), 1 - book.decay)
    survived: Tensor = cohort["moved"] & (book.moves == cohort["moves"]) & (book.counts > idle)
    return survived


def _cohort(book: Codebook, before: Tensor) -> Cohort:
    moved = book.moves > before
    return {"moved": moved, "moves": book.moves.clone(), "counts": book.counts.clone(), "updates": book.updates}


def _on(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value
