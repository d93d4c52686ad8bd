"""How often an interval that is called 95 % holds the truth, with as few seeds as studies have."""

import numpy as np
import pytest

from telucodec.study.results.intervals import bootstrap_interval, student_interval, wider

STUDIES = 1500


def coverage(seeds, of_seeds, of_utterances, interval):
    """Share of studies whose interval holds zero: spread over seeds, over 16 utterances that all hear, and noise."""
    rng = np.random.default_rng(seeds)
    held = 0
    for _ in range(STUDIES):
        table = rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, of_utterances, (1, 16))
        found = interval(table + rng.normal(0, 0.1, (seeds, 16)))
        held += found.low <= 0 <= found.high
    return held / STUDIES


def student(table):
    return student_interval(table.mean(1))


def both(table):
    return wider(student(table), bootstrap_interval(table))


@pytest.mark.slow
def test_the_bootstrap_of_three_seeds_is_too_narrow():
    """The range of three values holds their median in 1 - 2 / 2^3 of cases."""
    assert coverage(3, 1.0, 0.0, bootstrap_interval) == pytest.approx(0.75, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_students_interval_knows_seeds_only(seeds):
    assert coverage(seeds, 1.0, 0.0, student) == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_students_interval_forgets_the_choice_of_utterances():
    assert coverage(5, 0.1, 1.0, student) < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("of_utterances", [0.0, 1.0, 4.0])
def test_the_wider_of_both_covers_what_it_says(seeds, of_utterances):
    assert coverage(seeds, 0.5, of_utterances, both) >= 0.905
