"""A stored run, put together again to be questioned."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telucodec.build import build
from telucodec.data.module import SpeechData
from telucodec.diagnosis.gradients import TermGradients
from telucodec.diagnosis.probe import Probe, Subject
from telucodec.errors import InputError
from telucodec.models.assess import Assessment, keyed
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint
from telucodec.training.module import CodecTraining
from telucodec.training.resume import DATA

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def question(
    folder: Path, config: Mapping[str, Any], asked: Mapping[str, Any]
) -> tuple[int, dict[str, float], dict[str, "Figure"]]:
    """Assess the newest checkpoint of a run on its own data, ask it all probes, and take the gradients of its losses.

    Args:
        folder: of the run.
        config: its whole configuration.
        asked: the configuration whose probes, crops and gradients are asked for: its own, or another.

    Returns:
        The checkpoint's step, figures under the keys of the log, and pictures by name.

    Raises:
        InputError: there is no checkpoint, or the data cannot be used; the message names what is missing.
    """
    checkpoint, skipped = newest_checkpoint(folder)
    if checkpoint is None:
        raise InputError(f"{folder}: has no checkpoint to question. {' '.join(skipped) or 'Let it train to one.'}")
    stored = read_checkpoint(checkpoint)
    data: SpeechData = build(config["loader"], "loader")
    module: CodecTraining = build(config["training"], "training")
    data.prepare(kept if (kept := folder / DATA).exists() else None)
    try:
        module.load_state_dict(stored["state_dict"])
    except RuntimeError as error:
        raise InputError(f"{checkpoint}: is of another configuration ({' '.join(str(error).split())[:300]}).") from None
    assessment, utterances = (
        Assessment(module.evaluated(), build(config["evaluator"], "evaluator")),
        data.utterances("valid"),
    )
    for index in range(len(utterances)):
        assessment.hear(utterances[index])
    figures, pictures = keyed(assessment.summary(), "val"), dict[str, "Figure"]()
    held, trained = (data.crops(split, asked["callback"]["validation"]["crops"]) for split in ("valid", "train"))
    step: int = stored["global_step"]
    subject = Subject(step, module.evaluated(), module.adversary, module.terms, module.combine, held, trained)
    probes: list[tuple[Probe, Subject]] = [
        (build(node, f"probe.{name}"), subject) for name, node in asked["probe"].items()
    ]
    if module.codec.quantizer.begun:  # the terms are those of the last step, as in training
        gradients = TermGradients(sites=asked["callback"]["gradients"]["sites"])
        probes.append((gradients, replace(subject, index=max(step - 1, 0))))
    for probe, about in probes:
        found = probe(about)
        figures |= found.figures
        pictures |= found.pictures
    return step, figures, pictures
