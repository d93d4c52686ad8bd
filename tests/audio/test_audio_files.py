import numpy as np
import pytest
import soundfile

from telucodec.audio.decode import decode, to_int16
from telucodec.audio.files import AudioInfo, probe, read, read_blocks, read_segment, write
from telucodec.errors import InputError

FORMS = {
    "wav16": ("a.wav", {"subtype": "PCM_16"}),
    "wav24": ("a.wav", {"subtype": "PCM_24"}),
    "wavfloat": ("a.wav", {"subtype": "FLOAT"}),
    "flac": ("a.flac", {}),
    "vorbis": ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}),
    "opus": ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    "mp3": ("a.mp3", {}),
}


@pytest.fixture
def noise():
    return np.random.default_rng(1).uniform(-0.5, 0.5, (24000, 2))


def make(folder, form, audio, sample_rate=16000):
    name, how = FORMS[form]
    soundfile.write(folder / name, audio, sample_rate, **how)
    return folder / name


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_read_and_its_blocks_join_to_the_whole(tmp_path, noise, form):
    path = make(tmp_path, form, noise)
    audio, sample_rate = read(path)
    assert sample_rate == 16000
    assert audio.shape == (2, 24000)
    assert audio.dtype == np.float32
    assert (probe(path).channels, probe(path).sample_rate) == (2, 16000)
    assert isinstance(probe(path), AudioInfo)
    blocks = list(read_blocks(path, 1000))
    assert max(block.shape[1] for block in blocks) <= 1000
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), audio)


@pytest.mark.parametrize("form", ["wav16", "wav24", "wavfloat", "flac"])
def test_a_segment_equals_the_full_decode_at_random_offsets(tmp_path, noise, form):
    path = make(tmp_path, form, noise)
    whole, _ = read(path)
    rng = np.random.default_rng(2)
    for start in [0, 23999, *rng.integers(0, 24000, 60)]:
        samples = int(rng.integers(1, 24000 - start + 1))
        np.testing.assert_array_equal(read_segment(path, int(start), samples), whole[:, start : start + samples])


@pytest.mark.parametrize("form", ["vorbis", "opus", "mp3"])
def test_a_segment_of_a_lossy_file_is_refused_with_the_command_that_converts(tmp_path, noise, form):
    path = make(tmp_path, form, noise)
    with pytest.raises(InputError, match=r"cannot be read in pieces exactly.*telucodec data prepare"):
        read_segment(path, 0, 100)


def test_a_segment_beyond_the_end_says_that_the_file_changed(tmp_path, noise):
    with pytest.raises(InputError, match=r"holds 24000 samples, but 24001 were expected"):
        read_segment(make(tmp_path, "flac", noise), 24000, 1)


def test_what_cannot_be_read_is_named_with_the_cure(tmp_path, noise):
    whole = make(tmp_path, "flac", noise).read_bytes()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "junk.wav").write_bytes(b"not audio" * 100)
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    for name, why in {"none.wav": "no such file", "empty.wav": "0 bytes", "junk.wav": "not recogni"}.items():
        with pytest.raises(InputError, match=rf"(?s){name}: .*{why}"):
            read(tmp_path / name)
    for function in (read, lambda path: list(read_blocks(path))):
        with pytest.raises(InputError, match=r"cut\.flac: cannot be read as audio \(.+\)\. Remove it, copy it again"):
            function(tmp_path / "cut.flac")


@pytest.mark.parametrize("bit", [29, 33, 35])
def test_a_header_that_claims_more_than_its_file_can_hold_is_refused_before_memory_is_taken(tmp_path, noise, bit):
    path = make(tmp_path, "flac", noise)
    flipped = bytearray(path.read_bytes())
    assert int.from_bytes(flipped[21:26], "big") & (1 << 36) - 1 == len(noise)  # the last 36 bits of FLAC's rate field
    flipped[25 - bit // 8] ^= 1 << bit % 8
    path.write_bytes(flipped[:4000])
    for function in (read, probe):
        with pytest.raises(InputError, match=rf"a\.flac: .*claims {24000 + (1 << bit)} samples, more than 4000 bytes"):
            function(path)


def test_sixteen_bits_survive_decoding_and_writing(tmp_path):
    every = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "all.wav", every, 16000)
    audio, _ = read(tmp_path / "all.wav")
    np.testing.assert_array_equal(to_int16(audio)[0], every)
    write(tmp_path / "again.flac", to_int16(audio).astype(np.float32) / 32768, 16000)
    again, _ = soundfile.read(tmp_path / "again.flac", dtype="int16")
    np.testing.assert_array_equal(again, every)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_writing_into_a_full_or_forbidden_place_names_the_file(tmp_path):
    (tmp_path / "a.flac").mkdir()
    with pytest.raises(InputError, match=r"a\.flac: cannot be written"):
        write(tmp_path / "a.flac", np.zeros((1, 100)), 16000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]


def test_decode_mixes_and_resamples(tmp_path):
    t = np.arange(44100) / 44100
    left, right = 0.5 * np.sin(2 * np.pi * 440 * t), 0.25 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 44100, subtype="FLOAT")
    audio, source_rate = decode(tmp_path / "a.wav", 16000)
    wanted = 0.375 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert (audio.shape, source_rate) == ((1, 16000), 44100)
    np.testing.assert_allclose(audio[0, 500:-500], wanted[500:-500], atol=1e-4)


def test_decode_of_no_samples_is_empty(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 48000)
    assert decode(tmp_path / "a.wav", 16000)[0].shape == (1, 0)
