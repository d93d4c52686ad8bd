"""The laws of the house that a program can check."""

import ast
import inspect
import re
from importlib import import_module

import pytest
import torch

from conftest import ROOT, config

SRC = ROOT / "src/telucodec"
FILES = sorted(SRC.rglob("*.py"))
FLOORS = [
    {"errors", "disk", "reading", "ranks", "precision", "records", "audio", "build"},
    {"nn"},
    {"quantization", "adversarial", "losses", "metrics", "data"},
    {"models"},
    {"diagnosis"},
    {"training"},
    {"study"},
    {"cli"},
]
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
# ground rooms stand on each other in this order; the other floors' rooms do not import each other at all
GROUND = ["errors", "disk", "reading", "ranks", "precision", "records", "audio", "build"]
# who alone may import what
KEPT = {
    "hydra": {"cli"},
    "omegaconf": {"cli"},
    "lightning": {"training", "data/module.py"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "torchaudio": {"audio"},
    "librosa": {"audio"},
}
# every boolean in the composed configuration, with the one place that uses it
SWITCHES = {
    "loader.pin_memory": "telucodec.data.module",
    "trainer.tf32": "telucodec.training.trainer",
    "trainer.benchmark": "telucodec.training.trainer",
    "trainer.compile": "telucodec.training.fit",
    "encoder.ends.bias": "telucodec.models.encoder",
    "decoder.ends.bias": "telucodec.models.decoder",
    "optimizer.fused": "torch.optim",
    "adversary_optimizer.fused": "torch.optim",
}
BANNED = {"utils", "helpers", "common", "misc", "util", "helper"}
LONGEST_FILE, LONGEST_FUNCTION, MOST_ARGUMENTS = 250, 60, 8


def room(path):
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_every_room_has_its_floor():
    assert {room(path) for path in FILES} - {"__init__"} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_only_go_down(path):
    here = room(path)
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "telucodec" and rest and rest[0] != here:
            below = LEVEL[rest[0]] < LEVEL[here]
            ground = {here, rest[0]} <= set(GROUND) and GROUND.index(rest[0]) < GROUND.index(here)
            assert below or ground, f"{here} must not import {rest[0]}"
        if top in KEPT:
            places = {here, str(path.relative_to(SRC))}
            assert places & KEPT[top], f"{top} belongs to {sorted(KEPT[top])}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_and_functions_keep_their_size(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE
    assert not BANNED & {path.stem, *path.relative_to(SRC).parts}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name
            arguments = [a for a in node.args.args + node.args.kwonlyargs if a.arg not in {"self", "cls"}]
            assert len(arguments) <= MOST_ARGUMENTS, node.name


def test_most_files_are_short():
    lengths = sorted(path.read_text().count("\n") for path in FILES)
    assert lengths[len(lengths) // 2] <= 150


def test_modules_state_their_shapes():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(getattr(n, "name", "") == "forward" for n in node.body):
                assert "Shape:" in (ast.get_docstring(node) or ""), f"{path}:{node.lineno} {node.name}"


def targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for child in node.values():
            yield from targets(child)


def all_targets():
    found = set(targets(config()))
    for path in (ROOT / "conf").rglob("*.yaml"):
        found |= set(re.findall(r"_target_: (\S+)", path.read_text()))
    return sorted(name for name in found if name.startswith("telucodec."))


@pytest.mark.parametrize("name", all_targets())
def test_yaml_is_the_only_source_of_defaults(name):
    module, _, attribute = name.rpartition(".")
    target = getattr(import_module(module), attribute)
    if getattr(target, "__init__", None) in (torch.nn.Module.__init__, object.__init__):
        return  # takes nothing, rejects everything
    for parameter in inspect.signature(target).parameters.values():
        called = name.startswith("telucodec.nn.")  # built with channels by the networks
        assert called or parameter.kind is parameter.KEYWORD_ONLY, f"{name}({parameter.name}) is not keyword-only"
        assert parameter.kind is not parameter.VAR_KEYWORD, f"{name} swallows unknown keys"
        assert parameter.default is parameter.empty, f"{name}({parameter.name}) has a default: put it into YAML"


@pytest.mark.parametrize("name", all_targets())
def test_configured_constructors_are_documented(name):
    module, _, attribute = name.rpartition(".")
    target = getattr(import_module(module), attribute)
    parameters = [p for p in inspect.signature(target).parameters.values() if p.kind is p.KEYWORD_ONLY]
    text = inspect.getdoc(target) or ""
    assert [p.name for p in parameters if f"    {p.name}: " not in text] == []


def leaves(node, prefix=""):
    for key, child in node.items():
        if isinstance(child, dict):
            yield from leaves(child, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", child


def test_booleans_are_declared():
    found = {k for k, v in leaves(config()) if isinstance(v, bool) and not k.endswith("_partial_")}
    own = {k for k in found if not k.startswith(("training.", "codec."))}  # they repeat its groups
    assert own == set(SWITCHES)


def carries_data(node):
    """Records and protocols have nothing of their own to test."""
    names = {ast.unparse(x).split("(")[0] for x in [*node.bases, *node.decorator_list]}
    return bool(names & {"NamedTuple", "Protocol", "dataclass"})


def test_public_classes_are_tested_by_name():
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    yaml = "".join(path.read_text() for path in (ROOT / "conf").rglob("*.yaml"))
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not carries_data(node):
                told = re.search(rf"\b{node.name}\b", tests) or re.search(rf"\.{node.name}\b", yaml)
                assert told, f"{path.relative_to(SRC)}: no test speaks of {node.name}"


def test_the_training_step_fits_on_one_screen():
    tree = ast.parse((SRC / "training/module.py").read_text())
    (step,) = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "training_step"]
    assert step.end_lineno - step.lineno < 40


def test_the_doors_of_the_house_name_what_stands_behind_them():
    for folder in {path.parent for path in FILES}:
        first = (folder / "__init__.py").read_text().splitlines()[0]
        assert first.startswith('"""'), folder
