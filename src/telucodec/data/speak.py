"""Speaks a list of sentences with espeak-ng and writes raw samples to standard output; a program of its own.

espeak-ng keeps state between sentences that no call resets, and seeds the breath of its voices from the clock. Only a
new process that is told the seed and then makes the same calls in the same order gives the same samples again: so
`telucodec.data.synthesis` starts `python -m telucodec.data.speak` once for a whole set.

Input: one JSON object a line (text, voice, rate, pitch, range). Output, for each: sample rate and number of samples as
two little-endian 32-bit integers, then the samples as 16-bit integers.
"""

import ctypes
import json
import os
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples come to the callback during the call
DO_NOT_EXIT = 0x8000  # espeakINITIALIZE: report an error instead of ending the process
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1  # espeakCHARS
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(library: str, data: str, orders: Iterable[dict[str, Any]]) -> Iterator[tuple[int, bytes]]:
    """Sample rate in Hz and 16-bit samples of each order (text, voice, rate, pitch, range), in order.

    Args:
        library: path of libespeak-ng.
        data: path of espeak-ng-data.
        orders: voice such as "te+f3"; rate in words per minute; pitch and range 0 to 99.

    Raises:
        RuntimeError: the library refuses a call.
    """
    espeak = ctypes.CDLL(library)
    sample_rate: int = espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DO_NOT_EXIT)
    if sample_rate <= 0:
        raise RuntimeError(f"espeak-ng cannot be started with the data in {data}")
    pieces: list[bytes] = []

    def collect(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = CALLBACK(collect)  # C holds no reference to it, so this function must
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    for order in orders:
        pieces.clear()
        if espeak.espeak_SetVoiceByName(order["voice"].encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {order['voice']}")
        for parameter, name in ((RATE, "rate"), (PITCH, "pitch"), (RANGE, "range")):
            espeak.espeak_SetParameter(parameter, order[name], 0)
        espeak.espeak_ng_SetRandSeed(1)  # else the clock is the seed of breath
        text = order["text"].encode()
        size = ctypes.c_size_t(len(text) + 1)
        if espeak.espeak_Synth(text, size, 0, 1, 0, UTF8, None, None) != 0 or espeak.espeak_Synchronize() != 0:
            raise RuntimeError(f"espeak-ng cannot say: {order['text']}")
        yield sample_rate, b"".join(pieces)


def has_variant(data: Path, voice: str) -> bool:
    """Whether a voice such as te+f3 names a variant that exists; espeak-ng itself takes any name in silence."""
    variant = voice.partition("+")[2]
    return not variant or (data / "voices" / "!v" / variant).is_file()


@contextmanager
def short_path(data: str) -> Iterator[str]:
    """Another name for a folder whose path is too long: espeak-ng has room for 160 bytes and cuts off the rest."""
    if len(data.encode()) < 140:
        yield data
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "espeak-ng-data")
        link.symlink_to(data)
        yield str(link)


def main(output: BinaryIO) -> None:
    """Read orders from standard input until it ends, and answer each on `output`."""
    import espeakng_loader  # an extra, and only this process needs it

    orders = (json.loads(line) for line in sys.stdin)
    with short_path(str(espeakng_loader.get_data_path())) as data:
        for sample_rate, samples in speak(espeakng_loader.get_library_path(), data, orders):
            output.write(struct.pack("<II", sample_rate, len(samples) // 2) + samples)
            output.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)  # whatever the library prints goes to the error stream, not among the samples
        main(pipe)
