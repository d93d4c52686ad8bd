"""What is wrong with a ledger is said by claim and key."""

import pytest
import yaml
from ledgers import HEADER, claim, known, ledger, says, write

from telucodec.errors import InputError
from telucodec.study.claims.ledger import read_ledger
from telucodec.study.claims.values import Names, Range, When

SNR = [says("val/snr", 1, 2)]
WRONG = {
    "an unknown metric": (claim(predicts=[says("val/snrr", 1, 2)]), "claim A1, metric: nothing computes val/snrr. Did"),
    "its nearest": (claim(predicts=[says("val/snrr", 1, 2)]), "Did you mean 'val/snr'?"),
    "one of a sum": (claim(predicts=[says("loss/l1 + loss/l7", 1)]), "nothing computes loss/l7"),
    "a metric that is none": (claim(predicts=[says("loudness", 1)]), "nothing computes loudness. "),
    "a metric of an effect": (
        claim(effects=[{"switch": "tanh", "metric": "val/sn", "direction": "up"}]),
        "nothing computes val/sn",
    ),
    "a sign of nothing": (
        claim(sign={"metric": "loss/l7", "range": [0, 1], "of": "val/snr", "is": [0, 1]}),
        "nothing computes loss/l7",
    ),
    "a sign without an end": (claim(sign={"metric": "loss/l1", "range": [0, 1], "of": "val/snr"}), "the key 'is' is"),
    "a sum that is none": (claim(predicts=[says("abs(loss/l1)", 1)]), "claim A1, metric: 'abs(_0)'"),
    "an empty range": (claim(predicts=[says("val/snr", 5, 4)]), "claim A1.predicts, entry 1.range: [5, 4] is empty"),
    "a range of nan": (claim(predicts=[says("val/snr", float("nan"), 4)]), "[nan, 4] is empty"),
    "a range of nothing": (
        claim(predicts=[says("val/snr", None, None)]),
        "must be [low, high], with null for",
    ),
    "a range of words": (claim(predicts=[says("val/snr", "a", "b")]), "must be [low, high]"),
    "a point outside": (
        claim(predicts=[says("val/snr", 1, 2, point=3.0)]),
        "the point 3.0 lies outside the range 1",
    ),
    "no moment": (claim(predicts=[says("val/snr", 1) | {"at": "later"}]), "at: must be {epoch: n}, {step: n} or {any"),
    "a negative epoch": (claim(predicts=[says("val/snr", 1, at=-1)]), "got {'epoch': -1}"),
    "two ranges": (claim(predicts=[says("val/snr", 1), says("val/snr", 2)]), "val/snr has two ranges at epoch 5"),
    "a missing field": (claim(says=None, predicts=SNR), "claim A1: the key 'says' is missing"),
    "an unknown field": (claim(predicts=SNR, sais="x"), "claim A1: there is no key 'sais'. Did you mean 'says'?"),
    "an unknown field below": (claim(predicts=[says("val/snr", 1, points=1)]), "entry 1: there is no key 'points'"),
    "another kind": (claim(predicts=SNR, kind="guess"), "claim A1.kind: got 'guess', but it must be of type Literal["),
    "an unknown preset": (claim(predicts=SNR, preset="s005"), "claim A1, preset: there is no s005. Did you mean"),
    "a preset of one figure": (claim(predicts=[says("val/snr", 1, preset="s9")]), "preset: there is no s9"),
    "an unknown switch": (
        claim(effects=[{"switch": ["tanhh"], "metric": "val/snr", "direction": "up"}]),
        "claim A1, switch: there is no tanhh. Did you mean 'tanh'?",
    ),
    "an unknown other arm": (
        claim(effects=[{"switch": "tanh", "against": "tanhh", "metric": "val/snr", "direction": "up"}]),
        "there is no tanhh",
    ),
    "no switch": (claim(effects=[{"switch": [], "metric": "val/snr", "direction": "up"}]), "must be a name or a list"),
    "an effect without a direction": (
        claim(effects=[{"switch": "tanh", "metric": "val/snr"}]),
        "give either a direction or a factor",
    ),
    "an unknown companion": (claim(predicts=SNR, with_=["A2"]), "claim A1, with: there is no A2"),
    "itself as companion": (claim(predicts=SNR, with_=["A1"]), "claim A1, with: there is no A1"),
    "another document": (claim(predicts=SNR, source=[{"file": "two.md", "lines": [1]}]), "two.md is no document"),
    "no line": (claim(predicts=SNR, source=[{"file": "one.md", "lines": []}]), "source: '' is neither a line"),
    "lines backwards": (claim(predicts=SNR, source=[{"file": "one.md", "lines": ["9-3"]}]), "'9-3' is neither a line"),
    "no source": (claim(predicts=SNR, source=[]), "source: is empty"),
    "nothing to check": (claim(), "claim A1, says: nothing in it can be checked"),
    "an unchecked citation": (claim(predicts=SNR, kind="citation"), "checked: citations have it"),
    "a finding of its own": (
        claim(checked={"by": "x", "finding": "mostly", "why": "y"}),
        "checked.finding: got 'mostly'",
    ),
    "a start without a learning rate": (
        claim(preset="s002", predicts=[says("train/output_scale", 2, from_=1.0)]),
        "'from' needs a preset that the header has a learning rate for",
    ),
    "a start that is none": (
        claim(preset="s001", predicts=[says("train/output_scale", 2, from_=float("nan"))]),
        "'from' must be a number",
    ),
    "arithmetic with words": (
        claim(arithmetic=[{"expression": "__import__('os')", "stated": 1}]),
        "claim A1, arithmetic",
    ),
    "no arithmetic": (claim(arithmetic=[{"expression": "1 +", "stated": 1}]), "'1 +': is no arithmetic"),
    "a stated nothing": (claim(arithmetic=[{"expression": "1", "stated": float("inf")}]), "stated must be a number"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_a_claim_that_is_not_whole_is_refused_by_name(tmp_path, wrong, message):
    with pytest.raises(InputError) as error:
        ledger(tmp_path, wrong)
    assert message in str(error.value)
    assert "claim A1" in str(error.value)


def test_ids_are_given_once(tmp_path):
    with pytest.raises(InputError, match="claim A1: there are two of this id"):
        ledger(tmp_path, claim("A1", predicts=SNR), claim("A1", predicts=SNR))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_q": 0}, "header: n_q must be >= 1"),
        ({"betas": [0.9]}, "betas must be two numbers"),
        ({"betas": [0.9, 1.0]}, "betas must be two numbers"),
        ({"n_qs": 1}, "header: there is no key 'n_qs'"),
        ({"rate_bound": {"kbps": 8, "why": "x"}}, "header.rate_bound: the key 'snr' is missing"),
        ({"rate_bound": {"kbps": 8, "snr": float("nan"), "why": "x"}}, "snr must be > 0"),
        ({"target_rms": {"highest": -1, "why": "x"}}, "highest must be > 0"),
        ({"steps_per_epoch": {"stated": 3, "granted": 0, "why": "x"}}, "granted must be >= 1"),
        ({"documents": {"s001": {"file": "one.md", "lr": 0, "line": 4}}}, "header.documents.s001: lr must be > 0"),
    ],
)
def test_a_header_that_is_not_whole_is_refused(tmp_path, change, message):
    with pytest.raises(InputError) as error:
        ledger(tmp_path, claim(predicts=SNR), **change)
    assert message in str(error.value)


def test_what_cannot_be_read_is_said(tmp_path):
    path = tmp_path / "ledger.yaml"
    for text, message in [
        ("claims: [", "is no YAML"),
        ("- 1", "must have the keys header and claims"),
        (yaml.safe_dump({"header": HEADER, "claims": []}), "must have the keys header and claims"),
        (yaml.safe_dump({"header": HEADER, "claims": [3]}), "claim 1: must be a mapping"),
        (yaml.safe_dump({"header": HEADER, "claims": [1], "more": 1}), "and no others"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_ledger(path, known())
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_ledger(path, known())
    for lost in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(InputError, match="cannot be read"):
            read_ledger(lost, known())


def test_a_whole_claim_is_read_as_it_is_written(tmp_path):
    path = write(
        tmp_path,
        claim("A0", predicts=SNR),
        claim(
            source=[{"file": "one.md", "lines": [3, "7-9"]}],
            preset="s001",
            predicts=[says("codebook/3/usage", None, 0.5), says("train/output_scale", 2.0, from_=1.0, preset="s001")],
            effects=[{"switch": "tanh", "against": ["clamp"], "metric": "val/snr", "factor": [2, None]}],
            with_=["A0"],
        ),
    )
    read = read_ledger(path, known()).claims["A1"]
    assert read.source[0].lines == (3, "7-9")
    assert read.predicts[0].range == Range(-float("inf"), 0.5)
    assert read.predicts[0].at == When("epoch", 5)
    assert read.predicts[1].from_ == 1.0
    assert read.effects[0].switch == Names(["tanh"])
    assert read.effects[0].factor == Range(2, float("inf"))
    assert read.with_ == ("A0",)


def test_ranges_and_moments_read_well():
    inf = float("inf")
    told = [str(Range(*ends)) for ends in [(2.0, 2.0), (1, 2.5), (-inf, 3), (3, inf)]]
    assert told == ["2", "1 to 2.5", "at most 3", "at least 3"]
    assert [str(When("any", "the end")), str(When("epoch", 3))] == ["the end", "epoch 3"]
    assert [When("epoch", 3).steps(10), When("step", 3).steps(10), When("any", "x").steps(10)] == [30, 3, None]
