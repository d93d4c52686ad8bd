"""Several processes of one run, forked from the test: torch and Lightning are loaded once."""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = float(os.environ.get("TELUCODEC_TEST_SECONDS", "60"))  # after which processes that wait are a failure


def in_company(count: int, folder: Path, act: Callable[[int], int | None], seconds: float = SECONDS) -> list[int]:
    """Call `act` with its number in each of `count` processes that find each other as torchrun's do.

    What they print goes to <number>.txt in the folder.

    Returns:
        Their exit codes, or minus the signal: -9 of those that were ended after `seconds`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    pids = [_fork(rank, count, port, folder, act) for rank in range(count)]
    codes: dict[int, int] = {}
    until = time.monotonic() + seconds
    while len(codes) < count:
        for rank, pid in enumerate(pids):
            if rank not in codes and (told := os.waitpid(pid, os.WNOHANG))[0]:
                codes[rank] = os.waitstatus_to_exitcode(told[1])
        if time.monotonic() > until:
            for rank in set(range(count)) - codes.keys():
                os.kill(pids[rank], signal.SIGKILL)
            until = float("inf")
        time.sleep(0.02)
    return [codes[rank] for rank in range(count)]


def said(folder: Path, rank: int) -> str:
    """What a process printed."""
    return (folder / f"{rank}.txt").read_text()


def _fork(rank: int, count: int, port: int, folder: Path, act: Callable[[int], int | None]) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        out = os.open(folder / f"{rank}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = open(1, "w", closefd=False, buffering=1)  # noqa: SIM115 (pytest's own ends with the parent)
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        _first(rank)
        code = act(rank) or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _first(rank: int) -> None:
    """Lightning has read the rank when it was imported, in the parent."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only as fabric
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    rank_zero_only.rank = fabric.rank = rank


def speech_like(folder: Path) -> Path:
    """Twelve short files of six speakers, as `conftest.speech_folder` has them."""
    from conftest import voices
    from telucodec.audio.files import write

    for number in range(12):
        write(folder / f"speaker_{number // 2}" / f"{number}.flac", voices(number, 0.4 + 0.1 * number), 16000)
    return folder
