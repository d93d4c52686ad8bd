import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import TOY
from telucodec.cli.main import main
from telucodec.cli.search import Maker, _shown
from telucodec.cli.space import parse_space
from telucodec.errors import InputError
from telucodec.study.search.space import Choice, Interval


def test_hydras_words_become_parameters():
    fixed, space = parse_space(
        [
            "max_steps=10",
            "loss.mel.weight=interval(0.1,45)",
            "optimizer.lr=tag(log, interval(1e-5,1e-2))",
            "loader.batch_size=int(interval(4,64))",
            "quantizer.n_q=choice(4,8)",
            "encoder=dac,seanet",
            "'output=[scale],[scale,tanh]'".strip("'"),
            "encoder.dim=range(8,33,8)",
            "loader.segment_seconds=range(0.1,0.5,0.1)",
            "+ceilings.l1=float(interval(1,5))",
            "activation=glob(snake*)",
        ],
        None,
    )
    assert fixed == ["max_steps=10"]
    assert space == [
        Interval("loss.mel.weight", 0.1, 45.0),
        Interval("optimizer.lr", 1e-5, 1e-2, log=True),
        Interval("loader.batch_size", 4, 64, whole=True),
        Choice("quantizer.n_q", ("4", "8")),
        Choice("encoder", ("dac", "seanet")),
        Choice("output", ("[scale]", "[scale,tanh]")),
        Interval("encoder.dim", 8, 32, whole=True, step=8),
        Interval("loader.segment_seconds", 0.1, 0.4, step=0.1),
        Interval("+ceilings.l1", 1.0, 5.0),
        Choice("activation", ("snake", "snake_beta")),
    ]
    told = [one.told() for one in space[:8]]
    assert told[0] == "numbers from 0.1 to 45"
    assert told[1] == "numbers from 1e-05 to 0.01, equal ratios"
    assert told[2:4] == ["whole numbers from 4 to 64", "4, 8"]
    assert told[6] == "whole numbers from 8 to 32, in steps of 8"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_steps=10", "sweeper=optuna: no override has anything to search"),
        ("seed=0,1", "seed: a search averages over seeds. Write sweeper.seeds=3"),
        ("optimizer.lr=interval(1,1)", "optimizer.lr: the interval from 1 to 1 is empty"),
        ("optimizer.lr=interval(2,1)", "optimizer.lr"),
        ("optimizer.lr=range(5,5)", "the range is empty"),
        ("optimizer.lr=tag(lg, interval(1,2))", "there is no tag 'lg'. The only one is log"),
        ("optimizer.lr=tag(log, choice(1,2))", "choices have no order to be logarithmic in"),
        ("activation=glob(x*)", "activation=glob(x*): matches no file of conf/activation"),
        ("optimizer.lr=interval(1", "optimizer.lr=interval(1: cannot be parsed"),
    ],
)
def test_what_cannot_be_searched_is_named(override, message):
    with pytest.raises(InputError) as refused:
        parse_space([override], None)
    assert message in str(refused.value)


def test_a_key_is_searched_once():
    with pytest.raises(InputError, match=r"optimizer.lr: is searched twice"):
        parse_space(["optimizer.lr=1,2", "optimizer.lr=interval(1,2)"], None)


def test_a_trials_job_is_the_configuration_that_its_command_makes(tmp_path):
    fixed, space = parse_space(["seed=5", "max_steps=7", "loss.mel.weight=interval(1,2)"], None)
    maker = Maker(fixed, space, None, tmp_path, seeds=2)
    job = maker(3, ["loss.mel.weight=1.5"], 1)
    assert (job.config["seed"], job.config["max_steps"], job.config["loss"]["mel"]["weight"]) == (6, 7, 1.5)
    assert job.label == "trial-0003/seed-6"
    assert job.shown == ("loss.mel.weight", "seed")
    words = maker.words(["loss.mel.weight=1.5"])
    assert words == ["telucodec", "train", "-m", "max_steps=7", "loss.mel.weight=1.5", "seed=5,6"]
    one = Maker(fixed, space, tmp_path, tmp_path, seeds=1)
    assert one.words(["loss.mel.weight=1.5"])[:4] == ["telucodec", "train", "--config-dir", str(tmp_path)]


def test_a_group_is_shown_by_its_class_and_a_list_by_its_names():
    config = {"encoder": {"_target_": "Patch"}, "loss": {"l1": {"weight": 1}}}
    assert [_shown(key, config) for key in ("encoder", "loss", "+ceilings.l1", "norm@discriminator_norm")] == [
        "encoder._target_",
        "loss",
        "ceilings.l1",
        "norm",
    ]


def test_a_wrong_key_is_refused_before_anything_runs(tmp_path):
    fixed, space = parse_space(["loss.mell.weight=interval(1.0,2.0)"], None)
    with pytest.raises(InputError, match=r"loss.mell.weight.*loss.mel.weight"):
        Maker(fixed, space, None, tmp_path, seeds=1)


def test_without_optuna_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["train", "-m", "sweeper=optuna", "optimizer.lr=interval(1e-4,1e-3)"]) == 2
    assert "sweeper=optuna needs the extra `search`: pip install 'telucodec[search]'" in capsys.readouterr().err


def test_an_interval_without_a_search_is_refused_with_the_cure(capsys):
    assert main(["train", "-m", "optimizer.lr=interval(1e-4,1e-3)"]) == 2
    told = capsys.readouterr().err
    assert "optimizer.lr=interval(1e-4,1e-3): an interval has no list of values" in told
    assert "sweeper=optuna" in told


def test_no_trials_are_refused(capsys):
    assert main(["train", "-m", "sweeper=optuna", "sweeper.n_trials=0", "optimizer.lr=interval(1e-4,1e-3)"]) == 2
    assert "sweeper: n_trials must be >= 1, got 0" in capsys.readouterr().err


@pytest.mark.slow
def test_two_real_trials_from_the_command_line_and_again_for_nothing(speech_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = ["data=folder", f"data.root={speech_folder}", "data.speaker_from=parent", "data.valid_fraction=0.2"]
    search = ["sweeper=optuna", "sweeper.n_trials=2", "optimizer.lr=tag(log,interval(1e-4,1e-2))", "loss.l1.weight=1,5"]
    assert main(["train", "-m", *TOY, *data, *search]) == 0
    root = tmp_path / "runs/sweep"
    head, best, other = (root / "trials.csv").read_text().splitlines()
    assert head == "trial,status,value,steps,optimizer.lr,loss.l1.weight,runs,why,command"
    values = [float(line.split(",")[2]) for line in (best, other)]
    assert values == sorted(values, reverse=True)
    runs = {path.name: path for path in (root / "jobs").iterdir()}
    assert {line.split(",")[6] for line in (best, other)} == set(runs)
    begun = {name: (path / "run.json").stat().st_mtime_ns for name, path in runs.items()}
    assert {path.name for path in root.glob("*.png")} == {
        "history.png",
        "slices.png",
        "validations.png",
        "parallel.png",
    }
    assert EventAccumulator(str(root / "tensorboard/2_trial-0001/run-0")).Reload().Scalars("val/snr")
    rows = [json.loads(line) for line in (runs[best.split(",")[6]] / "metrics.jsonl").read_text().splitlines()]
    assert values[0] == pytest.approx([row["val/snr"] for row in rows if "val/snr" in row][-1])
    capsys.readouterr()
    assert main(["train", "-m", *TOY, *data, *search]) == 0
    assert "2 trials are there" in capsys.readouterr().err
    assert {name: (path / "run.json").stat().st_mtime_ns for name, path in runs.items()} == begun
    wider = [one.replace("1e-2", "1e-1") for one in search]
    assert main(["train", "-m", *TOY, *data, *wider]) == 2
    told = capsys.readouterr().err
    assert "holds the trials of another search" in told
    assert "parameters.optimizer.lr.high: 0.01 before, 0.1 now" in told
    shown = ["sweep.name=typo", "sweeper.metric=val/sn", "sweeper.n_trials=3"]
    assert main(["train", "-m", *TOY, *data, *search, *shown]) == 2
    assert "logs no such figure. Did you mean val/snr" in capsys.readouterr().err
    assert len(list((tmp_path / "runs/typo/jobs").iterdir())) == 1
