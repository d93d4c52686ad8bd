"""The ledger of the five documents, and the verdicts that follow from its numbers."""

import math

import pytest

from conftest import ROOT
from telucodec.cli.compose import compose_config, conf_dir
from telucodec.study.claims.evidence import VERDICTS
from telucodec.study.claims.ledger import read_ledger
from telucodec.study.claims.verdicts import counts, judge
from telucodec.study.claims.vocabulary import vocabulary

PATH = ROOT / "experiments/seed_documents/claims.yaml"
ORDER = ["s003", "s001", "s002", "s000", "s004"]


@pytest.fixture(scope="module")
def ledger():
    return read_ledger(PATH, vocabulary(conf_dir()))


@pytest.fixture(scope="module")
def judged(ledger):
    return {each.claim.id: each for each in judge(ledger, ledger.header.steps_per_epoch.granted)}


def reasons(judged, name, verdict=None):
    """Numbers and texts of a claim's evidence for its verdict, or for another one."""
    found = [each for each in judged[name].evidence if each.verdict == (verdict or judged[name].verdict)]
    return [each.number for each in found], " ".join(each.text for each in found)


def test_every_claim_and_every_prediction_is_there_once(ledger):
    wanted = [f"C{n:02}" for n in range(1, 57)] + [f"P{n:03}" for n in range(1, 51)]
    assert list(ledger.claims) == wanted
    assert list(ledger.header.documents) == ORDER


def test_every_document_is_quoted_by_its_own_lines(ledger):
    lengths = {"003": 373, "001": 373, "002": 507, "000": 326, "004": 390}
    for claim in ledger.claims.values():
        for source in claim.source:
            assert all(int(str(lines).partition("-")[2] or lines) <= lengths[source.file[:3]] for lines in source.lines)
        quoted = {source.file[:3] for source in claim.source}
        assert claim.preset is None or claim.preset[1:4] in quoted, claim.id


def test_every_preset_and_switch_that_is_named_exists(ledger):
    presets = {p for c in ledger.claims.values() for p in (c.preset, *(x.preset for x in c.predicts))} - {None}
    overlays = {
        name
        for claim in ledger.claims.values()
        for effect in claim.effects
        for name in (*effect.switch, *(effect.against or ()))
    }
    assert presets == {*ORDER, *(f"{name}_before" for name in ORDER)}
    assert len(overlays) > 15
    assert [name for name in presets if not (conf_dir() / f"experiment/{name}.yaml").exists()] == []
    assert [name for name in overlays if not (conf_dir() / f"ablation/{name}.yaml").exists()] == []


@pytest.mark.parametrize("name", ORDER)
def test_the_presets_train_as_the_header_says(ledger, name):
    config = compose_config([f"experiment={name}"], None)
    assert config["optimizer"]["lr"] == ledger.header.documents[name].lr
    assert config["optimizer"]["betas"] == list(ledger.header.betas)
    assert config["quantizer"]["n_q"] == ledger.header.n_q
    steps = math.ceil(config["subset"]["train_utterances"] / config["loader"]["batch_size"])
    assert steps == ledger.header.steps_per_epoch.stated
    moves = [x for c in ledger.claims.values() if c.preset == name for x in c.predicts if x.from_ is not None]
    assert all(move.from_ == config["output"]["scale"]["initial"] for move in moves)
    assert len(moves) == {"s003": 0, "s001": 6, "s002": 2, "s000": 5, "s004": 0}[name]


def test_verdicts_are_of_the_list_and_rest_on_something(judged):
    for each in judged.values():
        assert each.verdict in VERDICTS
        assert each.verdict == "open" or (each.evidence[0].formula and each.evidence[0].text)
        citation = each.claim.kind == "citation"
        assert citation == any(evidence.identity == "source" for evidence in each.evidence)


def test_most_predictions_are_decided_without_a_run(judged):
    found = counts(each for name, each in judged.items() if name.startswith("P"))
    assert sum(found.values()) - found["open"] == 31
    assert found == {
        "impossible": 13, "unreachable": 5, "inconsistent": 5, "impossible in part": 2,
        "false": 2, "certain": 2, "consistent": 2, "open": 19,
    }  # fmt: skip
    undecided = [name for name, each in judged.items() if name.startswith("P") and each.verdict == "open"]
    assert undecided == [
        "P001", "P003", "P005", "P006", "P009", "P011", "P012", "P013", "P015", "P023", "P024", "P025", "P026",
        "P028", "P031", "P032", "P033", "P040", "P046",
    ]  # fmt: skip


def test_the_epoch_25_of_document_s000(judged):
    numbers, text = reasons(judged, "P034")
    assert judged["P034"].verdict == "impossible"
    assert numbers == pytest.approx([4.44, 7.96], abs=0.005)
    assert "an RMS ratio of 0.4 allows 4.44 dB at most, not 5" in text
    assert "an RMS ratio of 0.6 allows 7.96 dB at most, not 10" in text
    assert "(with P033)" in text
    assert "what remains is 5 to 7.96 dB" in reasons(judged, "P034", "open")[1]
    assert judged["P033"].verdict == "open"  # by itself


def test_snr_beyond_the_rms_ratio(judged):
    assert judged["P035"].verdict == "impossible"
    assert reasons(judged, "P035")[0] == pytest.approx([6.02, 10.46], abs=0.005)


@pytest.mark.parametrize(
    ("name", "verdict", "limit"),
    [
        ("P036", "unreachable", 13.98),  # its first end
        ("P037", "impossible", 26.02),  # its first end; by the rate, all of it
        ("P042", "impossible in part", 10.46),  # crosswise
        ("P043", "impossible in part", 18.42),  # crosswise
        ("P044", "impossible", 27.96),  # its first end; by the rate, all of it
    ],
)
def test_snr_beyond_the_rms_ratio_in_part(judged, name, verdict, limit):
    assert judged[name].verdict == verdict
    assert reasons(judged, name, "impossible in part")[0] == pytest.approx([limit], abs=0.005)


def test_the_rate_bound(judged, ledger):
    bound = ledger.header.rate_bound.snr
    by_rate = [n for n, each in judged.items() if each.verdict == "impossible" and each.evidence[0].identity == "rate"]
    assert by_rate == ["C55", "P007", "P008", "P020", "P022", "P029", "P037", "P044", "P045"]
    assert all(reasons(judged, name)[0] == [bound] for name in by_rate)
    assert "a reference for Gaussian sources" in reasons(judged, "P037")[1]
    assert "8 kbit/s is 001's figure" in reasons(judged, "P037")[1]


def test_observations_and_what_they_imply(judged):
    assert [judged[name].verdict for name in ("P030", "P047")] == ["consistent", "consistent"]
    assert reasons(judged, "P047")[0] == pytest.approx([0.344], abs=5e-4)
    assert "the SNR would be 0.55 dB" in reasons(judged, "P047")[1]
    assert reasons(judged, "P030")[0] == pytest.approx([-0.41, -0.69], abs=0.005)
    assert judged["C07"].verdict == "impossible"  # epoch 20: no shape at all
    assert reasons(judged, "C07")[0] == pytest.approx([-0.001], abs=5e-4)


def test_the_epoch_0_of_document_s000(judged):
    assert [judged[name].verdict for name in ("P041", "C31", "C32")] == ["impossible", "inconsistent", "inconsistent"]
    assert reasons(judged, "P041")[0] == [0.557]  # the mean alone is a larger RMS than 0.548
    numbers, text = reasons(judged, "P041", "consistent")
    assert numbers == pytest.approx([-4.64, -0.0012], abs=0.005)
    assert "a target of RMS 0.224 to 0.279" in text  # about the mean, an offset can explain it


@pytest.mark.parametrize(
    ("name", "wanted", "most"),
    [
        ("P018", 0.7, 0.145),
        ("P019", 1.6, 0.582),
        ("P021", 1.5, 0.582),
        ("P027", 0.5, 0.291),
        ("P036", 1.5, 1.454),
        ("C17", 1.5, 0.582),
    ],
)
def test_moves_beyond_the_optimizer(judged, name, wanted, most):
    assert judged[name].verdict == "unreachable"
    numbers, text = reasons(judged, name)
    assert numbers == pytest.approx([most], abs=5e-4)
    assert f"{wanted} away" in text
    assert "with 3: " in text


def test_as_many_steps_as_the_documents_figures_come_to_move_nothing(ledger):
    found = {each.claim.id: each for each in judge(ledger, ledger.header.steps_per_epoch.stated)}
    moved = {n: each for n, each in found.items() if any(p.from_ is not None for p in each.claim.predicts)}
    assert [n for n, each in moved.items() if "unreachable" not in {e.verdict for e in each.evidence}] == ["P014"]
    assert [found[name].verdict for name in ("P032", "P036")] == ["unreachable", "unreachable"]


def test_the_scale_of_epoch_25_is_within_the_bound_and_beyond_a_steady_gradient(judged):
    numbers, text = reasons(judged, "P032")
    assert judged["P032"].verdict == "open"
    assert numbers == pytest.approx([0.727], abs=5e-4)
    assert "0.5 away. In 10000 steps Adam moves a number by 0.1 under a steady gradient" in text


@pytest.mark.parametrize(
    ("name", "steps", "then"),
    [
        ("P036", 413, "impossible in part"),
        ("P027", 688, "exclusive"),
        ("P021", 1032, "exclusive"),
        ("C17", 1032, "open"),
    ],
)
def test_more_steps_than_are_granted_bring_them_within_the_bound(ledger, name, steps, then):
    found = [{e.claim.id: e.verdict for e in judge(ledger, n)}[name] for n in (steps - 1, steps)]
    assert found == ["unreachable", then]


@pytest.mark.parametrize(
    ("name", "other", "sigma"),
    [
        ("P002", "P004", 0.745),
        ("P004", "P002", 0.745),
        ("P016", "P017", 0.690),
        ("P017", "P016", 0.690),
    ],
)
def test_losses_and_snrs_that_contradict_each_other(judged, name, other, sigma):
    assert judged[name].verdict == "inconsistent"
    numbers, text = reasons(judged, name)
    assert numbers == pytest.approx([sigma], abs=5e-4)
    assert f"(with {other})" in text
    assert name not in ("P002", "P004") or "1.10 at 0.089 and 22.5 dB" in text


def test_what_the_loudest_recording_allows_is_open(judged, ledger):
    assert ledger.header.target_rms.highest == 0.45
    for name, other in (("P025", "P026"), ("P026", "P025")):
        assert judged[name].verdict == "open"
        assert (
            f"(with {other}): loss/l1 + loss/mse 0.4 to 0.6 with 3 to 10 dB is a target of RMS 0.43 or more"
            in (reasons(judged, name)[1])
        )


def test_the_scale_cannot_do_it(judged):
    assert reasons(judged, "P039") == (
        [pytest.approx(0.477)],
        "0.159 times 3 is 0.477, and is said to be 0.95 to 1.05 (with P041).",
    )
    assert judged["P048"].verdict == "certain"
    assert judged["P014"].verdict == "certain"


def test_claims_that_cannot_both_be_right(judged):
    found = {name: text for name in judged if (text := reasons(judged, name, "exclusive")[1])}
    assert found == {
        "C12": "training with ceilings on the losses: with here, without in C26.",
        "C26": "training with ceilings on the losses: without here, with in C12.",
        "C28": "amplitude under more weight on L1 + MSE: up here, down in C33.",
        "P021": "where the output scale goes: up here, down in P027.",
        "P027": "where the output scale goes: down here, up in P021.",
    }
    assert [judged[name].verdict for name in ("C12", "C26")] == ["exclusive", "exclusive"]
    assert [judged[name].verdict for name in ("C28", "C33")] == ["impossible", "open"]


@pytest.mark.parametrize(
    ("name", "identity", "number"),
    [("P049", "I6", 1), ("P038", "I6", 1), ("C35", "I6", 1), ("C22", "I8", 1), ("C28", "I9", 0), ("C45", "I9", 0)],
)
def test_gradients_that_there_are_not(judged, name, identity, number):
    assert judged[name].verdict == "impossible"
    first = judged[name].evidence[0]
    assert (first.identity, first.number) == (identity, number)


def test_the_quantizer_s_gradient_at_the_encoder_is_not_ruled_out(judged):
    assert judged["C46"].verdict == "open"
    assert [p.metric for p in judged["C46"].claim.predicts] == [
        "gradient_share/encoded/commitment + gradient_share/encoded/codebook"
    ]


@pytest.mark.parametrize(
    ("name", "verdict", "values"),
    [
        ("C02", "true", [45]),
        ("C06", "false", [30.37, 31.86]),
        ("C36", "false", [0.441, 15]),
        ("C52", "true", [0.1585]),
        ("P050", "false", [0.25]),
        ("C18", "false", [0.25]),
    ],
)
def test_arithmetic_done_again(judged, name, verdict, values):
    assert judged[name].verdict == verdict
    assert reasons(judged, name)[0] == pytest.approx(values, abs=0.005)


def test_statements_about_others(judged):
    found = {name: each.verdict for name, each in judged.items() if each.claim.kind == "citation"}
    assert found == {
        "C03": "false", "C04": "partly", "C05": "false", "C15": "false", "C16": "false", "C20": "false",
        "C38": "false", "C41": "true", "C42": "partly", "C43": "partly", "C44": "true", "C47": "false",
        "C54": "partly", "P010": "false",
    }  # fmt: skip


def test_json_is_plain(judged):
    plain = judged["P034"].plain()
    assert list(plain) == ["id", "verdict", "kind", "says", "preset", "source", "evidence"]
    assert plain["source"] == [{"file": "000_2b9801bf946b7106.md", "lines": ["116", "215"]}]
    assert set(plain["evidence"][0]) == {"verdict", "identity", "formula", "number", "text"}
