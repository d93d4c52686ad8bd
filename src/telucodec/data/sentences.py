"""What the embedded data set says, in which voice, how fast, how high and how loud."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

TRAIN_VOICES = (
    "te", "te+f1", "te+m1", "te+Annie", "te+Diogo", "te+f3", "te+m2", "te+linda",
    "te+Nguyen", "te+Andrea", "te+m5", "te+shelby", "te+pablo", "te+Alex", "te+m7", "te+Reed",
)  # fmt: skip
VALID_VOICE = "te+f2"  # a woman's voice; its nearest neighbours in train are f1 and f3
TEST_VOICE = "te+Michael"  # a man's; its nearest neighbours in train are m7 and Diogo
HELD_OUT = 35  # sentences that only the validation voice says, and as many that only the test voice says
LEVELS_DBFS = (-32.0, -16.0)  # RMS of an utterance, drawn evenly


@dataclass(frozen=True, slots=True)
class Plan:
    """How many utterances of each split; the defaults make about 20 minutes."""

    train: int = 280
    valid: int = 35
    test: int = 35


@dataclass(frozen=True, slots=True)
class Order:
    """One utterance to be spoken."""

    file: str
    split: str
    text: str
    voice: str  # of espeak-ng: language+variant
    rate: int  # words per minute
    pitch: int  # 0 to 99, 50 is the voice's own
    range: int  # of the pitch, 0 to 99
    level: float  # RMS, dBFS


def order_all(plan: Plan) -> list[Order]:
    """Every utterance of a plan, a pure function of it; no voice and no sentence is in two splits.

    >>> orders = order_all(Plan(train=4, valid=2, test=2))
    >>> [order.voice for order in orders]
    ['te', 'te+f1', 'te+m1', 'te+Annie', 'te+f2', 'te+f2', 'te+Michael', 'te+Michael']
    >>> len({order.text for order in orders}), -32 <= orders[0].level <= -16
    (8, True)
    """
    text = files("telucodec.data").joinpath("telugu_sentences.txt").read_text(encoding="utf-8")
    sentences = sorted(text.strip().split("\n"), key=lambda sentence: hashlib.sha256(sentence.encode()).digest())
    parts = {
        "train": (sentences[2 * HELD_OUT :], TRAIN_VOICES, plan.train),
        "valid": (sentences[:HELD_OUT], (VALID_VOICE,), plan.valid),
        "test": (sentences[HELD_OUT : 2 * HELD_OUT], (TEST_VOICE,), plan.test),
    }
    return [
        _order(split, number, said[number % len(said)], voices[number % len(voices)])
        for split, (said, voices, count) in parts.items()
        for number in range(count)
    ]


def _order(split: str, number: int, text: str, voice: str) -> Order:
    digest = hashlib.sha256(f"{split} {number} {voice} {text}".encode()).digest()
    draws = np.frombuffer(digest, "<u4") / 2**32  # eight numbers in [0, 1)
    low, high = LEVELS_DBFS
    return Order(
        file=f"{split}/{voice.replace('+', '-')}-{number:03d}.flac",
        split=split,
        text=text,
        voice=voice,
        rate=140 + int(50 * draws[0]),
        pitch=35 + int(30 * draws[1]),
        range=40 + int(20 * draws[2]),
        level=round(low + (high - low) * float(draws[3]), 2),
    )
