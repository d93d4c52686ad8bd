"""Still pictures of a study: there, small, and without those that have nothing to show."""

from dataclasses import replace

import pytest
from PIL import Image
from synthetic import collected

from telucodec.study.report.figures import figures


@pytest.mark.slow
@pytest.mark.parametrize("arms", [4, 30])
def test_all_three_are_drawn_below_200_kb(arms, tmp_path):
    paths = figures(collected(tmp_path, arms), tmp_path / "figures")
    assert [path.name for path in paths] == ["forest.png", "plane.png", "curves.png"]
    for path in paths:
        assert path.stat().st_size < 200_000
        with Image.open(path) as picture:
            assert picture.width > 500
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 5


def test_what_has_no_figures_is_left_out(tmp_path):
    found = collected(tmp_path, 1)
    assert figures(replace(found, runs=[replace(run, rows={}, heard=()) for run in found.runs]), tmp_path) == []
