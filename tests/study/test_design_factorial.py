"""Designs: balance, orthogonality, resolution, and effects that are known."""

from itertools import combinations

import numpy as np
import pytest
import yaml

from telucodec.errors import InputError
from telucodec.study.design.drafts import Draft, leave_one_out, one_at_a_time, pairwise, rows_of, text_of, told_aliases
from telucodec.study.design.effects import effects
from telucodec.study.design.factorial import Factorial, factorial
from telucodec.study.design.read import read_study

LETTERS = "abcdefghijklmno"
# from Montgomery, Design and Analysis of Experiments, table 8.14: the best resolution that there is
BEST = {
    (3, 2): 3, (4, 2): 4, (5, 2): 5, (5, 4): 3, (6, 2): 6, (6, 4): 4, (6, 8): 3, (7, 2): 7, (7, 4): 4, (7, 8): 4,
    (7, 16): 3, (8, 4): 5, (8, 8): 4, (8, 16): 4, (9, 16): 4, (9, 32): 3, (10, 32): 4, (11, 128): 3, (15, 2048): 3,
}  # fmt: skip
# words of the shortest length in the design of minimum aberration
FEWEST = {(5, 4): 2, (6, 4): 3, (7, 4): 1, (7, 8): 7, (9, 16): 6, (10, 32): 10, (11, 128): 12}


def signs(design):
    """Rows of +1 (on) and -1."""
    return np.array([[1 if switch in on else -1 for switch in design.switches] for on in design.rows])


@pytest.mark.parametrize(("size", "resolution"), BEST.items())
def test_a_fraction_is_balanced_and_orthogonal_and_confuses_as_little_as_it_can(size, resolution):
    count, fraction = size
    design = factorial(LETTERS[:count], fraction)
    table = signs(design)
    assert len(table) == 2**count // fraction
    assert len(set(map(tuple, table))) == len(table)
    assert (table.sum(0) == 0).all(), "each switch is on in half of the rows"
    assert (table.T @ table == len(table) * np.eye(count)).all(), "and tells nothing of another"
    assert design.resolution == resolution
    for length in range(1, resolution):  # no product of fewer switches than the resolution says is constant
        for together in combinations(range(count), length):
            assert abs(table[:, together].prod(1).sum()) < len(table)
    assert design.rows[0] == (), "the base is a row"
    if size in FEWEST:
        assert sum(len(word) == resolution for word in design.words) == FEWEST[size]


def test_a_full_design_has_all_combinations():
    design = factorial(["a", "b", "c"])
    assert len(design.rows) == 8
    assert design.words == ()
    assert told_aliases(design) == ["All 8 combinations of 3 switches: nothing is confused."]


def test_the_printed_relation_holds_in_every_row():
    design = factorial(LETTERS[:6], 4)
    assert isinstance(design, Factorial)
    for word in design.words:
        assert all(len(word & set(on)) % 2 == 0 for on in design.rows)
    told = told_aliases(design)
    assert told[0] == "16 of 64 combinations, resolution 4."
    assert not any(line.startswith(f"{letter} is confused") for letter in LETTERS[:6] for line in told), "resolution 4"


@pytest.mark.parametrize(
    ("count", "fraction", "resolution", "told"),
    [
        (4, 3, 3, "1/2, 1/4"),
        (4, 8, 3, "no such design of 4 switches has resolution 3"),
        (5, 4, 4, "no such design of 5 switches has resolution 4"),
        (1, 1, 3, "two or more"),
        (3, 8, 3, "more than 3"),
        (12, 1, 3, "4096 runs"),
    ],
)
def test_a_design_that_is_not_there_is_refused(count, fraction, resolution, told):
    with pytest.raises(InputError, match=told):
        factorial(LETTERS[:count], fraction, resolution)


def test_each_pair_is_covered_once():
    arms = pairwise(["a", "b", "c"], lambda a, b: (a, b) != ("b", "c"))
    assert list(arms) == ["a", "b", "c", "a+b", "a+c"]
    assert arms["a+c"]["overrides"] == ["ablation=[a,c]"]
    assert len(pairwise(LETTERS[:6], lambda a, b: True)) == 6 + 15
    assert list(one_at_a_time("ab")) == ["a", "b"]
    assert [arm["without"] for arm in leave_one_out("ab").values()] == [["a"], ["b"]]


def test_long_rows_are_numbered():
    names = [f"a_rather_long_switch_{letter}" for letter in "abc"]
    assert list(rows_of(factorial(names, 2))) == ["row_001", "row_002", "row_003"]


@pytest.fixture
def study(tmp_path):
    """A factorial study, written and read."""

    def made(switches, fraction):
        design = factorial(switches, fraction)
        draft = Draft("base", ("trainer=cpu",), tuple(switches), (0, 1, 2), 10, ("val/snr",), "higher")
        text = text_of("Which?", draft, rows_of(design), {"factors": list(switches)}, told_aliases(design))
        (tmp_path / "design").mkdir()
        (tmp_path / "design/study.yaml").write_text(text)
        return read_study(tmp_path / "design")

    return made


def response(on, seed, **weights):
    return seed + sum(weight for name, weight in weights.items() if set(name) <= set(on))


def test_effects_of_a_full_design_are_those_that_were_put_in(study):
    of = study("abc", 1)
    values = {
        arm: {seed: response(of.arms[arm].switches, seed, a=2.0, b=-1.0, ab=0.5) for seed in (0, 1, 2)}
        for arm in of.arms
    }
    found = {each.switches: each for each in effects(of, values)}
    # with a on, b off half of the time: 2 + half of what both add
    assert found["a",].mean == pytest.approx(2.25)
    assert found["b",].mean == pytest.approx(-0.75)
    assert found["c",].mean == pytest.approx(0.0)
    assert found["a", "b"].mean == pytest.approx(0.25)
    assert (found["a",].low, found["a",].high) == pytest.approx((2.25, 2.25)), "seeds shift all rows alike"
    assert found["a",].seeds == 3
    assert all(each.confused == () for each in found.values())


def test_a_fraction_shows_the_sum_that_its_aliases_say(study):
    of = study("abc", 2)  # a is confused with - b c
    values = {arm: {0: response(of.arms[arm].switches, 0, a=2.0, bc=1.0)} for arm in of.arms}
    found = {each.switches: each for each in effects(of, values)}
    assert list(found) == [("a",), ("b",), ("c",)]
    assert found["a",].confused == ("- b c",)
    assert found["a",].mean == pytest.approx(2.0 - 0.5)
    assert np.isnan(found["a",].low), "one seed has no interval"


def test_an_interval_is_students_over_seeds(study):
    of = study("ab", 1)
    values = {arm: {seed: response(of.arms[arm].switches, 0, a=1.0 + seed) for seed in (0, 1, 2)} for arm in of.arms}
    each = next(each for each in effects(of, values) if each.switches == ("a",))
    assert each.mean == pytest.approx(2.0)
    assert each.high - each.mean == pytest.approx(4.302653 * 1.0 / np.sqrt(3))


def test_a_seed_with_a_row_missing_is_left_out(study):
    of = study("ab", 1)
    values = {arm: {seed: response(of.arms[arm].switches, seed, a=1.0) for seed in (0, 1)} for arm in of.arms}
    del values["a+b"][1]
    assert {each.seeds for each in effects(of, values)} == {1}
    values["b"][0] = float("nan")
    assert {each.seeds for each in effects(of, values)} == {0}
    assert all(np.isnan(each.mean) for each in effects(of, values))


def test_a_written_design_says_what_it_confuses(study, tmp_path):
    study("abc", 2)
    text = (tmp_path / "design/study.yaml").read_text()
    assert "# a is confused with - b c\n" in text
    assert yaml.safe_load(text)["budgets"]["tiny"] == {"steps": 4, "seeds": [0, 1]}
