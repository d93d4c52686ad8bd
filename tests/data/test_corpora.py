"""Each reader on a small tree in the true layout of its corpus."""

import json

import pytest
from speechlike import save, text

from telucodec.data.corpora import LAYOUTS, detect, read_corpus
from telucodec.errors import InputError

CV_COLUMNS = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale segment"
)
CV_HEADER = CV_COLUMNS.replace(" ", "\t")


def found(root, recordings):
    return {str(r.path.relative_to(root)): (r.speaker, r.language, r.split, r.group) for r in recordings}


def make_slr66(root):
    lines = [
        "tef_00682_00166722817\tనమస్కారం",
        'tem_00123_00000000001\tstray\tవాన "కురుస్తోంది',
        "tem_00123_00000000002\tచేప",
        "odd name\tపాలు",
    ]
    text(root / "line_index.tsv", "\n".join(lines) + "\n")
    for line in lines:
        save(root / f"{line.split(chr(9))[0]}.wav", sample_rate=48000)
    return root


def make_common_voice(root):
    def row(client, path, sentence="వాక్యం"):
        return f"{client}\t{path}\tsid\t{sentence}\t\t2\t0\t\t\t\t\tte\t"

    text(root / "validated.tsv", "\n".join([CV_HEADER, row("c1", "a.mp3", 'one "quote'), row("c1", "b.mp3")]) + "\n")
    text(root / "other.tsv", "\n".join([CV_HEADER, row("c2", "c.mp3")]) + "\n")
    text(root / "train.tsv", "\n".join([CV_HEADER, row("c1", "a.mp3")]) + "\n")
    text(root / "invalidated.tsv", "\n".join([CV_HEADER, row("c3", "d.mp3")]) + "\n")
    for name in "abcd":
        save(root / "clips" / f"{name}.mp3", sample_rate=32000)
    return root


def make_fleurs(root, audio="audio/{split}"):
    for split, ids in {"train": [1, 1, 2], "dev": [3], "test": [4]}.items():
        rows = []
        for number, sentence in enumerate(ids):
            name = f"{split}{number}.wav"
            rows.append(f'{sentence}\t{name}\tRaw "text\ttext\tt e x t |\t16000\tFEMALE')
            save(root / audio.format(split=split) / name, subtype="FLOAT")
        text(root / f"{split}.tsv", "\n".join(rows) + "\n")
    return root


def make_indictts(root):
    for sex in ("male", "female"):
        ids = [f"train_telugu{sex}_{n:05d}" for n in (1, 2)]
        text(root / "te" / sex / "mono" / "txt.done.data", "".join(f'( {i} " వాన కురుస్తోంది " )\n' for i in ids))
        for name in ids:
            save(root / "te" / sex / "mono" / "wav" / f"{name}.wav", sample_rate=48000)
    return root


def make_respin(root, sets=("train_te_small",)):
    for name in sets:
        meta = {}
        for dialect, speaker in (("D1", 1001), ("D2", 1002)):
            number = f"{speaker}{len(name)}"
            utterance = f"IISc_RESPIN_te_{dialect}_{number}_500001_F_AGRI_7_1"
            path = f"{dialect}/{number}/{utterance}.wav"
            about = {"speaker_id": number, "gender": "F", "dialect": dialect, "domain": "AGRI", "text": "వరి"}
            meta[utterance] = about | {"wav_path": path}
            save(root / name / path)
            text(root / name / dialect / number / f"IISc_RESPIN_te_{number}.txt", f"{utterance}\tవరి\n")
        text(root / name / f"meta_{name}.json", json.dumps(meta, ensure_ascii=False))
    return root


def make_syspin(root, wav="wav"):
    folder = root / "IISc_SYSPINProject_Telugu_Female_Spk001_HC"
    name = "IISc_SYSPINProject_te_f_AGRI_00001"
    index = {"MetaData": {}, "SpeakersMetaData": {}, "Transcripts": {name: {"Transcript": "వరి", "Domain": "AGRI"}}}
    text(folder / "IISc_SYSPINProject_Telugu_Female_Spk001_HC_Transcripts.json", json.dumps(index))
    save(folder / wav / f"{name}.wav", sample_rate=48000, subtype="PCM_24")
    return root


MAKERS = {
    "slr66": make_slr66,
    "common_voice": make_common_voice,
    "fleurs": make_fleurs,
    "indictts": make_indictts,
    "respin": make_respin,
    "syspin": make_syspin,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_layout_is_recognised_at_its_root_and_from_above(tmp_path, name):
    root = MAKERS[name](tmp_path / "above" / "corpus")
    assert detect(root) == name
    assert detect(root.parent) == name
    corpus, recordings = read_corpus(root)
    assert corpus == name
    assert recordings == sorted(recordings, key=lambda r: r.path)
    assert all(r.path.is_file() for r in recordings)


def test_slr66_takes_speaker_and_language_from_the_name(tmp_path):
    root = make_slr66(tmp_path)
    assert found(root, read_corpus(root, "slr66")[1]) == {
        "tef_00682_00166722817.wav": ("tef_00682", "te", None, None),
        "tem_00123_00000000001.wav": ("tem_00123", "te", None, None),
        "tem_00123_00000000002.wav": ("tem_00123", "te", None, None),
        "odd name.wav": (None, None, None, None),
    }


def test_common_voice_takes_validated_and_other_once_by_header_name(tmp_path):
    root = make_common_voice(tmp_path)
    recordings = read_corpus(root)[1]
    assert found(root, recordings) == {
        "clips/a.mp3": ("c1", "te", None, None),
        "clips/b.mp3": ("c1", "te", None, None),
        "clips/c.mp3": ("c2", "te", None, None),
    }


def test_common_voice_of_an_old_release(tmp_path):
    save(tmp_path / "te" / "clips" / "x.mp3")
    text(tmp_path / "te" / "validated.tsv", "path\tsentence\tclient_id\nx\ts\tc1\n")
    recordings = read_corpus(tmp_path)[1]
    assert found(tmp_path, recordings)["te/clips/x.mp3"] == ("c1", "te", None, None)


def test_common_voice_without_its_columns_is_refused(tmp_path):
    (tmp_path / "clips").mkdir()
    text(tmp_path / "validated.tsv", "speaker\tfile\nc1\tx.mp3\n")
    with pytest.raises(
        InputError, match=r"validated\.tsv: lacks the column 'client_id' or 'path' \(it has: speaker, file\)"
    ):
        read_corpus(tmp_path)
    text(tmp_path / "validated.tsv", "sentence\tclient_id\tpath\nonly\n")
    with pytest.raises(InputError, match=r"validated\.tsv, line 2: too few columns"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("audio", ["audio/{split}", "{split}"])
def test_fleurs_keeps_its_splits_and_groups_by_sentence(tmp_path, audio):
    root = make_fleurs(tmp_path / "te_in", audio)
    where = audio.format(split="train")
    recordings = found(root, read_corpus(root)[1])
    assert recordings[f"{where}/train0.wav"] == (None, "te", "train", "sentence 1")
    assert recordings[f"{where}/train1.wav"] == (None, "te", "train", "sentence 1")
    assert recordings[f"{audio.format(split='dev')}/dev0.wav"] == (None, "te", "valid", "sentence 3")
    assert len(recordings) == 5


def test_fleurs_still_packed_says_how_to_unpack(tmp_path):
    root = make_fleurs(tmp_path / "te_in")
    for path in (root / "audio" / "dev").iterdir():
        path.unlink()
    (root / "audio" / "dev").rmdir()
    with pytest.raises(InputError, match=r"audio/dev: the audio that dev\.tsv names is not there\. Download"):
        read_corpus(root)
    (root / "audio" / "dev.tar.gz").touch()
    with pytest.raises(InputError, match=r"tar -xzf .*audio/dev\.tar\.gz -C .*audio"):
        read_corpus(root)


def test_indictts_speaks_with_the_folder_as_speaker(tmp_path):
    recordings = found(tmp_path, read_corpus(make_indictts(tmp_path))[1])
    assert recordings["te/male/mono/wav/train_telugumale_00001.wav"] == ("te/male", "te", None, None)
    assert {speaker for speaker, *_ in recordings.values()} == {"te/male", "te/female"}


def test_festvox_voice(tmp_path):
    text(tmp_path / "iiit_tel_kpn" / "etc" / "txt.done.data", '( tel_0001 "ఒకటి" )\n')
    save(tmp_path / "iiit_tel_kpn" / "wav" / "tel_0001.wav")
    recordings = found(tmp_path, read_corpus(tmp_path)[1])
    assert recordings == {"iiit_tel_kpn/wav/tel_0001.wav": ("iiit_tel_kpn", None, None, None)}
    text(tmp_path / "iiit_tel_kpn" / "etc" / "txt.done.data", "tel_0001 no parentheses\n")
    with pytest.raises(InputError, match=r"txt\.done\.data, line 1: not of the form"):
        read_corpus(tmp_path)


def test_respin_of_one_set_leaves_splits_open(tmp_path):
    root = make_respin(tmp_path)
    recordings = found(root, read_corpus(root)[1])
    name = "train_te_small/D1/100114/IISc_RESPIN_te_D1_100114_500001_F_AGRI_7_1.wav"
    assert recordings[name] == ("100114", "te", None, None)


def test_respin_of_several_sets_keeps_their_splits(tmp_path):
    root = make_respin(tmp_path, ("train_te_small", "dev_te", "test_te"))
    splits = {path.split("/")[0]: split for path, (_, _, split, _) in found(root, read_corpus(root)[1]).items()}
    assert splits == {"train_te_small": "train", "dev_te": "valid", "test_te": "test"}


@pytest.mark.parametrize("wav", ["wav", "wavs"])
def test_syspin(tmp_path, wav):
    recordings = read_corpus(make_syspin(tmp_path, wav))[1]
    assert [(r.speaker, r.language, r.path.parent.name) for r in recordings] == [("Female_Spk001", "te", wav)]


def test_json_that_is_damaged_is_named(tmp_path):
    folder = make_syspin(tmp_path) / "IISc_SYSPINProject_Telugu_Female_Spk001_HC"
    index = next(folder.glob("*.json"))
    for content, why in {"{": "is no JSON", "[]": "not a JSON object", "{}": "no object 'Transcripts'"}.items():
        index.write_text(content)
        with pytest.raises(InputError, match=rf"(?s)_Transcripts\.json: .*{why}"):
            read_corpus(tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_a_named_layout_whose_index_is_missing_is_an_error(tmp_path, name):
    save(tmp_path / "a.wav")
    with pytest.raises(InputError, match=r"(?i)give the folder"):
        read_corpus(tmp_path, name)


def test_several_corpora_in_one_folder_are_told_apart(tmp_path):
    make_slr66(tmp_path / "one")
    make_common_voice(tmp_path / "two")
    with pytest.raises(InputError, match=r"holds several corpora: slr66 .*, common_voice "):
        read_corpus(tmp_path)
    assert len(read_corpus(tmp_path, "slr66")[1]) == 4
    assert len(read_corpus(tmp_path, "folder")[1]) == 8


def test_an_unknown_layout_names_the_known(tmp_path):
    with pytest.raises(InputError, match=f"corpus 'timit': not known. Choose one of: auto, {', '.join(LAYOUTS)}"):
        read_corpus(tmp_path, "timit")
