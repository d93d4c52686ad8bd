"""Readers of the Indian speech corpora with other indexes: IndicTTS (festvox), RESPIN and SYSPIN (JSON)."""

import re
from pathlib import Path
from typing import Any

from telucodec.data.recordings import Recording, find
from telucodec.errors import InputError
from telucodec.reading import from_json

LANGUAGES = {
    "bengali": "bn", "bhojpuri": "bho", "chhattisgarhi": "hne", "gujarati": "gu", "hindi": "hi", "kannada": "kn",
    "magahi": "mag", "maithili": "mai", "malayalam": "ml", "marathi": "mr", "tamil": "ta", "telugu": "te",
}  # fmt: skip


def indictts_indexes(root: Path) -> list[Path]:
    """The festvox prompt lists that lie beside a folder `wav`, or in `etc` beside it."""
    return [path for path in find(root, "txt.done.data", depth=4) if (_festvox_base(path) / "wav").is_dir()]


def read_indictts(root: Path) -> list[Recording]:
    """IndicTTS: `te/{male,female}/mono/{wav/, txt.done.data}`, lines `( id " text " )`; also the plain festvox layout.

    The speaker is the folder below `root`, without `mono` (te/male); no official splits.

    Raises:
        InputError: no txt.done.data beside a folder `wav`, or a line of another form.

    Source: the notebooks of AI4Bharat/Indic-TTS; festvox.org/bsv.
    """
    indexes = indictts_indexes(root)
    if not indexes:
        raise InputError(f"{root}: no txt.done.data beside a folder 'wav' found. Give the folder that holds both.")
    recordings = []
    for index in indexes:
        base = _festvox_base(index)
        parts = [part for part in (root.name, *base.relative_to(root).parts) if part != "mono"]
        speaker = "/".join(parts[1:] or parts)
        for number, line in enumerate(_text(index).split("\n"), 1):
            if not line.strip():
                continue
            if not (found := re.match(r'\s*\(\s*(\S+)\s+"', line)):
                raise InputError(f'{index}, line {number}: not of the form ( id " text " ). Unpack the corpus again.')
            language = _language(f"{found[1]} {' '.join(parts)}")
            recordings.append(Recording(base / "wav" / f"{found[1]}.wav", speaker, language))
    return recordings


def respin_indexes(root: Path) -> list[Path]:
    """The meta_*.json files that speak of speakers."""
    return [path for path in find(root, "meta_*.json") if '"speaker_id"' in _head(path)]


def read_respin(root: Path) -> list[Recording]:
    """RESPIN: `meta_{set}.json` maps an utterance to speaker_id, wav_path, dialect, ...; audio in D1..D4/speaker/.

    The sets are the official splits by their names (train, dev, test) when there are several, else splits are assigned.

    Raises:
        InputError: no meta_*.json, or one that is damaged.

    Source: the RESPIN release of IISc Bangalore.
    """
    indexes = respin_indexes(root)
    if not indexes:
        raise InputError(f"{root}: no meta_*.json with speakers found. Give the folder that holds it.")
    splits = {index: _official(index.stem) for index in indexes}
    several = len(set(splits.values())) > 1
    recordings = []
    for index in indexes:
        for utterance, about in _object(index).items():
            if not isinstance(about, dict) or "speaker_id" not in about:
                raise InputError(f"{index}: '{utterance}' has no speaker_id. Download the file again.")
            found = re.search(r"RESPIN_([a-z]{2,3})_", utterance) or re.search(r"_([a-z]{2})(_|$)", index.stem)
            path = _respin_audio(index.parent, utterance, about)
            language = found[1] if found else None
            split = splits[index] if several else None
            recordings.append(Recording(path, str(about["speaker_id"]), language, split))
    return recordings


def syspin_indexes(root: Path) -> list[Path]:
    """The transcript files of SYSPIN's studio voices."""
    return find(root, "*_Transcripts.json")


def read_syspin(root: Path) -> list[Recording]:
    """SYSPIN: `IISc_SYSPINProject_Telugu_Female_Spk001_HC/{wav/, ..._Transcripts.json}`; `wavs` is read too.

    The speaker is sex and number in the name of the transcript file or its folder; no official splits.

    Raises:
        InputError: no *_Transcripts.json, or one that is damaged.

    Source: the SYSPIN release of IISc Bangalore.
    """
    indexes = syspin_indexes(root)
    if not indexes:
        raise InputError(f"{root}: no *_Transcripts.json found. Give the folder that holds it.")
    recordings = []
    for index in indexes:
        transcripts = _object(index).get("Transcripts")
        if not isinstance(transcripts, dict):
            raise InputError(f"{index}: has no object 'Transcripts'. Download the file again.")
        names = f"{index.name} {index.parent.name}"
        found = re.search(r"(Male|Female)_?(Spk\d+)", names)
        speaker = f"{found[1]}_{found[2]}" if found else index.parent.name
        wavs = index.parent / "wavs"
        folder = wavs if wavs.is_dir() else index.parent / "wav"
        recordings += [Recording(folder / f"{name}.wav", speaker, _language(names)) for name in transcripts]
    return recordings


def _festvox_base(index: Path) -> Path:
    return index.parent.parent if index.parent.name == "etc" else index.parent


def _respin_audio(base: Path, utterance: str, about: dict[str, Any]) -> Path:
    """Where the audio is: `wav_path` may start at the set's folder or above it."""
    named = Path(str(about.get("wav_path") or f"{utterance}.wav"))
    guesses = [
        base / named,
        base.parent / named,
        base / str(about.get("dialect", "")) / str(about["speaker_id"]) / f"{utterance}.wav",
    ]
    return next((path for path in guesses if path.is_file()), guesses[0])


def _official(name: str) -> str | None:
    words = {"train": "train", "dev": "valid", "valid": "valid", "test": "test"}
    return next((split for word, split in words.items() if word in name), None)


def _language(text: str) -> str | None:
    """The language that a name or a code among the words of `text` tells."""
    words = set(re.findall("[a-z]+", text.lower()))
    return next((code for name, code in LANGUAGES.items() if name in text.lower() or code in words), None)


def _head(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(1 << 16)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}). Unpack the corpus again.") from None


def _object(path: Path) -> dict[str, Any]:
    value = from_json(_text(path), str(path))
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object. Download the file again.")
    return value
