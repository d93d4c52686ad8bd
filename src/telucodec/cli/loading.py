"""Importing large packages."""

import gc
import sys
from importlib import import_module


def load(name: str) -> None:
    """Import a module without a search for garbage meanwhile, or ever after in what it has brought.

    torch and lightning make a million objects that all stay. Python's collector goes through them again and again,
    which is a quarter of the time until they are there.
    """
    if name in sys.modules or not gc.isenabled():
        import_module(name)
        return
    gc.disable()
    try:
        import_module(name)
    finally:
        gc.freeze()  # or the first collection would go through all of it
        gc.enable()
