"""Many small jobs by several processes, none of which can hang or outlive the command."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from telucodec.errors import InputError

J = TypeVar("J")
R = TypeVar("R")


def run_jobs(
    function: Callable[[J], R], crashed: Callable[[J], R], jobs: Sequence[J], workers: int
) -> Generator[tuple[J, R], None, None]:
    """Yield each job with its result, in the order in which they finish.

    When a worker dies (killed, out of memory, a decoder that crashes), the jobs that were under way are done again one
    at a time, each in a process of its own; the job whose process dies again gets `crashed(job)`, and the rest goes on.

    Args:
        function: importable by name, so that a new process finds it.
        crashed: the result of a job that kills its process.
        jobs: that can be pickled.
        workers: processes, >= 0; with 0 everything runs in this one, where a crash is a crash.

    Raises:
        InputError: processes cannot be started here; or what `function` raises, at once.
    """
    if workers < 0:
        raise InputError(f"{workers} workers: must be 0 (only this process) or more.")
    if workers == 0:
        yield from ((job, function(job)) for job in jobs)
        return
    waiting = deque(jobs)
    while waiting:
        lost = yield from _until_broken(function, waiting, min(workers, len(waiting)))
        for job in lost:
            yield job, _alone(function, crashed, job)


def default_workers() -> int:
    """As many as this process may use CPU cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _until_broken(function: Callable[[J], R], waiting: deque[J], workers: int) -> Generator[tuple[J, R], None, list[J]]:
    """Work until nothing is waiting or a worker dies; returns the jobs that were under way then."""
    flying: dict[Future[R], J] = {}
    with _pool(workers) as pool:
        while waiting or flying:
            try:
                while waiting and len(flying) < 4 * workers:  # few, because a corpus may have a million files
                    job = waiting.popleft()
                    flying[pool.submit(function, job)] = job
            except BrokenProcessPool:
                return [*flying.values(), job]
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(flying.values())
                yield flying.pop(future), future.result()
    return []


def _alone(function: Callable[[J], R], crashed: Callable[[J], R], job: J) -> R:
    with _pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise InputError(
                "worker processes cannot be started here. Use --workers 0, and in a script of your own call this below "
                "`if __name__ == '__main__':`."
            ) from None
        try:
            return pool.submit(function, job).result()
        except BrokenProcessPool:
            return crashed(job)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = get_context("spawn")  # a fork of a process with threads (soxr, torch, rich) may hang
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(reader,))
    try:
        yield pool
        pool.shutdown()
    finally:
        writer.close()  # after Ctrl-C or an error nobody waits for a long file: the workers see this and leave
        pool.shutdown(cancel_futures=True)
        reader.close()


def _begin(lifeline: Connection) -> None:
    """Prepare a worker: Ctrl-C is its parent's business, decoders complain in silence, it leaves with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libmpg123 writes warnings through the progress bar
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()


def _leave_with(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
