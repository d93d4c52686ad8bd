"""`telucodec study design`: a study.yaml that can be run."""

import pytest
import yaml

from telucodec.cli.main import main
from telucodec.study.design.read import read_study

BASE = ["--base", "trainer=cpu 'loss=[l1,mse,commitment]' discriminator=[]"]


@pytest.fixture
def design(tmp_path, monkeypatch, capsys):
    """Runs the command; gives its exit code, what it said, and the study."""
    monkeypatch.chdir(tmp_path)

    def run(kind, *words):
        code = main(["study", "design", kind, "mine", *words])
        told = capsys.readouterr()
        home = tmp_path / "experiments/mine"
        return code, told.out + told.err, read_study(home) if home.exists() else None

    return run


def test_one_at_a_time(design):
    code, told, study = design("one-at-a-time", "--switches", "tanh,snake", "--steps", "40", "--seeds", "3,4", *BASE)
    assert code == 0
    assert "3 arms, 6 runs of 40 steps" in told
    assert study.base == ("trainer=cpu", "loss=[l1,mse,commitment]", "discriminator=[]")
    assert {name: arm.switches for name, arm in study.arms.items()} == {
        "base": (), "tanh": ("tanh",), "snake": ("snake",),
    }  # fmt: skip
    assert (study.seeds, study.budgets["full"].steps, study.primary) == ((3, 4), 40, "val/snr")


def test_leave_one_out_begins_with_all(design):
    _, _, study = design("leave-one-out", "--switches", "tanh,snake", *BASE)
    assert (study.base_name, study.base[-1]) == ("all", "ablation=[tanh,snake]")
    assert study.arms["without_tanh"].without == ("tanh",)
    assert study.budgets["full"].steps == 2300, "the default's"


@pytest.mark.slow
def test_pairwise_leaves_out_what_contradicts(design, tmp_path):
    code, told, study = design("pairwise", "--switches", "tanh,snake,no_scale", *BASE)
    assert code == 0
    assert "left out: tanh and no_scale contradict each other" in told
    assert list(study.arms) == ["base", "tanh", "snake", "no_scale", "tanh+snake", "snake+no_scale"]
    assert "# left out: tanh and no_scale" in (tmp_path / "experiments/mine/study.yaml").read_text()


@pytest.mark.slow
def test_a_fraction_says_what_it_confuses(design):
    code, told, study = design("factorial", "--switches", "tanh,snake,no_kmeans", "--fraction", "1/2", *BASE)
    assert code == 0
    assert "4 of 8 combinations, resolution 3" in told
    assert "tanh is confused with - snake no_kmeans" in told
    assert study.factors == ("tanh", "snake", "no_kmeans")
    assert list(study.arms) == ["base", "tanh+snake", "tanh+no_kmeans", "snake+no_kmeans"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["factorial", "--switches", "tanh,no_scale"], "tanh and no_scale contradict each other"),
        (["factorial", "--switches", "tanh,snake", "--fraction", "2"], "--fraction 2: must be 1, 1/2"),
        (["factorial", "--switches", "tanh,snake", "--fraction", "1/3"], "must be 1, 1/2"),
        (["pairwise", "--switches", "tan,snake"], "--switches tan: there is no such overlay. Did you mean 'tanh'?"),
        (["pairwise", "--switches", "snake,snake"], "must be some overlays, each once"),
        (["pairwise", "--switches", "snake", "--seeds", "a"], "--seeds"),
        (["one-at-a-time", "--switches", "snake", "--metrics", "val/snrr"], "no run has the metric val/snrr"),
        (["one-at-a-time", "--switches", "snake", "--steps", "0"], "steps must be at least 1"),
    ],
)
def test_what_cannot_be_designed_is_said(design, words, told):
    code, said, study = design(*words, *BASE)
    assert code == 2
    assert told in said
    assert study is None, "and nothing is written"


def test_what_is_there_is_not_written_over(design, tmp_path):
    design("one-at-a-time", "--switches", "tanh", *BASE)
    path = tmp_path / "experiments/mine/study.yaml"
    before = path.read_text()
    code, said, _ = design("pairwise", "--switches", "snake", *BASE)
    assert (code, path.read_text()) == (2, before)
    assert "is there already" in said
    assert yaml.safe_load(before)["arms"].keys() == {"tanh"}
