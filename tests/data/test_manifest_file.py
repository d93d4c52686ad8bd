import json
import pickle
from dataclasses import asdict, replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given

from hostile import AGAIN, CHANGES, EDITS, changed, edited
from telucodec.data import columns, kept
from telucodec.data import manifest as parsing
from telucodec.data.columns import Columns, chosen, in_split, numbers, texts
from telucodec.data.continued import as_begun
from telucodec.data.entry import Entry
from telucodec.data.info import verify
from telucodec.data.kept import rules
from telucodec.data.long import read_columns
from telucodec.data.manifest import Manifest, check_files, read_manifest, write_manifest
from telucodec.data.measure import file_sha256
from telucodec.data.subset import Subset
from telucodec.errors import InputError
from telucodec.training.resume import bind_data

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


MANY = tuple(
    replace(
        ENTRY,
        path=("/data/" if n % 3 else "") + f'a "{n}" \\ తె\u2028.flac',
        samples=16000 + n,
        split=("train", "train", "valid", "test")[n % 4],
        speaker=None if n % 5 == 0 else f"speaker {n}",
        language=None,
        rms_dbfs=(-20.0, -20.25, 0.0, -1e-5)[n % 4],
        sha256=f"{n:064x}",
    )
    for n in range(40)
)


@pytest.fixture
def by_columns(monkeypatch, tmp_path):
    """Manifests of any length are read as long ones are."""
    monkeypatch.setattr(parsing, "SHORT", 0)
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))


def test_a_long_manifest_is_read_and_written_as_a_short_one_is(tmp_path, by_columns):
    write_manifest(tmp_path / "a.jsonl", MANY)
    manifest = read_manifest(tmp_path / "a.jsonl")
    assert isinstance(manifest.entries, Columns)
    assert tuple(manifest.entries) == MANY == tuple(manifest.entries[k] for k in range(40))
    assert manifest.entries == MANY
    assert manifest.entries == pickle.loads(pickle.dumps(manifest.entries))
    write_manifest(tmp_path / "b.jsonl", manifest.entries)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    part, entries = manifest.entries[7:30:3], MANY[7:30:3]
    assert (tuple(part), part == Columns.of(entries), part == Columns.of(MANY[:8])) == (entries, True, False)
    assert numbers(part, "samples").tolist() == numbers(entries, "samples").tolist() == [e.samples for e in entries]
    assert [list(texts(x, "path")) for x in (part, entries)] == [[[e.path for e in entries]]] * 2
    assert in_split(part, "valid").tolist() == in_split(entries, "valid").tolist()
    assert tuple(chosen(part, np.array([2, 0]))) == chosen(entries, np.array([2, 0])) == (entries[2], entries[0])
    assert tuple(manifest.split("test")) == Manifest(manifest.path, MANY).split("test")
    assert manifest.absolute() == Manifest(manifest.path, MANY).absolute()
    subset = Subset(source=lambda: manifest, train_utterances=5, valid_utterances=None, test_utterances=0)
    same = Subset(
        source=lambda: Manifest(manifest.path, MANY), **{f"{k}_utterances": v for k, v in subset.wanted.items()}
    )
    assert tuple(subset().entries) == same().entries
    assert [len(same().entries), len(same().split("train"))] == [15, 5]
    by_hash = sorted((e for e in MANY if e.split == "train"), key=lambda e: sha256(e.path.encode()).digest())
    assert set(same().split("train")) == set(by_hash[:5])


@pytest.mark.parametrize("path", ["a//b", "./a", "a/./b", "a/", "b/a"])
def test_paths_are_placed_as_a_path_writes_them(tmp_path, path):
    entries = (replace(ENTRY, path=path), ENTRY)
    manifest = Manifest(tmp_path / "m.jsonl", Columns.of(entries))
    assert [entry.path for entry in manifest.absolute()] == [str(tmp_path / path), str(tmp_path / "a.flac")]


def test_a_run_keeps_and_knows_again_a_long_list(tmp_path, by_columns):
    write_manifest(tmp_path / "m.jsonl", MANY)
    manifest = read_manifest(tmp_path / "m.jsonl")
    told = bind_data(tmp_path, manifest)
    assert told == bind_data(tmp_path, manifest) == bind_data(tmp_path, Manifest(manifest.path, MANY))
    begun = read_manifest(tmp_path / "data.jsonl")
    assert as_begun(begun, manifest) is manifest
    other = (*MANY[:-1], replace(MANY[-1], sha256="1" * 64))
    with pytest.raises(InputError, match="1 utterances came, went or changed"):
        bind_data(tmp_path, Manifest(manifest.path, Columns.of(other)))


def parsed_once(monkeypatch):
    """From now on nobody parses lines."""
    monkeypatch.setattr(kept, "tables", None)
    monkeypatch.setattr(kept, "read_columns", None)


def test_a_long_manifest_is_parsed_once(tmp_path, by_columns, monkeypatch):
    path, lists = tmp_path / "m.jsonl", tmp_path / f"cache/lists-{rules()}"
    monkeypatch.setattr("telucodec.data.long.BLOCK", 3000)  # several blocks
    write_manifest(path, MANY)
    first = read_manifest(path).entries
    (file,) = lists.iterdir()
    size, digest, own = file.name.split("-")
    assert (int(size), digest, own) == (path.stat().st_size, file_sha256(path), file_sha256(file))
    with monkeypatch.context() as later:
        parsed_once(later)
        again = read_manifest(path.rename(tmp_path / "elsewhere.jsonl")).entries
        assert again == first == MANY
        assert tuple(again) == MANY == tuple(pickle.loads(pickle.dumps(again)))
        assert again.memory is not None
    write_manifest(path, (*MANY[:-1], replace(MANY[-1], sha256="1" * 64)))  # of the same size
    assert read_manifest(path).entries[39].sha256 == "1" * 64
    assert len(list(lists.iterdir())) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:900] + b"x" + b[901:], lambda b: b""])
def test_damaged_columns_are_made_anew(tmp_path, by_columns, monkeypatch, damage):
    write_manifest(tmp_path / "m.jsonl", MANY)
    read_manifest(tmp_path / "m.jsonl")
    (file,) = (tmp_path / f"cache/lists-{rules()}").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert read_manifest(tmp_path / "m.jsonl").entries == MANY
    assert [each.read_bytes() for each in (tmp_path / f"cache/lists-{rules()}").iterdir()] == [whole]
    parsed_once(monkeypatch)
    assert read_manifest(tmp_path / "m.jsonl").entries == MANY


def test_a_cache_that_cannot_be_written_or_has_no_room_fails_nothing(tmp_path, by_columns, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_manifest(tmp_path / "m.jsonl", MANY)
    (tmp_path / "cache").touch()  # no folder can be made there
    assert read_manifest(tmp_path / "m.jsonl").entries == MANY
    (tmp_path / "cache").unlink()
    monkeypatch.setattr(kept.os, "replace", full)
    assert read_manifest(tmp_path / "m.jsonl").entries == MANY
    assert list((tmp_path / f"cache/lists-{rules()}").iterdir()) == []


def test_entries_far_apart_and_in_any_order_come_in_that_order(monkeypatch):
    monkeypatch.setattr(columns, "ROWS", 4)
    rows = np.array([0, 1, 2, 39, 38, 5, 5, 7, 20, 21])
    part = chosen(Columns.of(MANY), rows)
    assert tuple(part) == tuple(MANY[row] for row in rows)
    assert [len(each) for each in texts(part, "path")] == [4, 4, 2]


def both(path):
    """What the parser of lines and that of columns make of a file: entries, or a message and nothing."""
    try:
        by_lines = tuple(
            e for _, e in ((n, parsing._parse(path, n, line)) for n, line in parsing._lines(path) if line.strip())
        )
    except InputError:
        by_lines = None
    return by_lines, read_columns(path)


def agree(path):
    by_lines, columns = both(path)
    assert columns is None or tuple(columns) == by_lines


LINES = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in MANY[:6])


@AGAIN
@given(edits=EDITS)
def test_bytes_that_changed_are_taken_alike(tmp_path_factory, edits):
    path = tmp_path_factory.getbasetemp() / "edited.jsonl"
    path.write_bytes(edited(LINES.encode(), edits))
    agree(path)


@AGAIN
@given(changes=CHANGES)
def test_values_that_changed_are_taken_alike(tmp_path_factory, changes):
    path = tmp_path_factory.getbasetemp() / "changed.jsonl"
    rows = changed([json.loads(line) for line in LINES.split("\n")[:-1]], changes)
    path.write_text("".join(json.dumps(row) + "\n" for row in (rows if isinstance(rows, list) else [rows])))
    agree(path)


LINE = json.dumps(asdict(ENTRY))


@pytest.mark.parametrize(
    "text",
    [
        LINE.replace('"speaker": null, ', ""),
        LINE.replace('"speaker": null', '"speaker": "a", "speaker": null'),
        LINE + LINE,
        LINE + "\n\n" + LINE,
        LINE + LINE + "\n\n",
        LINE.replace('"samples": 16000', '"samples": 16000.0'),
        LINE.replace('"samples": 16000', '"samples": 1e4'),
        LINE.replace('"samples": 16000', '"samples": 24577000'),
        LINE.replace("-20.0", "NaN"),
        LINE.replace("-20.0", "1e999"),
        LINE.replace("-20.0", "-20"),
        LINE.replace("0.5", "true"),
        LINE.replace("a.flac", "../a.flac"),
        LINE.replace("a.flac", "a/..b"),
        LINE.replace("a.flac", "\\u001b[2J"),
        LINE.replace("a.flac", "\\u0085"),
        LINE.replace("a.flac", "\\ud800"),
        LINE.replace("a.flac", "\\ud83d\\ude00"),
        LINE.replace('"te"', '"\x9f"'),
        LINE.replace("train", "dev"),
        "\ufeff" + LINE,
        " " + LINE,
        LINE + " ",
        LINE.replace(", ", ",\n", 1),
        "[" * 100000,
        "{" + LINE + "}",
    ],
)
def test_what_one_parser_refuses_the_other_does_not_take(tmp_path, text):
    (tmp_path / "m.jsonl").write_text(text)
    agree(tmp_path / "m.jsonl")


def test_a_bad_line_of_a_long_manifest_is_named(tmp_path, by_columns):
    (tmp_path / "m.jsonl").write_text(LINES + LINE.replace("16000", "0", 1) + "\n")
    with pytest.raises(InputError, match=r"m\.jsonl, line 7: samples is 0"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_bytes(LINES.encode() + b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_bytes(b"\n")
    with pytest.raises(InputError, match="lists no utterance"):
        read_manifest(tmp_path / "m.jsonl")
    assert list((tmp_path / f"cache/lists-{rules()}").iterdir()) == []
