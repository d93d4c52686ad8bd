import csv
import math

import pytest

from known_runs import EVALUATOR, run_folder
from telucodec.cli.main import main


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three seeds of two configurations, the second 2 dB better, as folders relative to here."""
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        run_folder(tmp_path / f"a{seed}", seed, (f"seed={seed}",))
        run_folder(tmp_path / f"b{seed}", seed, ("max_norm=3", f"seed={seed}"), shift=2 + 0.1 * seed)
    return [f"{arm}{seed}" for arm in "ab" for seed in range(3)]


def told(capsys, *words):
    code = main(["compare", *words])
    output = capsys.readouterr()
    return code, output.out, output.err


def table(path):
    return {(row["metric"], row["arm"]): row for row in csv.DictReader(path.read_text().splitlines())}


def test_seeds_are_pooled_and_arms_are_called_by_what_they_switch(runs, capsys, tmp_path):
    code, out, _ = told(capsys, *runs, "--csv", "table.csv")
    assert code == 0
    assert "+2.100" in out
    assert "3 of 3" in out
    rows = table(tmp_path / "table.csv")
    assert {arm for _, arm in rows} == {"base", "max_norm=3"}
    row = rows["val/snr", "max_norm=3"]
    assert (row["reference"], row["seeds"], row["paired_seeds"], row["utterances"]) == ("base", "3", "3", "3")
    assert float(row["difference"]) == pytest.approx(2.1)
    assert float(row["difference_low"]) < 2.0 < 2.2 < float(row["difference_high"])
    assert rows["val/snr", "base"]["difference"] == ""


def test_one_seed_is_told_as_one(runs, capsys, tmp_path):
    code, out, _ = told(capsys, "a0", "b0", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert "one seed" in out
    assert "max_norm=3 and base have one seed in common: a difference takes at least two." in out
    row = table(tmp_path / "table.csv")["val/snr", "max_norm=3"]
    assert math.isnan(float(row["difference_low"]))
    assert math.isnan(float(row["p"]))


def test_a_whole_sweep_is_its_jobs(runs, capsys, tmp_path):
    for seed in range(2):
        (run_folder(tmp_path / "sweep/jobs" / f"j{seed}", seed) / "job.json").write_text("{}")
    (tmp_path / "sweep/jobs/j9").mkdir()
    (tmp_path / "sweep/jobs/j9/job.json").write_text("{}")
    code, out, _ = told(capsys, "sweep")
    assert code == 0
    assert "j9 has not begun." in out


def test_a_run_that_diverged_stays_and_is_marked(runs, capsys, tmp_path):
    run_folder(tmp_path / "c0", 0, ("max_norm=9", "seed=0"), status="diverged", steps=150)
    code, out, _ = told(capsys, *runs, "c0", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert "(+1 ended early)" in out
    assert "c0 (max_norm=9, seed 0): diverged at step 150." in out
    rows = table(tmp_path / "table.csv")
    assert rows["val/snr", "max_norm=9"]["ended_early"] == "1"
    assert rows["val/snr", "max_norm=3"]["p"] == rows["val/snr", "max_norm=3"]["p_holm"], "nothing else was tested"


def test_unlike_evaluators_are_refused_by_the_field(runs, capsys, tmp_path):
    run_folder(tmp_path / "c0", 0, ("max_norm=9",), evaluator=EVALUATOR | {"torch": "2.12.0"})
    code, _, err = told(capsys, "a0", "c0")
    assert code == 2
    assert "torch is 2.11.0 in a0 and 2.12.0 in c0." in err
    code, out, _ = told(capsys, "a0", "c0", "--allow-unlike-evaluators")
    assert code == 0
    assert "note: torch is 2.11.0 in a0 and 2.12.0 in c0." in out


def test_an_unfinished_run_is_held_against_what_its_configuration_measures(runs, capsys, tmp_path):
    other = {"evaluator": {"silence_dbfs": -40.0}}
    run_folder(tmp_path / "c0", 0, ("max_norm=9",), status="interrupted", config=other)
    code, _, err = told(capsys, "a0", "c0")
    assert code == 2
    assert "evaluator.silence_dbfs is -60.0 in a0 and -40.0 in c0." in err


def test_other_utterances_are_refused(runs, capsys, tmp_path):
    run_folder(tmp_path / "c0", 0, ("max_norm=9",), files=["valid/te-00.flac", "valid/new.flac"])
    code, _, err = told(capsys, "a0", "c0")
    assert code == 2
    assert "c0 heard other utterances than a0: 1 that it lacks, and not 2 that it has." in err


def test_unequal_steps_are_refused_with_the_last_common_one(runs, capsys, tmp_path):
    run_folder(tmp_path / "c0", 0, ("max_norm=9",), steps=300)
    code, _, err = told(capsys, "a0", "c0")
    assert code == 2
    assert "a0 was last validated at step 200, c0 at 300." in err
    assert "--step 200 compares them where all were validated" in err
    code, _, _ = told(capsys, "a0", "c0", "--step", "200", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert float(table(tmp_path / "table.csv")["val/snr", "max_norm=9"]["difference"]) == 0
    code, out, _ = told(capsys, "a0", "c0", "--allow-unequal-steps", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert "note: a0 was last validated at step 200" in out
    assert float(table(tmp_path / "table.csv")["val/snr", "max_norm=9"]["difference"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a0", "nothing"], "nothing: is no folder of a run, a job or a sweep."),
        (["a0", "b0", "--step", "150"], "--step 150: not all runs were validated then. All were at [0, 100, 200]."),
        (["a0", "b0", "--metric", "val/snrr"], "--metric val/snrr: no run logged it. Did you mean 'val/snr'?"),
    ],
)
def test_bad_input_is_named(runs, capsys, words, why):
    code, _, err = told(capsys, *words)
    assert code == 2
    assert why in err


def test_results_of_other_code_are_another_arm(runs, capsys, tmp_path):
    run_folder(tmp_path / "old0", 0, ("seed=0",), code="old", shift=1.0)
    code, _, _ = told(capsys, "a0", "old0", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert {arm for _, arm in table(tmp_path / "table.csv")} == {"code=c0de", "code=old"}


def test_the_same_run_twice_counts_once(runs, capsys, tmp_path):
    run_folder(tmp_path / "again", 0, ("seed=0",), status="interrupted")
    code, out, _ = told(capsys, "a0", "a1", "a0", "again", "--metric", "val/snr", "--csv", "table.csv")
    assert code == 0
    assert "again is seed 0 of base again: a0 counts." in out
    assert table(tmp_path / "table.csv")["val/snr", "base"]["seeds"] == "2"


def test_arms_that_were_typed_alike_are_called_by_their_values(runs, capsys, tmp_path):
    run_folder(tmp_path / "c0", 0, ("seed=0",), config={"sample_rate": 8000})
    code, _, _ = told(capsys, "a0", "c0", "--csv", "table.csv", "--metric", "val/snr")
    assert code == 0
    assert {arm for _, arm in table(tmp_path / "table.csv")} == {"sample_rate=-", "sample_rate=8000"}
