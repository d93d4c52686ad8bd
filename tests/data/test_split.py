from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telucodec.data.split import Piece, divide
from telucodec.errors import InputError

speakers = st.lists(st.tuples(st.integers(0, 12), st.floats(0.5, 30)), min_size=3, max_size=80)


def pieces_of(drawn, **more):
    return [Piece(f"{n}.wav", seconds, f"s{speaker}", **more) for n, (speaker, seconds) in enumerate(drawn)]


@settings(max_examples=200, deadline=None)
@given(drawn=speakers, valid=st.floats(0.01, 0.45), test=st.floats(0.01, 0.45), seed=st.integers(0, 5))
def test_no_speaker_is_ever_in_two_splits_and_every_split_has_one(drawn, valid, test, seed):
    pieces = pieces_of(drawn)
    division = divide(pieces, valid, test, seed)
    assert division.splits.keys() == {piece.name for piece in pieces}
    assert set(division.splits.values()) == {"train", "valid", "test"}
    splits = defaultdict(set)
    for piece in pieces:
        splits[piece.speaker].add(division.splits[piece.name])
    if len(splits) >= 3:
        assert division.by == "speaker"
        assert all(len(found) == 1 for found in splits.values())
        assert division.notes == ()
    else:
        assert division.by == "file"
        assert "share voices" in division.notes[0]
    assert divide(pieces[::-1], valid, test, seed).splits == division.splits


def test_fractions_of_the_duration_are_met():
    pieces = [Piece(f"{n}.wav", 1 + n % 7, f"s{n % 100}") for n in range(3000)]
    division = divide(pieces, valid=0.1, test=0.2)
    total = sum(piece.seconds for piece in pieces)
    for split, part in {"valid": 0.1, "test": 0.2}.items():
        share = sum(piece.seconds for piece in pieces if division.splits[piece.name] == split) / total
        assert part - 0.01 <= share <= part


def test_one_long_speaker_does_not_swallow_a_small_split():
    pieces = [Piece("long.wav", 1000, "a")] + [Piece(f"{s}.wav", 10, s) for s in "bcdefghijk"]
    for seed in range(20):
        assert divide(pieces, 0.02, 0.02, seed).splits["long.wav"] == "train"


def test_another_seed_draws_others():
    pieces = pieces_of([(n, 1) for n in range(50)])
    assert divide(pieces, 0.1, 0.1, 0).splits != divide(pieces, 0.1, 0.1, 1).splits


def test_without_speakers_it_goes_by_file_and_says_so():
    division = divide([Piece(f"{n}.wav", 1) for n in range(20)], 0.1, 0.1)
    assert division.by == "file"
    assert "no speaker is known: splits were drawn by file" in division.notes[0]
    assert sorted(division.splits.values()).count("valid") == 2


def test_some_unknown_speakers_are_counted():
    pieces = [Piece(f"{n}.wav", 1, None if n < 4 else f"s{n % 5}") for n in range(20)]
    division = divide(pieces, 0.2, 0.2)
    assert "4 of 20 recordings have no speaker" in division.notes[0]


def test_one_speaker_goes_by_file_and_says_that_voices_are_shared():
    division = divide(pieces_of([(1, 1)] * 10), 0.1, 0.1)
    assert division.by == "file"
    assert "only 1 for 3 splits (speaker s1)" in division.notes[0]
    assert set(division.splits.values()) == {"train", "valid", "test"}


def test_groups_stand_in_for_speakers():
    pieces = [Piece(f"{n}.wav", 1, None, f"sentence {n // 3}") for n in range(60)]
    division = divide(pieces, 0.1, 0.1)
    assert division.by == "group"
    assert all(len({division.splits[f"{3 * k + i}.wav"] for i in range(3)}) == 1 for k in range(20))


def test_own_splits_are_kept_and_a_missing_one_is_drawn_from_train():
    pieces = [Piece(f"{s}{n}.wav", 1, None, None, s) for s in ("train", "valid") for n in range(10)]
    division = divide(pieces, 0.1, 0.1)
    assert all(division.splits[f"valid{n}.wav"] == "valid" for n in range(10))
    assert sorted(division.splits[f"train{n}.wav"] for n in range(10)) == ["test"] + ["train"] * 9
    assert "no split 'test' of its own" in division.notes[0]
    assert divide(pieces, 0.1, 0).splits == {piece.name: piece.split for piece in pieces}
    whole = [*pieces, Piece("t.wav", 1, None, None, "test")]
    assert divide(whole, 0.1, 0.1).splits == {piece.name: piece.split for piece in whole}
    assert divide(whole, 0.1, 0.1).by == "corpus"


def test_own_splits_that_share_a_speaker_are_not_used():
    pieces = [Piece(f"{n}.wav", 1, f"s{n % 5}", None, "train" if n < 10 else "test") for n in range(20)]
    division = divide(pieces, 0.2, 0.2)
    assert "own splits share 5 speakers (first: s0)" in division.notes[0]
    assert len({(piece.speaker, division.splits[piece.name]) for piece in pieces}) == 5


def test_a_corpus_of_one_own_split_stays_it():
    assert set(divide([Piece("a", 1, None, None, "valid")], 0.1, 0.1).splits.values()) == {"valid"}


@pytest.mark.parametrize(("valid", "test"), [(-0.1, 0.1), (0.5, 0.5), (0.1, 1.0)])
def test_impossible_fractions(valid, test):
    with pytest.raises(InputError, match="each must be >= 0 and both together below 1"):
        divide(pieces_of([(1, 1)] * 10), valid, test)


def test_few_files():
    two = divide([Piece("a", 1), Piece("b", 1)], 0.1, 0.1)
    assert sorted(two.splits.values()) == ["train", "valid"]
    assert any("there is none" in note for note in two.notes)
    with pytest.raises(InputError, match=r"1 usable recording: cannot be split into train and valid"):
        divide([Piece("a", 1)], 0.1, 0.1)
    assert divide([Piece("a", 1)], 0, 0).splits == {"a": "train"}
    assert set(divide([Piece("a", 1), Piece("b", 1)], 0.1, 0).splits.values()) == {"train", "valid"}
