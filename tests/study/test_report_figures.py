"""Still pictures of a study: there, small, and without those that have nothing to show."""

from dataclasses import replace

import pytest
from PIL import Image
from synthetic import collected

from telucodec.errors import InputError
from telucodec.study.report.figures import figures
from telucodec.study.report.front import front, front_figure
from telucodec.study.report.measures import measure
from telucodec.study.results.intervals import Interval


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


def test_the_front_is_what_nothing_beats_in_both():
    points = {"loud": (3.0, 1.4), "even": (2.0, 1.2), "lost": (1.9, 1.3), "same": (2.0, 1.2), "clean": (0.5, 1.1)}
    assert front(points, (1, -1)) == ["loud", "even", "same", "clean"]
    assert front(points, (1, 1)) == ["loud"]


def test_the_front_is_drawn_through_its_arms_alone():
    points = {"a": (3.0, 1.4), "b": (1.9, 1.5), "c": (0.5, 1.1)}
    placed = {name: tuple(Interval(x, x - 0.1, x + 0.1, 3) for x in pair) for name, pair in points.items()}
    figure = front_figure(placed, [measure("val/snr"), measure("val/mel_distance")])
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == [0.5, 3.0]
    assert list(line.get_ydata()) == [1.1, 1.4]
    with pytest.raises(InputError, match="val/rms_ratio neither more nor less is better"):
        front_figure(placed, [measure("val/rms_ratio"), measure("val/snr")])
