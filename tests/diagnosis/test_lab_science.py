"""docs/science.md: its pictures are there and small, and its figures are those that the laboratory finds."""

import re

import pytest

from conftest import ROOT
from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.catalogue import EXPERIMENTS

PAGE = (ROOT / "docs/science.md").read_text()


def test_each_experiment_has_its_picture_and_its_heading():
    linked = re.findall(r"!\[.+\]\(science/(\w+)\.png\)", PAGE)
    assert linked == list(EXPERIMENTS)
    assert sorted(path.stem for path in (ROOT / "docs/science").glob("*.png")) == sorted(linked)
    assert re.findall(r"^## (I\d+)\. ", PAGE, re.MULTILINE) == [f"I{n}" for n in range(1, 11)]
    for key in linked:
        assert (ROOT / f"docs/science/{key}.png").stat().st_size < 60_000


def test_the_headings_are_the_titles_of_the_pictures():
    for key in ("i1", "i2", "i4", "i7", "i9"):  # the quick ones
        title = EXPERIMENTS[key][0](0).title
        assert f"## {key.upper()}. {title}\n" in PAGE


def test_the_table_of_snr_is_the_arithmetic():
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [5, 10, 20, 30, 40]
    for snr, rho, low, high in rows:
        places = len(rho) - 2
        assert float(rho) == round(identities.rho_needed(float(snr)), places)
        assert [float(low), float(high)] == pytest.approx(
            identities.rms_ratio_range(float(snr)), abs=0.5 * 10 ** -(len(low) - 2)
        )


def test_the_table_of_mixtures_is_the_equilibrium():
    weights = (0, 1, 15, 192)
    cell = r"\**([\d.]+), (-?[\d.]+) dB\**"
    rows = re.findall(rf"^\| ([\d.]+) \| {cell} \| {cell} \| {cell} \| {cell} \|$", PAGE, re.MULTILINE)
    assert [float(row[0]) for row in rows] == [0, 0.1, 0.3, 0.5, 0.8]
    for rho, *cells in rows:
        for weight, ratio, snr in zip(weights, cells[::2], cells[1::2], strict=True):
            at_rest = identities.equilibrium(float(rho), weight, 0.16, 1, 1)
            assert float(ratio) == pytest.approx(at_rest, abs=0.0051)
            assert float(snr) == pytest.approx(identities.snr(float(rho), at_rest), abs=0.0551)


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("rho = -0.001", identities.rho_implied(-0.11, 0.159)),
        ("rho = 0.344", identities.rho_implied(0.53, 0.285)),
        ("rho = -4.6", identities.rho_implied(-8.05, 0.548)),
        ("-0.42 dB", identities.snr(identities.rho_implied(-0.11, 0.159), 0.318)),
        ("+1.5 dB", identities.snr(1, 0.159)),
        ("at least 1.10", identities.sigma_implied(identities.mse_least(0.089), 22.5)),
        ("L1 alone, 1.19", identities.sigma_implied(0.089**2, 22.5)),
        ("alone, 3.98", identities.sigma_implied(0.089, 22.5)),
        ("is 23.0 dB", identities.high_resolution_snr(8, 16000, 20)),
    ],
)
def test_the_worked_examples_are_the_arithmetic(told, value):
    assert told in " ".join(PAGE.split())
    digits = re.search(r"-?[\d.]+", told.replace("L1", "").replace("+", ""))[0]
    assert float(digits) == round(value, len(digits.partition(".")[2]))
