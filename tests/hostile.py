"""Files that a stranger, a bad disk or a cut connection may hand over, and what must come of reading them."""

import json
import os
import pickle
import tempfile
import zipfile
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import torch
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import telucodec
from conftest import config
from telucodec.build import build
from telucodec.data.entry import Entry
from telucodec.data.manifest import write_manifest
from telucodec.errors import InputError
from telucodec.models.stored import CONFIG, CONFIG_VERSION, WEIGHTS
from telucodec.training.checkpoint import FORMAT, random_states

MARK = Path(tempfile.gettempdir()) / f"telucodec_ran_what_it_was_given_{os.getpid()}"  # what hostile code would make
COMMAND = f"touch {MARK}"
ENTRY = Entry("a.flac", 16000, 16000, 48000, "anu", "te", "train", -20.0, 0.5, 7500.0, 40000, "0" * 64, "a.wav")
CHECKPOINT = "checkpoints/step-000000002.ckpt"
AGAIN = settings(  # the same examples every time, in bounded number
    derandomize=True, deadline=None, database=None, max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)  # fmt: skip
MANY = settings(AGAIN, max_examples=100)

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "flip", "cut", "drop", "insert", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=4,
)
TARGETS = (
    "os.system", "subprocess.Popen", "builtins.eval", "torch.hub.load", "torch.load", "torch.optim.os.system",
    "telucodec.data.synthesis.subprocess.run", "telucodec.data.x.os.system", "telucodec.disk.write_text",
    "telucodec.training.record.subprocess.run", "telucodec.cli.main.main", "telucodec.nn..conv", "telucodec.nn.", "",
    "telucodec.losses.teacher.import_module", "telucodec.models.codec.Codec", "telucodec.data.source.Embedded",
    "torch.optim.Optimizer", "torch.optim.AdamW", "${oc.env:HOME}", "telucodec.nn.conv.\0", "telucodec.nn.conv.Conv1d",
)  # fmt: skip
NODES = [
    *({"_target_": target, "_partial_": partial} for target in TARGETS for partial in (False, True)),
    *({"_target_": "os.system", key: [COMMAND]} for key in ("_args_", "command", "args")),
    {"_target_": "telucodec.models.output.Tanh", "_args_": [COMMAND], "_recursive_": False, "_convert_": "object"},
    {"_partial_": True},
]
HOSTILE = [
    None, True, -1, 0, 0.5, 10**9, 10**12, 10**30, 1e308, float("nan"), float("inf"), "", "x" * 1000, "\0", "\x1b[2J",
    "[/bold]", "../../../etc/passwd", "/etc/passwd", "${oc.env:HOME}", "${oc.create:{_target_:os.system,command:ls}}",
    "???", [], {}, [[]] * 3, [10**9] * 5, {"a": {"b": []}}, *NODES,
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True), st.sampled_from(["put", "put", "put", "drop", "rename"]),
        st.sampled_from(range(len(HOSTILE))),
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


def edited(content, edits):
    """Bytes with bits flipped, cut off, taken out, put in and repeated."""
    content = bytearray(content)
    for kind, place, more in edits:
        at = int(place * len(content))
        if kind == "flip" and content:
            content[at] ^= 1 << (more[0] % 8)
        elif kind == "cut":
            del content[at:]
        elif kind == "drop":
            del content[at : at + more[0] + 1]
        elif kind == "insert":
            content[at:at] = more
        elif kind == "repeat":
            content[at:at] = content[at : at + 64 * more[0]]
    return bytes(content)


def changed(tree, changes):
    """A tree of containers with values replaced, keys taken out and keys renamed."""
    tree = {"root": deepcopy(tree)}
    for place, kind, number in changes:
        places = list(_places(tree["root"], tree, "root"))
        parent, key = places[int(place * len(places))]
        if kind == "put" or isinstance(parent, list) or parent is tree:
            parent[key] = deepcopy(HOSTILE[number])
        elif kind == "drop":
            del parent[key]
        else:
            parent[f"_{key}_"] = parent.pop(key)
    return tree["root"]


def _places(node, parent, key):
    yield parent, key
    children = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    for name, child in children:
        yield from _places(child, node, name)


def clean(*reads):
    """Read, and see that nothing but success or a message came of it; gives how many were refused."""
    refused = 0
    for read in reads:
        try:
            read()
        except InputError as error:
            assert len(str(error)) > 10, "the message says what and why"  # noqa: PT017 (there may be none)
            refused += 1
    assert not MARK.exists(), "what was read has been run"
    return refused


def tree(folder):
    """Every file below a folder, with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Runs:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, (COMMAND,)


def evil_checkpoints():
    """Checkpoints whose pickles run a command, in every wrapping that torch can open."""
    whole = BytesIO()
    torch.save({"state_dict": {}, "telucodec": Runs()}, whole)
    yield "zip", whole.getvalue()
    old = BytesIO()
    torch.save({"state_dict": Runs()}, old, _use_new_zipfile_serialization=False)
    yield "legacy", old.getvalue()
    yield "bare pickle", pickle.dumps(Runs())
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(whole.getvalue())) as source, zipfile.ZipFile(packed, "w") as dest:
        for info in source.infolist():
            text = f"cposix\nsystem\n(S'{COMMAND}'\ntR.".encode()
            dest.writestr(info.filename, text if info.filename.endswith("data.pkl") else source.read(info.filename))
    yield "written by hand", packed.getvalue()


def everything(folder):
    """One small file of each kind that a run, a job, a study or a published codec has."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = config()
    codec = build(whole["training"]["codec"], "codec")
    save_file(codec.state_dict(), str(folder / WEIGHTS))
    (folder / CONFIG).write_text(yaml.safe_dump(whole))
    own = {"format": FORMAT, "config_version": CONFIG_VERSION, "version": telucodec.__version__}
    own |= {"random": [random_states()], "clipping": {"codec": (2, torch.ones(2))}}
    (folder / CHECKPOINT).parent.mkdir()
    state = {"state_dict": {"a": torch.arange(6.0)}, "global_step": 2, "telucodec": own}
    state |= {"optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}], "loops": {"fit": {}}}
    state |= {"callbacks": {}, "pytorch-lightning_version": "2.5.0"}
    torch.save(state, folder / CHECKPOINT)
    rows = [{"step": step, "seconds": 1.5 * step, "val/snr": 2.0, "val/rho": None} for step in range(4)]
    heard = [{"step": 3, "file": name, "speaker": None, "silent": False, "snr": 1.0} for name in ("a", "b")]
    for name, lines in {"metrics.jsonl": rows, "utterances.jsonl": heard}.items():
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = {"status": "finished", "steps": 3, "seconds": 4.5, "overrides": ["seed=0"], "command": ["telucodec"]}
    told |= {"audio_hours": 0.1, "steps_per_epoch": 5.0, "started": "2026-11-20T00:00:00+00:00", "code": "c0de"}
    told |= {"reach": [{"parameter": "output_scale", "from": 1.0}], "data": {"sha256": "0"}}
    final = {"final": {"val/snr": 2.0}, "diagnosis": {"label": "healthy"}, "evaluator": {"torch": "2"}}
    job = {"label": "base s0", "overrides": ["seed=0"], "shown": [], "code": "c0de", "config": whole, "base": None}
    for name, content in {"run.json": told, "summary.json": final, "job.json": job}.items():
        (folder / name).write_text(json.dumps(content))
    write_manifest(folder / "data.jsonl", [ENTRY, ENTRY])
    return folder
