import json
from dataclasses import asdict, replace

import pytest

from telucodec.data.info import verify
from telucodec.data.manifest import Entry, Manifest, check_files, read_manifest, write_manifest
from telucodec.data.measure import file_sha256
from telucodec.errors import InputError

ENTRY = Entry("a.flac", 16000, 16000, 48000, None, "te", "train", -20.0, 0.5, 7500.0, 3, "0" * 64, "a.wav")


@pytest.fixture
def manifest(tmp_path):
    entries = []
    for name in ("a", "b\u2028c", "తెలుగు"):
        file = tmp_path / f"{name}.flac"
        file.write_bytes(name.encode())
        entries.append(replace(ENTRY, path=file.name, bytes=file.stat().st_size, sha256=file_sha256(file)))
    write_manifest(tmp_path / "manifest.jsonl", entries)
    return read_manifest(tmp_path / "manifest.jsonl")


def test_what_is_written_is_read(manifest):
    assert [entry.path for entry in manifest.entries] == ["a.flac", "b\u2028c.flac", "తెలుగు.flac"]
    check_files(manifest, manifest.entries)
    assert verify(manifest) == []
    assert manifest.entries[0].seconds == 1.0


def test_a_missing_and_a_changed_file_are_named(manifest):
    (manifest.path.parent / "a.flac").unlink()
    (manifest.path.parent / "తెలుగు.flac").write_bytes(b"another size")
    with pytest.raises(
        InputError, match=r"(?s)2 of 3 files do not match.*a\.flac: missing.*changed \(12 bytes.*Put them back"
    ):
        check_files(manifest, manifest.entries)


def test_a_file_of_the_same_size_with_another_content_is_found_by_its_hash(manifest):
    (manifest.path.parent / "a.flac").write_bytes(b"x")
    check_files(manifest, manifest.entries)
    assert [line.rsplit("/")[-1] for line in verify(manifest)] == ["a.flac: changed since the manifest was made"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda row: row.pop("peak"), "line 2: lacks peak"),
        (lambda row: row.update(samples="16000"), 'line 2: samples is "16000"'),
        (lambda row: row.update(split="dev"), "line 2: split 'dev' is none of train, valid, test"),
        (lambda row: row.update(colour="red"), "line 2: is not an entry"),
    ],
)
def test_a_bad_line_is_named(tmp_path, change, why):
    row = asdict(ENTRY)
    change(row)
    path = tmp_path / "m.jsonl"
    path.write_text(f"{json.dumps(asdict(ENTRY))}\n{json.dumps(row)}\n")
    with pytest.raises(InputError, match=rf"m\.jsonl, {why}"):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"null", b"3"])
def test_a_line_that_is_no_object(tmp_path, content):
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"line 1: (is not an entry|lacks)"):
        read_manifest(tmp_path / "m.jsonl")


def test_no_manifest_an_empty_one_and_a_picture(tmp_path):
    with pytest.raises(InputError, match=r"no such manifest or folder. Make one: telucodec data prepare"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text("\n")
    with pytest.raises(InputError, match="lists no utterance"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_manifest(tmp_path / "m.jsonl")


def test_a_split_that_is_not_there_names_those_that_are():
    from pathlib import Path

    with pytest.raises(InputError, match=r"no utterance is in the split 'valid' \(splits there: train\)"):
        Manifest(Path("m.jsonl"), (ENTRY,)).split("valid")
