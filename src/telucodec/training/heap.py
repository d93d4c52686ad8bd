"""Memory of the host that training takes and gives back at every step."""

import ctypes
import sys

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # malloc.h


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for what is asked for next, instead of giving it back to the system.

    Activations of a training step on a CPU are large: by itself glibc maps each anew, and the system fills it with
    zeros page by page. What was once needed, in a long validation say, stays with the process until it ends.

    Returns:
        Whether the C library knows how; only glibc does.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(MMAP_MAX, 0) == 1 and mallopt(TRIM_THRESHOLD, 2**31 - 1) == 1
