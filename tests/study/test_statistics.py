import math

import numpy as np
import pytest

from telucodec.metrics.evaluation import Row
from telucodec.study.results.groups import by_group, table_row, worst
from telucodec.study.results.intervals import clustered_interval, mean_interval


def test_the_interval_of_a_normal_sample_is_close_to_the_textbook_one():
    values = np.random.default_rng(0).normal(10, 2, 400)
    found = mean_interval(list(values))
    half = 1.96 * values.std(ddof=1) / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_nan_is_left_out_and_counted_by_absence():
    found = mean_interval([1.0, 2.0, 3.0, math.nan])
    assert (found.mean, found.counted) == (2.0, 3)
    assert math.isnan(mean_interval([1.0, 2.0]).low), "two values have no interval"


def test_an_interval_over_speakers_is_wider_when_utterances_of_one_are_alike():
    rng = np.random.default_rng(1)
    speakers = [f"s{k}" for k in range(10) for _ in range(40)]
    offset = {name: rng.normal(0, 2) for name in set(speakers)}
    values = [offset[name] + rng.normal(0, 0.1) for name in speakers]
    narrow, wide = mean_interval(values), clustered_interval(values, speakers)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert wide.low < wide.mean < wide.high


def test_clusters_of_one_give_the_plain_interval():
    values = list(np.random.default_rng(2).normal(0, 1, 200))
    plain, clustered = mean_interval(values), clustered_interval(values, [str(k) for k in range(200)])
    assert (clustered.low, clustered.high) == pytest.approx((plain.low, plain.high), abs=0.03)


def row(name, speaker, snr, silent=False):
    return Row(name, speaker, "te", 1.0, silent, {"snr": snr})


def test_groups_sum_up_by_language_and_speaker():
    rows = [row("a", "x", 1.0), row("b", "x", 3.0), row("c", None, 8.0), row("d", "x", 99.0, silent=True)]
    groups = by_group(rows, ["snr", "absent"])
    assert list(groups) == ["all", "language te", "speaker unknown", "speaker x"]
    assert groups["all"]["snr"]["mean"] == 4.0
    assert groups["speaker x"]["utterances"] == 2
    assert groups["all"]["interval_over"] == "utterances"
    many = by_group([row(str(k), str(k % 4), float(k)) for k in range(12)], ["snr"])
    assert many["all"]["interval_over"] == "speakers"


def test_the_worst_come_first_and_rows_are_flat():
    rows = [row("a", "x", 1.0), row("b", "x", -3.0), row("c", "x", 8.0)]
    assert [r.name for r in worst(rows, "snr", 2)] == ["b", "a"]
    assert table_row(rows[0]) == {
        "file": "a",
        "speaker": "x",
        "language": "te",
        "seconds": 1.0,
        "silent": False,
        "snr": 1.0,
    }
