"""Bare folders, and speakers by rule."""

import pytest
from speechlike import save, text

from telucodec.data.corpora import detect, read_corpus
from telucodec.data.recordings import Recording, audio_files, speaker_rule
from telucodec.errors import InputError


def test_a_bare_folder_is_read_recursively_without_hidden_files(tmp_path):
    for name in ("b/2.FLAC", "a.wav", ".hidden.wav", ".cache/x.wav", "__MACOSX/y.wav"):
        save(tmp_path / name, format=name[-4:].strip(".").upper())
    text(tmp_path / "notes.txt", "hello")
    text(tmp_path / "talk.m4a", "aac")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
    assert detect(tmp_path) == "folder"
    known, foreign = audio_files(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in known] == ["a.wav", "b/2.FLAC", "link.wav"]
    assert [path.name for path in foreign] == ["talk.m4a"]
    assert read_corpus(tmp_path)[1] == [Recording(path) for path in known]


def test_a_folder_with_a_strange_json_or_table_is_still_a_folder(tmp_path):
    save(tmp_path / "a.wav")
    text(tmp_path / "meta_mine.json", "{}")
    text(tmp_path / "train.tsv", "a\tb\n")
    text(tmp_path / "txt.done.data", "")
    assert detect(tmp_path) == "folder"


def test_an_empty_folder_and_one_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"no audio .*Give the folder of the recordings"):
        read_corpus(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        read_corpus(tmp_path / "nowhere")
    text(tmp_path / "talk.m4a", "aac")
    with pytest.raises(InputError, match=r"1 files need converting first, for example: ffmpeg -i"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("rule", "why"), [("([", "not a regular expression"), ("a", "one group"), ("(a)(b)", "one group")]
)
def test_a_bad_speaker_rule_says_why(rule, why):
    with pytest.raises(InputError, match=why):
        speaker_rule(rule)
