import numpy as np
import pytest

from telucodec.audio.picture import pixels
from telucodec.diagnosis.identities import rho_implied, snr
from telucodec.diagnosis.pair import Pair, read_pair
from telucodec.diagnosis.plane import DOCUMENTS, LINES, Point, plane


def test_the_picture_shows_path_documents_and_lines():
    figure = plane({"mine": [Point(0, 1.4, 0.0), Point(10, 0.9, 0.88)]}, "title")
    (axes,) = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "mine" in labels
    path = next(line for line in axes.lines if line.get_label() == "mine")
    assert np.asarray(path.get_xydata()).tolist() == [[1.4, 0.0], [0.9, 0.88]]
    told = [text.get_text() for text in axes.texts]
    assert {"step 0", "step 10", *(f"{line} dB" for line in LINES)} <= set(told)
    assert pixels(figure)[..., :3].std() > 10


def test_a_line_of_the_picture_is_an_snr():
    figure = plane({}, "title")
    grey = [line for line in figure.axes[0].lines if line.get_color() == "#bbbbbb"]
    for line, level in zip(grey, LINES, strict=True):
        points = np.asarray(line.get_xydata())
        points = points[np.isfinite(points[:, 0])]
        assert [snr(rho, r) for r, rho in points] == pytest.approx([level] * len(points))


def test_reported_points_lie_among_signals_and_predicted_ones_do_not():
    for point in DOCUMENTS:
        assert (abs(rho_implied(point.snr, point.rms_ratio)) <= 1) == point.measured


def test_two_figures_say_what_follows_from_them():
    quiet = read_pair(0.53, 0.285).plain()
    assert quiet["rho"] == pytest.approx(0.344, abs=5e-4)
    assert quiet["snr_ceiling"] == pytest.approx(0.55, abs=5e-3)
    assert quiet["snr_at_rms_1"] == pytest.approx(-1.18, abs=5e-3)
    assert quiet["shape_share"] + quiet["gain_share"] == pytest.approx(1)
    assert quiet["label"] == "shape-not-learned"


def test_half_as_loud_and_otherwise_perfect_is_gain_shrinkage():
    found = Pair(20 * np.log10(2), 0.5).plain()
    assert found["possible"]
    assert found["rho"] == 1
    assert found["gain_share"] == pytest.approx(1)
    assert found["best_gain"] == pytest.approx(2)
    assert found["label"] == "gain-shrinkage"


def test_impossible_figures_are_said_to_be_so():
    found = read_pair(-8.05, 0.548).plain()
    assert found["possible"] is False
    assert found["label"] is None
    assert "No pair of signals" in found["text"]
    assert "offset of 2.00 to 2.49 times" in found["text"]
    assert "offset of" not in read_pair(20.0, 0.5).plain()["text"], "too good, not too bad"
    assert found["snr_limit"] == pytest.approx(6.90, abs=5e-3)


@pytest.mark.parametrize(("pair", "word"), [((np.nan, 1.0), "finite"), ((1.0, 0.0), "> 0"), ((1.0, -1.0), "> 0")])
def test_bad_figures_are_refused(pair, word):
    with pytest.raises(ValueError, match=word):
        read_pair(*pair)
