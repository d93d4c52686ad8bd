"""What the ledger of the five documents asks of runs, and what the studies measure."""

from pathlib import Path

import pytest

from conftest import ROOT
from telucodec.cli.compose import conf_dir
from telucodec.study.claims.arithmetic import keys
from telucodec.study.claims.ledger import read_ledger
from telucodec.study.claims.measured import SETTLED, counts, decide
from telucodec.study.claims.pairs import pairs
from telucodec.study.claims.vocabulary import vocabulary
from telucodec.study.design.read import read_study

OF_THE_RUN = {"run/seconds", "run/finished"}  # of its record, whatever a study measures


@pytest.fixture(scope="module")
def ledger():
    return read_ledger(ROOT / "experiments/seed_documents/claims.yaml", vocabulary(conf_dir()))


@pytest.fixture(scope="module")
def studies():
    return [read_study(Path(path).parent) for path in sorted((ROOT / "experiments").glob("*/study.yaml"))]


@pytest.fixture(scope="module")
def alone(ledger):
    """Decided without any run."""
    return {each.claim.id: each for each in decide(ledger, [])}


def test_without_results_what_runs_decide_is_untested(alone):
    assert counts(each for name, each in alone.items() if name[0] == "P") == {
        "impossible": 13, "unreachable": 5, "refuted": 7, "confirmed": 2, "inconclusive": 2, "untested": 21,
    }  # fmt: skip
    assert counts(each for name, each in alone.items() if name[0] == "C") == {
        "impossible": 8, "unreachable": 1, "refuted": 23, "confirmed": 5, "inconclusive": 1, "untested": 18,
    }  # fmt: skip


def test_every_prediction_that_is_open_has_its_preset_and_its_figures_in_a_study(alone, studies):
    for name, each in alone.items():
        for prediction in each.claim.predicts if each.judged.verdict not in SETTLED else ():
            preset = prediction.preset or each.claim.preset
            wanted = set(keys(prediction.metric)) - OF_THE_RUN
            assert any(preset in study.arms and wanted <= set(study.metrics) for study in studies), name


def test_every_effect_that_is_open_has_its_pair_of_arms_in_a_study(alone, studies):
    missing = {
        name
        for name, each in alone.items()
        for effect in (each.claim.effects if each.judged.verdict not in SETTLED else ())
        if not any(
            [*pairs(study, effect)] and set(keys(effect.metric)) - OF_THE_RUN <= set(study.metrics) for study in studies
        )
    }
    assert missing <= {"C27", "C51"}  # float16 and a tenth of the waveform loss beside discriminators: nobody ran them


def test_a_sign_speaks_of_figures_that_exist(ledger):
    sign = ledger.claims["C30"].sign
    assert (sign.of, sign.is_.low, sign.range.high) == ("codebook/usage_min", 0.5, 0.0025)
