"""Where things that can be made again are kept, outside any project."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The cache folder: $TELUCODEC_CACHE, else $XDG_CACHE_HOME/telucodec, else the system's place (not created).

    The system's place is ~/Library/Caches/telucodec on macOS and ~/.cache/telucodec elsewhere.
    """
    if own := os.environ.get("TELUCODEC_CACHE"):
        return Path(own).expanduser().absolute()
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "telucodec"  # the XDG specification says to ignore a relative path
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "telucodec"
