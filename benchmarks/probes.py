"""Processor seconds of each probe, of the gradients per loss, and of their pictures, on the default codec.

    python benchmarks/probes.py

One thread, 16 crops of 4096 samples of noise; the least of three, before the adversary is heard and after.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from telucodec.audio.picture import pixels
from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.diagnosis.gradients import TermGradients
from telucodec.diagnosis.plane import Point, plane
from telucodec.diagnosis.probe import Subject


def least(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of the fastest of three, and what it gave."""
    found = []
    for _ in range(3):
        since = time.process_time()
        made = work()
        found.append((time.process_time() - since, made))
    return min(found, key=lambda pair: pair[0])


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = compose_config([], None)
    module = build(config["training"], "training")
    crops = 0.1 * torch.randn(16, 1, 4096)
    module.codec.train()(crops)  # codebooks begin
    asked: dict[str, Any] = {name: build(node, f"probe.{name}") for name, node in config["probe"].items()}
    asked["gradients"] = TermGradients(sites=config["callback"]["gradients"]["sites"])
    for step in (0, config["adversary"]["start"] + 1):
        subject = Subject(step, module.codec, module.adversary, module.terms, module.combine, crops, crops)
        for name, probe in asked.items():
            seconds, found = least(lambda probe=probe, subject=subject: probe(subject))
            sys.stdout.write(f"step {step:>5}  {name:<16} {seconds:6.3f} s")
            drawn = [least(lambda picture=picture: pixels(picture))[0] for picture in found.pictures.values()]
            sys.stdout.write(f"   drawn in {sum(drawn):.3f} s\n" if drawn else "\n")
    seconds, _ = least(lambda: pixels(plane({"run": [Point(0, 1.0, 0.1), Point(5, 0.9, 0.8)]}, "plane")))
    sys.stdout.write(f"plane, made and drawn {seconds:.3f} s\n")


if __name__ == "__main__":
    main()
