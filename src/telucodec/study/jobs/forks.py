"""The warm process: a Python that has imported what runs import, and forks itself for each job. `warm.py` starts it.

    python -m telucodec.study.jobs.forks BLANKS CODE MODULE ...

What it forks does as a Python that was started anew: in a session of its own, with the environment of who asked for it.
It runs the code of the moment when the warm process began, and says so in its record: CODE is the version of that, and
EVERY stands for all modules that count, or some would be imported later, from files that were written since.
Only what is read while Python or a library loads cannot act any more: the seed of hashes, and variables that begin with
PYTHON, LD_, OMP_, MKL_ and their like. Of these hold those that the warm process was started with.
"""

import ctypes
import gc
import json
import os
import runpy
import select
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from telucodec.training import version

EVERY = "telucodec.*"  # all modules that the version of the code counts


def load(names: Sequence[str], code: str) -> None:
    """Import what runs import, and make sure that what is forked can live with it."""
    os.close(os.pidfd_open(os.getpid()))  # fails here, if it does: where a container or an old kernel refuses it
    for name in names:
        for each in version.modules() if name == EVERY else [name]:
            import_module(each)
    if threading.active_count() > 1 or _loses_cuda():
        sys.exit(f"to import {', '.join(names)} starts threads or CUDA, which are lost in what is forked")
    if version.code_version() != code:  # what is forked asks no more, but takes this for its own
        sys.exit("the code was changed while it was imported")
    gc.collect()
    gc.freeze()  # or the first collection of each fork would copy all of it


def _loses_cuda() -> bool:
    """Whether CUDA cannot be opened in what is forked; after a look for devices without NVML only a fork can tell."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if torch.cuda.is_initialized():
        return True
    if (pid := os.fork()) == 0:
        lost = True
        try:
            lost = getattr(torch.cuda, "_is_in_bad_fork", bool)()
        finally:
            os._exit(lost)
    return os.waitpid(pid, 0)[1] != 0


def serve(control: socket.socket) -> list[str]:
    """Fork when asked to, and tell how each ended, until the other end closes.

    Returns:
        In what was forked alone: the words that it is to run.
    """
    forked: dict[int, tuple[int, socket.socket]] = {}  # by what tells of its end: its number, and who asked for it
    while True:
        ready = select.select([control.fileno(), *forked], [], [])[0]
        for one in forked.keys() & set(ready):
            pid, asker = forked.pop(one)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            with asker, suppress(OSError):  # who asked may be gone
                asker.send(b"ended %d" % code)
            os.close(one)
        if control.fileno() not in ready:
            continue
        asked, descriptors, *_ = socket.recv_fds(control, 8, 4)
        if not asked:
            os._exit(0)
        asker = socket.socket(fileno=descriptors.pop())
        if (pid := os.fork()) == 0:
            control.detach()  # it is standard input, which is about to be another
            for one, (_, other) in forked.items():
                os.close(one)
                other.close()
            return begin(asker, *descriptors)
        for one in descriptors:
            os.close(one)
        forked[os.pidfd_open(pid)] = pid, asker


def begin(asker: socket.socket, given: int, log: int, wanted: int) -> list[str]:
    """In what was forked: become what was asked for, and say so."""
    os.setsid()
    for number, own in ((given, 0), (log, 1), (log, 2)):
        os.dup2(number, own)
    os.close(given)
    os.close(log)
    with open(wanted, "rb") as file:
        request = json.load(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if "numpy" in sys.modules:  # what it draws from is a copy; Python's own and tempfile's begin anew by themselves
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    show(request["words"])
    life = os.pidfd_open(os.getpid())
    with asker:
        try:
            socket.send_fds(asker, [b"begun %d" % os.getpid()], [life])
        except OSError:  # nobody wants it any more
            os._exit(1)
    os.close(life)
    return [str(word) for word in request["words"][1:]]


def show(words: Sequence[str]) -> None:
    """Let `ps` show these words, as far as those of this process have left room."""
    sys.orig_argv = list(words)
    first, end = map(int, Path("/proc/self/stat").read_text().rpartition(")")[2].split()[45:47])
    text = b"\0".join(map(os.fsencode, words))[: max(0, end - first - 1)]
    ctypes.memset(first, 0, end - first)
    ctypes.memmove(first, text, len(text))


def run(words: Sequence[str]) -> None:
    """Do as `python WORDS`, which are -m, a module and its own, or a script and its own."""
    if words[0] == "-m":
        sys.argv, sys.path[0] = list(words[1:]), os.getcwd()
        sys.modules.pop(words[1], None)  # a module is run anew, though another has imported it
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), str(Path(words[0]).resolve().parent)
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    load(sys.argv[3:], sys.argv[2])  # the blanks are room for `show`
    run(serve(socket.socket(fileno=0)))
