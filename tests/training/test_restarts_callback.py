"""Whether a moved codeword is still of use: counted, logged, and without a trace on the training."""

import io
import json
from types import SimpleNamespace

import pytest
import torch
from test_step import run

from conftest import toy_module
from telucodec.quantization.codebook import EMACodebook
from telucodec.quantization.evidence import Residual
from telucodec.quantization.ranks import OwnRank
from telucodec.quantization.restart import NoRestart
from telucodec.training.callbacks.restarts import Restarts, survivors

DEAD_AT_FIRST = "initial=normal_small"  # codewords in one spot: most are dead until a restart spreads them


class Log:
    """A logger that keeps its rows."""

    def __init__(self):
        self.rows = {}

    def log_metrics(self, figures, step):
        self.rows.setdefault(step, {}).update(figures)


def callback(every=5, after=(10,)):
    return Restarts(every=every, after=after, run=None)


def begun(count, decay=0.9):
    """A codebook of four codewords at 0, each with that count."""
    made = EMACodebook(
        codebook_size=4,
        dim=1,
        decay=decay,
        initial=lambda frames, n: (torch.zeros(n, 1), torch.full((n,), count), torch.zeros(n, 1)),
        restart=NoRestart(),
        ranks=OwnRank(),
        ema_input=Residual(),
    )
    made(torch.zeros(1, 1, 1))
    return made


def begin(module, watch):
    trainer = SimpleNamespace(global_step=0, loggers=[Log()])
    module.codec.quantizer.train()
    watch.on_train_start(trainer, module)
    return trainer


def drive(module, watch, steps, trainer):
    """Train the codebooks alone on noise, calling the callback as the trainer would."""
    quantizer = module.codec.quantizer
    for _ in range(steps):
        watch.on_train_batch_start(trainer, module, None, 0)
        with torch.no_grad():
            quantizer.update([quantizer(torch.randn(4, 8, 100))])
        trainer.global_step += 1
        watch.on_train_batch_end(trainer, module, None, None, 0)
    return trainer.loggers[0].rows


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, 0.9999])
def test_one_frame_in_a_hundred_updates_is_seen_and_none_is_too(decay):
    """Of three moved codewords one is chosen by one of 1000 frames once, one never, and one is moved again."""
    b = begun(250.0, decay)
    moved = torch.tensor([False, True, True, True])
    cohort = {"moved": moved, "moves": b.moves.clone(), "counts": b.counts.clone(), "updates": b.updates}
    for update in range(100):
        codes = torch.zeros(1000, dtype=torch.int64)
        codes[0] = 1 if update == (99 if decay == 0 else 0) else 0  # without memory the last step alone is known
        b.update(torch.zeros(1000, 1), codes)
    assert survivors(b, cohort).tolist() == [False, True, False, False]
    b.move(torch.arange(4) == 1, torch.zeros(4, 1))
    assert not survivors(b, cohort).any()


def test_steps_in_which_a_codebook_is_dropped_do_not_pass_for_use():
    b = begun(5.0)
    cohort = {"moved": b.counts > 0, "moves": b.moves.clone(), "counts": b.counts.clone(), "updates": b.updates}
    b.update(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64))
    assert not survivors(b, cohort).any()


@pytest.mark.parametrize("quantizer", ["rvq", "rvq_gradient", "rvq_both"])
def test_moved_codewords_survive_where_they_find_frames_and_not_where_averages_put_them_back(quantizer):
    survival, sizes = {}, ("quantizer.n_q=2", "quantizer.codebook.codebook_size=16")
    for restart in ("relative", "overwritten"):
        module = toy_module(f"quantizer={quantizer}", *sizes, DEAD_AT_FIRST, f"restart={restart}")
        watch = callback(every=1, after=(10,))
        rows = drive(module, watch, 11, begin(module, watch))
        survival[restart] = rows[11]["codebook/survival_10"]  # of those moved in the first step
        assert rows[1]["codebook/0/restarts"] > 8
    assert survival["relative"] > 0.8
    if quantizer != "rvq_gradient":  # codewords that are parameters stay where they were moved
        assert survival["overwritten"] < 0.1


def test_rows_by_hand():
    """Two of 16 codewords are moved in step 4 and in no other: half a move a step; both are chosen within 10 steps."""
    module = toy_module("quantizer.n_q=1", "restart=relative")
    watch = callback(every=4, after=(2, 10))
    trainer = begin(module, watch)
    assert drive(module, watch, 3, trainer) == {}
    (b,) = module.codec.quantizer.books
    assert int(b.moves.sum()) == 0
    b.counts[:2], b.sums[:2] = 0, 0
    b.codewords[:2] = 1000.0  # nothing chooses them now
    rows = drive(module, watch, 11, trainer)
    assert rows[4] == {"codebook/0/restarts": 0.5}
    assert rows[6] == {"codebook/0/survival_2": 1.0, "codebook/survival_2": 1.0}
    assert rows[8] == {"codebook/0/restarts": 0.0}, "and no survival of an empty cohort"
    assert rows[14] == {"codebook/0/survival_10": 1.0, "codebook/survival_10": 1.0}
    assert sorted(rows) == [4, 6, 8, 12, 14]
    assert sorted(watch.cohorts) == [8, 12], "what has been asked is dropped"


def test_a_resumed_run_logs_what_the_uninterrupted_one_logs():
    def rows(stop):
        module = toy_module(DEAD_AT_FIRST)
        torch.manual_seed(3)
        watch = callback(every=2, after=(3, 5))
        trainer = begin(module, watch)
        drive(module, watch, stop, trainer)
        state = torch.load(saved(watch.state_dict()), weights_only=True)
        for b in module.codec.quantizer.books:
            b.moves.zero_()
            b.updates = 0
        fresh = callback(every=2, after=(3, 5))
        fresh.load_state_dict(state)
        fresh.on_train_start(trainer, module)
        return drive(module, fresh, 16 - stop, trainer)

    assert rows(7) == rows(4) == rows(16)


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def test_codebooks_without_restarts_and_quantizers_without_codebooks_log_nothing():
    for override in ("restart=none", "quantizer=fsq", "quantizer=none"):
        loss = "loss=[l1,mel,adversarial,feature]"
        module = toy_module(override, loss)
        watch = callback(every=1)
        trainer = begin(module, watch)
        watch.on_train_batch_start(trainer, module, None, 0)
        trainer.global_step = 1
        watch.on_train_batch_end(trainer, module, None, None, 0)
        assert trainer.loggers[0].rows == {}


def test_training_is_bitwise_the_same_with_it():
    plain, watched = toy_module(DEAD_AT_FIRST), toy_module(DEAD_AT_FIRST)
    run(plain, 6)
    after = torch.get_rng_state()
    run(watched, 6, callback(every=1, after=(1, 3)))
    assert torch.equal(after, torch.get_rng_state())
    pairs = zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert sum(int(b.moves.sum()) for b in watched.codec.quantizer.books) > 0


@pytest.mark.parametrize(("values", "message"), [({"every": 0}, "every must be >= 1"), ({"after": ()}, "after must")])
def test_wrong_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        callback(**values)


@pytest.mark.slow
def test_a_run_that_is_resumed_follows_the_same_codewords(train):
    """The whole way: configuration, record, checkpoint; stopped after step 4."""
    chosen = ("callback=[logging,validation,restarts,saving,progress]", "callback.restarts.every=1", DEAD_AT_FIRST)
    every = ("callback.restarts.after=[1,5]", "callback.logging.every=1", "callback.saving.every=2")
    wanted = (*chosen, *every, "callback.validation.every=3", "callback.validation.examples=0")

    def rows(run):
        found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in found
            if any("survival" in k or "restarts" in k for k in row)
        ]

    _, whole = train(*wanted)
    code, parts = train(*wanted, "name=parts", "max_steps=4")
    assert code == 0
    code, parts = train(*wanted, "name=parts", f"resume={parts}")
    assert code == 0
    assert rows(parts) == rows(whole)
    assert "codebook/survival_5" in rows(whole)[-1], "of the codewords moved in step 1"
