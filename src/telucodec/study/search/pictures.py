"""What a search learnt, drawn by optuna: its course, each parameter against the value, and which parameters matter."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from telucodec.disk import replacing

FEWEST = 2  # trials that reached their end, for anything to be drawn
RATED = 10  # for importances
GOOD = 1 / 3  # of the trials are good ones to the importances: with a tenth, few trials often name the wrong parameter
WIDTH, HEIGHT = 8.0, 4.8  # inches, at 100 dots each


def draw(study: Study, folder: Path, metric: str) -> list[Path]:
    """Draw history.png, validations.png, slices.png, parallel.png and importances.png, each if it has anything to show.

    Args:
        study: the search.
        folder: where they go.
        metric: what the value is called.
    """
    from optuna.visualization import matplotlib as plots

    ended = finished(study)
    several = len({key for trial in ended for key in trial.params}) > 1
    shown: dict[str, tuple[str, Callable[[], Any]]] = {}
    if len(ended) >= FEWEST:
        shown["history"] = "Each trial, and the best so far", lambda: plots.plot_optimization_history(study)
        shown["slices"] = f"{metric} over each parameter", lambda: plots.plot_slice(study, target_name=metric)
    if len(ended) >= FEWEST and any(len(trial.intermediate_values) > 1 for trial in ended):
        shown["validations"] = "First seed of each trial, by step", lambda: plots.plot_intermediate_values(study)
    if len(ended) >= FEWEST and several:
        shown["parallel"] = "All parameters together", lambda: plots.plot_parallel_coordinate(study, target_name=metric)
    if len(ended) >= RATED and several:
        rated = _evaluator()
        title = "How much a parameter decides whether a trial is in the best third"
        shown["importances"] = title, lambda: plots.plot_param_importances(study, evaluator=rated)
    return [_saved(make, title, metric, folder / f"{name}.png") for name, (title, make) in shown.items()]


def importances(study: Study) -> Mapping[str, float]:
    """How much each parameter decides whether a trial is in the best third, the sum being 1; empty for too few trials.

    Source: Watanabe, Bansal and Hutter, "PED-ANOVA", IJCAI 2023, which needs no regression forest.
    """
    ended = finished(study)
    if len(ended) < RATED or len({key for trial in ended for key in trial.params}) < FEWEST:
        return {}
    with _calm():
        return get_param_importances(study, evaluator=_evaluator())


def finished(study: Study) -> list[FrozenTrial]:
    """The trials that came to a value."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _evaluator() -> PedAnovaImportanceEvaluator:
    return PedAnovaImportanceEvaluator(target_quantile=GOOD)


def _saved(make: Callable[[], Any], title: str, metric: str, path: Path) -> Path:
    import numpy as np
    from matplotlib import pyplot

    words = {"Objective Value": metric, "Intermediate Value": metric, "Hyperparameter": ""}
    pyplot.switch_backend("agg")
    with _calm(), pyplot.rc_context({"figure.figsize": (WIDTH, HEIGHT), "font.size": 9}):
        figure = np.ravel(make())[0].get_figure()
        for axes in figure.axes:
            axes.set(title="", ylabel=words.get(axes.get_ylabel(), axes.get_ylabel()))
            axes.set_title("", loc="left")
            axes.set_xlabel(axes.get_xlabel().replace("Hyperparameter Importance", "importance"))
            if axes.get_legend():
                axes.get_legend().remove()  # it names every trial, or the one thing that the axis names already
        figure.suptitle(title)
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=100, bbox_inches="tight")
        pyplot.close("all")
    return path


@contextmanager
def _calm() -> Iterator[None]:
    """Without optuna's word that its pictures may change with its next version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
