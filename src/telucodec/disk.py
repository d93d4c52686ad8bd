"""Writing files complete or not at all, and whole paths."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from telucodec.errors import BusyError, InputError

PARTIAL = ".partial"  # how the names of files end that are being written
_held: set[TextIO] = set()  # lock files of this process


def whole(path: Path) -> Path:
    """The whole path without "..", which lists of recordings refuse; only where one stood are links followed."""
    return path.resolve() if ".." in path.parts else path.absolute()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a partial file in the same folder; when the block ends well, flush it to the disk and rename it to `path`.

    If the block fails, the partial file is removed and what stood at `path` before is untouched. A process that is
    killed leaves its partial file, see `remove_partial`.

    Raises:
        InputError: the folder cannot be written or the disk is full; the message names the file.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.chmod(0o666 & ~_umask())  # some writers make files that only their owner can read
        os.replace(partial, path)
        _flush(path.parent)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({why}). Free some space or choose another folder.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half written in a folder, but not in those below it.

    Only where nobody else writes: what is being written looks the same.
    """
    for partial in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            partial.unlink()


def _flush(folder: Path) -> None:
    """See to it that a rename outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know nothing of it
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def opened(path: Path, flags: int = 0) -> int:
    """A descriptor to read and write a file that is ours; it is made if it is missing, and never emptied.

    A folder may come from elsewhere: a link in it would lead to a file that is not ours, a pipe would wait for ever.

    Args:
        path: of the file.
        flags: more of those of os.open.

    Raises:
        InputError: a link, or something else that is no file, stands there.
        OSError: it cannot be opened.
    """
    no_links(path.parent, [path.name])
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path}: is no file. Remove it.")
    return descriptor


def no_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse links in the place of files and folders that are to be written.

    Raises:
        InputError: the first of them.
    """
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise InputError(f"{path}: is a link, and what is written there would land elsewhere. Remove it.")


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold a lock file while the block runs; it is free again when this process ends, however it ends.

    Processes that are forked from this one do not hold it: one that outlives it would keep the next one waiting.

    Raises:
        BusyError: another process holds it; the message names the folder.
        InputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = opened(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}). Choose another folder.") from None
    with open(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"{path.parent}: another process is at work here. Wait for it, or stop it.") from None
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def _let_go() -> None:
    """In a forked process: close the lock files that it was born with."""
    for file in _held:
        file.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def is_held(path: Path) -> bool:
    """Whether another process holds a lock file."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe would wait for its other end
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all.

    Raises:
        InputError: as `replacing`.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
