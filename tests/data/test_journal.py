from telucodec.data.journal import Journal, journal_key


def test_a_key_changes_with_what_it_is_made_of(tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(b"1")
    one = journal_key(file, "a.wav", "options")
    file.write_bytes(b"12")
    assert journal_key(file, "a.wav", "options") != one
    assert journal_key(file, "a.wav", "options") == journal_key(file, "a.wav", "options")
    assert journal_key(file, "a.wav", "others") != journal_key(file, "a.wav", "options")


def test_an_empty_journal_knows_nothing(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.outcomes == {}
