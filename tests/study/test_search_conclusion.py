import io
import math

import pytest
from PIL import Image
from rich.console import Console
from searches import LINE, Bench

from telucodec.study.search.conclusion import announce, conclude
from telucodec.study.search.pictures import draw, finished, importances
from telucodec.study.search.space import Choice, Interval

SPACE = (
    Interval("loss.mel.weight", 0.1, 45.0),
    Interval("optimizer.lr", 1e-5, 1e-2, log=True),
    Choice("quantizer.n_q", ("4", "8")),
)


def valley(config):
    """The learning rate decides most, the weight some, the codebooks next to nothing; tiny rates diverge."""
    rate, weight = math.log10(float(config["optimizer.lr"])), float(config["loss.mel.weight"])
    end = 8 - 3 * (rate + 3) ** 2 - ((weight - 20) / 20) ** 2 + 0.05 * (config["quantizer.n_q"] == "8")
    return [end - 6 * math.exp(-k / 2) for k in range(1, 5)] if rate > -4.8 else ["diverged"]


def words(chosen):
    return ["telucodec", "train", *chosen]


def told(folder, bench, search):
    text = io.StringIO()
    console = Console(file=text, width=200)
    announce(bench.settings, bench.space, search.study, folder, console)
    valued = conclude(search, folder, words, console)
    return valued, text.getvalue()


def test_a_search_without_a_value_says_so_and_draws_nothing(tmp_path):
    bench = Bench(tmp_path, lambda c: ["diverged"], n_trials=2)
    valued, text = told(tmp_path, bench, bench.play())
    assert not valued
    assert "val/snr, to maximize, in 2 trials" in text
    assert "2 trials are there" in text
    assert "trial 1 failed: trial-1-0 diverged" in text
    assert not list(tmp_path.glob("*.png"))
    assert (tmp_path / "trials.csv").exists()


def test_the_end_names_the_best_and_their_commands(tmp_path):
    bench = Bench(tmp_path, lambda c: [float(c["x"])], n_trials=1)
    search = bench.play()
    valued, text = told(tmp_path, bench, search)
    assert valued
    (row,) = search.study.trials
    assert f"trial 0: telucodec train x={row.params['x']:.6g}" in text
    assert (tmp_path / "tensorboard/1_trial-0000/run-0").is_symlink()
    assert not list(tmp_path.glob("*.png")), "one trial is no picture"


def test_importances_tell_what_matters_and_need_enough_trials(tmp_path):
    few = Bench(tmp_path / "few", valley, SPACE, n_trials=5, sampler="random").play()
    assert importances(few.study) == {}
    search = Bench(tmp_path / "many", valley, SPACE, n_trials=50, sampler="random").play()
    found = importances(search.study)
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.get) == "optimizer.lr"
    assert found["quantizer.n_q"] < 0.2
    alone = Bench(tmp_path / "alone", lambda c: [float(c["x"])], LINE, n_trials=12).play()
    assert importances(alone.study) == {}, "one parameter decides everything"


@pytest.mark.slow
def test_the_pictures_show_something(tmp_path):
    bench = Bench(tmp_path, valley, SPACE, n_trials=20, pruner="median")
    search = bench.play()
    assert len(finished(search.study)) >= 10
    made = draw(search.study, tmp_path, "val/snr")
    assert [path.name for path in made] == [
        "history.png",
        "slices.png",
        "validations.png",
        "parallel.png",
        "importances.png",
    ]
    for path in made:
        with Image.open(path) as image:
            assert min(image.size) > 400
            assert len(image.convert("RGB").resize((200, 100)).getcolors(20_000)) > 20, path.name
