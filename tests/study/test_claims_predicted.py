"""Predictions beside the runs of their presets."""

import math

import pytest
from ledgers import claim, known, ledger, says, write

from known_arms import END, collected, heard, run, study
from telucodec.study.claims.claim import Prediction, StepsPerEpoch
from telucodec.study.claims.ledger import read_ledger
from telucodec.study.claims.measured import FINAL, decide
from telucodec.study.claims.readings import POSITIVE, Reading, asked, read
from telucodec.study.claims.values import Range, When, Written
from telucodec.study.design.study import Arm

EPOCH = StepsPerEpoch(3, 100, "")
LOSS, SNR, SCALE = "train/loss", "val/snr", "train/output_scale"
PRESETS = study(
    Arm("s001", ()),
    Arm("s001@1e-3", (), rate="1e-3", of="s001", against="s001"),
    Arm("s001_before", (), against="s001_before"),
)


def prediction(metric, at, low=0.0, high=1.0):
    return Prediction(metric, at, Range(low, high))


def epoch(number):
    return When("epoch", number)


def curve(arm, seed, metric, *points, **more):
    """A run whose figure has a value at each (step, value)."""
    return run(arm, seed, {step: {metric: value} for step, value in points}, **more)


def own(*values, metric=LOSS, rate="", **more):
    """Runs of the preset whose figure stays at a value, or (from, to) changes between steps 15 and 90."""
    pairs = [value if isinstance(value, tuple) else (value, value) for value in values]
    return [
        curve(f"s001{rate}", seed, metric, (15, first), (90, then), (END, then), **more)
        for seed, (first, then) in enumerate(pairs)
    ]


def decided(folder, *made, kind="prediction", **fields):
    whole = ledger(folder, claim(preset="s001", kind=kind, **fields))
    return decide(whole, [collected(PRESETS, *made)] if made else [])[0]


def verdict(folder, said, *made, **more):
    return decided(folder, *made, predicts=[said], **more).verdict


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (epoch(0), Reading(3, 1, 1, 5)),  # the first epoch has 3 steps, and as many as 100
        (epoch(1), Reading(3, 1, 1, 5)),
        (epoch(2), Reading(9, 5, 2, 5)),  # step 6 is not logged: the next one; until 200
        (epoch(40), Reading(200, 3, 3, 3)),
        (epoch(67), None),  # 201: the run ended before
        (When("step", 10), Reading(100, 2, 2, 2)),
        (When("any", "the start"), Reading(3, 1, 1, 1)),
        (When("any", "the end"), Reading(200, 3, 3, 3)),
        (When("any", "training"), Reading(200, 2.5, 1, 5)),  # the median; before the first step nothing was trained
    ],
)
def test_where_a_prediction_is_read(at, found):
    told = curve("s001", 0, LOSS, (0, 9), (3, 1), (9, 5), (100, 2), (200, 3))
    assert read(prediction(LOSS, at), told, EPOCH) == found
    assert read(prediction(SNR, at), told, EPOCH) is None


def test_the_first_snr_above_zero():
    at = When("any", POSITIVE)
    rises = curve("s001", 0, SNR, (0, 3), (100, -1), (200, 0.5), (300, 2))
    assert read(prediction(SNR, at), rises, EPOCH) == Reading(200, 0.5, 0.5, 0.5)
    never, early = (curve("s001", 0, SNR, (0, 3), (end, -1)) for end in (300, 299))
    found = read(prediction(SNR, at), never, EPOCH)
    assert (found.step, math.isnan(found.value)) == (300, True)  # 100 epochs, as long as the documents train
    assert read(prediction(SNR, at), early, EPOCH) is None


def test_whether_a_run_has_ended_by_an_epoch():
    broken = run("s001", 0, {0: {}, 50: {}, 120: {}}, status="diverged")
    assert read(prediction("run/finished", epoch(0)), broken, EPOCH) == Reading(50, 1, 1, 1)
    assert read(prediction("run/finished", epoch(2)), broken, EPOCH) == Reading(50, 1, 0, 1)  # 6 steps, or up to 200
    assert math.isnan(read(prediction("run/finished", epoch(41)), broken, EPOCH).value)
    assert math.isnan(read(prediction(LOSS, epoch(41)), broken, EPOCH).value)
    assert read(prediction("run/finished", epoch(41)), run("s001", 0, {0: {}, 120: {}}), EPOCH) is None


def test_a_figure_that_is_not_finite_is_not_there():
    told = curve("s001", 0, LOSS, (3, math.nan), (6, 2))
    assert read(prediction(f"{LOSS} + 1.0 * {LOSS}", epoch(0)), told, EPOCH) == Reading(6, 4, 4, 4)


def test_presets_are_known_by_their_name_and_change_nothing_else():
    made = study(
        Arm("s001", ()),
        Arm("s001@1e-3", (), rate="1e-3", of="s001"),
        Arm("s001_tanh", (), switches=("tanh",), of="s001"),
        Arm("losses_x10", (), times=10.0, of="s001"),
        Arm("s002", ()),
    )
    runs = [
        run("s001", 0, {3: {}}),
        run("s001", 1, {3: {}}, status="failed"),
        run("s001", 2, {3: {}}, status="diverged"),
    ]
    found = asked("s001", [collected(made, runs)])
    assert [(each.arm, each.own, [r.seed for r in each.runs]) for each in found] == [
        ("s001", True, [0, 2]),
        ("s001@1e-3", False, []),
    ]


@pytest.mark.parametrize(
    ("first", "fast", "found"),
    [
        ((0.5, 0.4, 0.6), (9, 9, 9), "confirmed"),  # at the document's own rate, every seed
        ((0.5, 0.4, 9), (9, 9, 9), "inconclusive"),
        ((9, 9, 9), (0.5, 9, 9), "inconclusive"),  # at another rate, one seed
        ((9, 9, 9), (9, 9, 9), "refuted"),
        ((9, 9, (9, 0.5)), (9, 9, 9), "inconclusive"),  # later: an epoch may have more steps
        ((9, 9, (9, -9)), (9, 9, 9), "inconclusive"),  # comes through it between two rows
        ((9, (9, 1.01), 9), (9, 9, 9), "refuted"),
    ],
)
def test_all_seeds_confirm_and_no_reading_refutes(tmp_path, first, fast, found):
    said = says(LOSS, 0.4, 0.6, at=0)
    assert verdict(tmp_path, said, own(*first), own(*fast, rate="@1e-3")) == found


def test_one_seed_and_no_run_leave_it_untested(tmp_path):
    said = says(LOSS, 0.4, 0.6, at=0)
    assert verdict(tmp_path, said) == "untested"
    assert verdict(tmp_path, said, own(0.5)) == "untested"
    assert verdict(tmp_path, said, own(9)) == "untested"
    assert verdict(tmp_path, says(SNR, 0, 1, at=0), own(0.5, 0.5)) == "untested"  # nobody logged it
    assert verdict(tmp_path, said, own(0.5, 0.5, status="failed")) == "untested"


def test_what_broke_off_did_not_get_there(tmp_path):
    said = says(LOSS, 0.4, 0.6, at=100)
    broken = [run("s001", seed, {15: {LOSS: 0.5}}, status="diverged") for seed in range(3)]
    assert verdict(tmp_path, said, own(0.5, 0.5, 0.5)) == "confirmed"
    assert verdict(tmp_path, said, broken) == "refuted"
    found = decided(tmp_path, broken, predicts=[said]).by
    assert "none of the runs comes to epoch 100 (they end at step 15)" in found.text


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("0.048", 0.0484, "confirmed"),
        ("0.048", 0.0486, "refuted"),
        ("0.50", 0.504, "confirmed"),
        ("0.50", 0.506, "refuted"),
        ("0.5", 0.54, "confirmed"),
        ("12", 11.6, "confirmed"),
        ("12", 11.4, "refuted"),
        ("12.0", 11.94, "refuted"),
    ],
)
def test_one_value_stands_for_all_that_round_to_it(tmp_path, text, value, found):
    path = write(tmp_path, claim(preset="s001", predicts=[says(LOSS, 7.125, at=0)]))
    path.write_text(path.read_text().replace("7.125", text))
    whole = read_ledger(path, known())
    assert decide(whole, [collected(PRESETS, own(value, value))])[0].verdict == found


def test_numbers_remember_their_digits():
    assert [Written(text).half_unit for text in ("0.50", "0.5", "7", "1.0e-5", "inf")] == [
        0.005, 0.05, 0.5, pytest.approx(5e-7), 0,
    ]  # fmt: skip


def test_figures_of_one_moment_must_hold_together(tmp_path):
    both = [says(LOSS, 0.4, 0.6, at=0), says(SNR, 5, 6, at=0)]

    def found(*rows):
        made = [run("s001", seed, {END: {LOSS: loss, SNR: snr}}) for seed, (loss, snr) in enumerate(rows)]
        return decided(tmp_path, made, predicts=both).verdict

    assert found((0.5, 5.5), (0.5, 5.5)) == "confirmed"
    assert found((0.5, 9), (9, 5.5)) == "refuted"  # each came true, in different runs
    assert found((0.5, 5.5), (9, 5.5)) == "inconclusive"
    assert decided(tmp_path, own(0.5, 0.5), predicts=both).verdict == "inconclusive"  # nobody logged the SNR
    assert decided(tmp_path, own(9, 9), predicts=both).verdict == "refuted"


def test_a_mean_does_not_speak_for_every_utterance(tmp_path):
    said = says(SNR, 0, 99, at=0, over="each utterance")

    def found(*values, mean=2, step=15):
        told = heard(step, **{f"u{n}": {"snr": value} for n, value in enumerate(values)})
        return decided(tmp_path, own(mean, mean, metric=SNR, heard=told), predicts=[said])

    assert found(1, 3).verdict == "confirmed"
    assert found(-1, 5).verdict == "inconclusive", "the mean lies there, and one utterance does not"
    assert "which holds for each utterance with 0 of 2 seeds" in found(-1, 5).by.text
    assert found(1, 3, step=90).verdict == "inconclusive", "they were heard at another step"
    assert "for each utterance (whose figures are not recorded at that step)" in found(1, 3, step=90).by.text
    assert found(-3, -1, mean=-2).verdict == "refuted"


def test_a_single_seed_has_no_interval_to_tell(tmp_path):
    found = decided(tmp_path, own(0.5), predicts=[says(LOSS, 0.4, 0.6, at=0)])
    assert found.by.text.startswith("train/loss is 0.5 at step 15; said to be")


def test_each_preset_is_asked_for_itself(tmp_path):
    both = [says(LOSS, 0.4, 0.6, at=0), says(LOSS, 2, 3, at=0, preset="s001_before")]
    before = [curve("s001_before", seed, LOSS, (15, 2.5)) for seed in range(2)]
    assert decided(tmp_path, own(0.5, 0.5), before, predicts=both).verdict == "confirmed"
    assert decided(tmp_path, own(0.5, 0.5), predicts=both).verdict == "inconclusive"
    found = decided(tmp_path, own(9, 9), before, predicts=both)
    assert (found.verdict, found.by.runs.arms, found.by.figure) == ("refuted", ("s001",), 9)


def test_times_are_measured_and_decide_nothing(tmp_path):
    said = says("run/seconds", 3600, 6000, at=100)
    found = decided(tmp_path, own(1, 1), predicts=[said])
    assert (found.verdict, found.by.figure) == ("inconclusive", 30)
    assert "300 steps took 30 s (30 to 30) on one thread. 3600 to 6000 s are said of another machine" in found.by.text
    assert verdict(tmp_path, said) == "untested"
    assert verdict(tmp_path, said, own(1, 1, status="diverged")) == "untested"
    besides = [said, says(LOSS, 0, 0.5, at=0)]
    assert decided(tmp_path, own(1, 1), predicts=besides).verdict == "refuted"  # by the loss
    assert decided(tmp_path, own(0.2, 0.2), predicts=besides).verdict == "inconclusive"


@pytest.mark.parametrize("value", [0.5, 9])
def test_observations_are_neither_proved_nor_denied_by_other_runs(tmp_path, value):
    said = says(LOSS, 0.4, 0.6, at=0)
    found = decided(tmp_path, own(value, value), kind="observation", predicts=[said])
    assert (found.verdict, found.by.verdict) == ("inconclusive", "confirmed" if value < 1 else "refuted")
    assert verdict(tmp_path, said, kind="observation") == "untested"


def test_the_evidence_has_figure_interval_and_runs(tmp_path):
    found = decided(tmp_path, own(1, 2, (3, 0.55)), predicts=[says(LOSS, 0.4, 0.6, at=0)]).by
    assert (found.figure, found.low, found.high) == pytest.approx((2, 2 - 2.484, 2 + 2.484), abs=1e-3)
    assert found.text == (
        "train/loss is 2 (-0.484 to 4.48) at step 15; said to be 0.4 to 0.6, which holds with 0 of 3 seeds; from then "
        "on it lies between 0.55 and 3 and comes there in 1 of 3 runs if an epoch has more steps."
    )
    assert str(found.runs) == "fixes: s001, seeds 0 1 2, step 15"


def test_where_it_holds_is_said(tmp_path):
    found = decided(tmp_path, own(9, 9), own(0.5, 0.5, rate="@1e-3"), predicts=[says(LOSS, 0.4, 0.6, at=0)])
    assert found.verdict == "inconclusive"
    assert found.by.text.startswith("It holds in s001@1e-3; does not hold in s001. train/loss is 9")


@pytest.mark.parametrize(
    ("before", "fields", "alone", "with_runs"),
    [
        ("impossible", {"predicts": [says(SNR, 30, 40)]}, "impossible", "impossible"),
        ("unreachable", {"predicts": [says(SCALE, 7.0, from_=1.0, at=1)]}, "unreachable", "unreachable"),
        ("inconsistent", {"states": {"what": "x", "values": [{"line": 1, "value": 1}, {"line": 2, "value": 2}]}},
         "refuted", "refuted"),
        ("impossible in part", {"predicts": [says(SNR, 20, 30)]}, "inconclusive", "refuted"),
        ("false", {"arithmetic": [{"expression": "1 + 1", "stated": 3}]}, "refuted", "refuted"),
        ("partly", {"arithmetic": [{"expression": "1 + 1", "stated": 3}, {"expression": "1 + 1", "stated": 2}]},
         "refuted", "refuted"),
        ("true", {"arithmetic": [{"expression": "1 + 1", "stated": 2}]}, "confirmed", "confirmed"),
        ("certain", {"predicts": [says(SCALE, 1.0, 1.0, from_=1.0, at=0)]}, "confirmed", "confirmed"),
        ("consistent", {"states": {"what": "x", "values": [{"line": 1, "value": 1}]}}, "inconclusive", "inconclusive"),
        ("open", {"predicts": [says(SNR, 2, 3)]}, "untested", "refuted"),
    ],
)  # fmt: skip
def test_what_verdicts_before_runs_come_to(tmp_path, before, fields, alone, with_runs):
    runs = own(0.5, 0.5, metric=SNR)
    found = [decided(tmp_path, *made, **fields) for made in ((), (runs,))]
    assert [each.judged.verdict for each in found] == [before, before]
    assert [each.verdict for each in found] == [alone, with_runs]
    assert {each.verdict for each in found} <= set(FINAL)


def test_exclusive_claims_are_decided_by_runs(tmp_path):
    laws = [{"name": "way", "direction": way} for way in ("up", "down")]
    claims = [claim(f"A{n}", preset="s001", law=law, predicts=[says(LOSS, n, n + 1)]) for n, law in enumerate(laws)]
    found = decide(ledger(tmp_path, *claims), [collected(PRESETS, own(0.5, 0.5))])
    assert [each.judged.verdict for each in found] == ["exclusive", "exclusive"]
    assert [each.verdict for each in found] == ["confirmed", "refuted"]
    assert [each.verdict for each in decide(ledger(tmp_path, *claims), [])] == ["untested", "untested"]


SIGN = {"metric": "loss/codebook", "range": [None, 0.0025], "of": "codebook/usage_min", "is": [0.5, None]}


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([(0.002, 0.8), (0.001, 0.9)], "confirmed"),
        ([(0.002, 0.1), (0.001, 0.2)], "refuted"),
        ([(0.002, 0.1), (0.001, 0.9)], "inconclusive"),
        ([(0.002, 0.1), (0.9, 0.1)], "untested"),  # one seed alone has so small a loss
        ([(0.9, 0.1), (0.9, 0.1)], "untested"),
    ],
)
def test_a_sign_that_misleads_is_none(tmp_path, rows, found):
    made = [
        run("s001", seed, {END: {"loss/codebook": loss, "codebook/usage_min": use}})
        for seed, (loss, use) in enumerate(rows)
    ]
    assert decided(tmp_path, made, kind="observation", sign=SIGN).verdict == found


def test_plain_is_json(tmp_path):
    plain = decided(tmp_path, own(9, 9), predicts=[says(LOSS, 0.4, 0.6, at=0)]).plain()
    assert (plain["id"], plain["verdict"], plain["before_runs"]) == ("A1", "refuted", "open")
    (part,) = plain["runs"]
    (found,) = part["findings"]
    assert found["figure"] == 9
    assert found["runs"] == {"study": "fixes", "arms": ("s001",), "seeds": (0, 1), "step": 15}
