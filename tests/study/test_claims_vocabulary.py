"""Every key that a run logs can be claimed, and none that does not exist."""

import inspect
import json

import pytest

from telucodec.cli.compose import conf_dir
from telucodec.metrics.perceptual import Perceptual
from telucodec.study.claims.vocabulary import (
    BAND,
    CHANGES,
    CODEBOOK,
    GROUPS,
    PERCEPTUAL,
    PLAYERS,
    SWEEP,
    VALIDATION,
    Vocabulary,
    vocabulary,
)

PROBES = "[sweep,response,bypass,oracle_decoder,oracle_latent,batchnorm_gap,training_gap]"


@pytest.fixture(scope="module")
def known() -> Vocabulary:
    return vocabulary(conf_dir())


@pytest.fixture
def logged(train) -> set[str]:
    """Keys of a run that asks everything: every probe, gradients, restarts, and a post-net for the batch norm's gap."""
    callbacks = "callback=[logging,validation,gradients,restarts,saving]"
    often = ("callback.gradients.every=1", "callback.restarts.every=1")
    code, folder = train("max_steps=2", callbacks, *often, f"probe={PROBES}", "output=[post_net]")
    assert code == 0
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {key for row in rows for key in row} - {"step", "seconds"}


def test_every_key_of_a_run_is_known_and_every_known_name_is_logged(logged, known):
    assert sorted(key for key in logged if not known.knows(key)) == []
    late = {f"codebook/survival_{after}" for after in (10, 100)}  # asked so many steps after a restart
    whole = {"run/seconds", "run/finished"}  # of summary.json and run.json
    spelt = {f"{group}/{name}" for group, names in GROUPS.items() for name in names} - late - whole
    spelt |= {f"val/{name}" for name in VALIDATION} | {f"val/band/500-1000/{name}" for name in BAND}
    spelt |= {f"codebook/0/{name}" for name in CODEBOOK if "survival" not in name}
    spelt |= {f"sweep/l1/{name}" for name in SWEEP} | {f"response/scale/{name}" for name in CHANGES}
    spelt |= {f"clip/{player}/fraction" for player in PLAYERS}
    assert spelt - logged == set()


def test_perceptual_scores_are_those_of_the_extra(known):
    source = inspect.getsource(Perceptual.__call__)
    assert [name for name in PERCEPTUAL if f'"{name}"' not in source] == []


def test_names_come_from_the_configuration(known):
    assert {
        "loss/rms",
        "weighted/rms",
        "sweep/rms/best_rms_ratio",
        "gradient_share/encoded/commitment",
    } <= known.metrics
    assert {"s003", "s000_before"} <= known.presets
    assert {"level_peak", "rms_global_15"} <= known.switches
    assert known.knows("codebook/11/usage")
    assert known.knows("val/band/500-1000/rho")
    assert not known.knows("loss/rms_global")  # the file's name is not the term's
    assert not known.knows("val/band/rho")
