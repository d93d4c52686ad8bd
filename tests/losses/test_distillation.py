import json

import pytest
import torch
from signals import ON, noise, step_of, tone

from telucodec.audio.stft import log_mel
from telucodec.errors import InputError
from telucodec.losses import teacher as teachers
from telucodec.losses.distillation import Distillation
from telucodec.losses.teacher import MelTeacher, TransformersTeacher


def mel_teacher(**options):
    plain = {"sample_rate": 16000, "n_fft": 256, "hop_length": 64, "n_mels": 8, "floor": 1e-5}
    return MelTeacher(**(plain | options))


class Fixed:
    """A teacher that says what it was told to."""

    def __init__(self, features):
        self.said, self.dim = features, features.shape[1]

    def features(self, audio):
        return self.said


def taught(features, semantic, matrix):
    term = Distillation(**ON, teacher=Fixed(features), dim=semantic.shape[1])
    with torch.no_grad():
        term.projection.weight.copy_(matrix)
        term.projection.bias.zero_()
    return term, step_of(tone(), tone(), semantic)


def test_cosine_distance_by_hand():
    """Frames at 0, 90 and 60 degrees to the teacher's: mean of 0, 1 and 0.5. Length does not matter."""
    lesson = torch.tensor([[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]])
    semantic = torch.tensor([[[2.0, 0.0, 0.5], [0.0, 7.0, 0.75**0.5]]])
    term, step = taught(lesson, semantic, torch.eye(2))
    assert term(step).item() == pytest.approx(0.5)


def test_the_projection_is_applied_before_comparing():
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    term, step = taught(torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[0.0], [3.0]]]), swap)
    assert term(step).item() == pytest.approx(0, abs=1e-6)


def test_the_teachers_frames_are_averaged_to_the_codecs():
    """Pairs that average to (1, 0) and (0, 1); half as many frames are repeated."""
    fine = torch.tensor([[[1.0, 1.0, 0.5, -0.5], [1.0, -1.0, 1.0, 1.0]]])
    term, step = taught(fine, torch.eye(2)[None], torch.eye(2))
    assert term(step).item() == pytest.approx(0, abs=1e-6)
    term, step = taught(torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[5.0, 5.0], [0.0, 0.0]]]), torch.eye(2))
    assert term(step).item() == pytest.approx(0, abs=1e-6)


def test_latent_and_projection_learn_and_the_teacher_is_no_part_of_a_checkpoint():
    term = Distillation(**ON, teacher=mel_teacher(), dim=4)
    semantic = noise(2, 4, 16).requires_grad_()
    term(step_of(0.1 * noise(2, 1, 1024), tone(), semantic)).backward()
    assert semantic.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in term.parameters())
    assert set(term.state_dict()) == {"projection.weight", "projection.bias"}
    assert term.reads_semantic
    assert term.through == "encoded"


def test_a_few_updates_bring_the_distance_down():
    torch.manual_seed(0)
    term, semantic = Distillation(**ON, teacher=mel_teacher(), dim=4), noise(1, 4, 16).requires_grad_()
    step = step_of(0.1 * noise(1, 1, 1024), tone(), semantic)
    optimizer = torch.optim.Adam([semantic, *term.parameters()], 0.05)
    before = term(step).item()
    for _ in range(50):
        optimizer.zero_grad()
        term(step).backward()
        optimizer.step()
    assert term(step).item() < 0.3 * before


def test_a_quantizer_without_a_semantic_part_is_named_with_the_cure():
    with pytest.raises(InputError, match="quantizer=mimi"):
        Distillation(**ON, teacher=mel_teacher(), dim=4)(step_of(tone(), tone()))


def test_mel_features_are_the_mel_spectrum_above_the_floor():
    teacher, audio = mel_teacher(), 0.1 * noise(2, 1, 640)
    features = teacher.features(audio)
    assert features.shape == (2, teacher.dim, 11)
    expected = log_mel(audio, 16000, 256, 64, 8, 1e-5)[:, 0] - torch.tensor(1e-5).log()
    assert torch.allclose(features, expected)
    assert teacher.features(torch.zeros(1, 1, 640)).abs().max() < 1e-5, "silence is 0"
    with pytest.raises(ValueError, match="floor must be > 0"):
        mel_teacher(floor=0.0)


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory):
    """A tiny WavLM with random weights, as transformers saves it."""
    transformers = pytest.importorskip("transformers", reason="the extra is not installed")
    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[8, 8],
        conv_stride=[20, 16],
        conv_kernel=[20, 16],
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        num_buckets=8,
    )
    model = transformers.WavLMModel(config).eval()
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, sampling_rate=16000).save_pretrained(folder)
    return folder, model


def test_transformers_features_are_the_models_hidden_states(wavlm):
    folder, model = wavlm
    teacher = TransformersTeacher(folder=str(folder), layer=1, sample_rate=16000)
    audio = 0.1 * noise(2, 1, 3200) + 0.05
    plain = audio[:, 0]
    normal = (plain - plain.mean(1, keepdim=True)) / (plain.var(1, keepdim=True, correction=0) + 1e-7).sqrt()
    with torch.no_grad():
        expected = model(normal, output_hidden_states=True).hidden_states[1].transpose(1, 2)
    assert teacher.dim == 16
    assert expected.shape == (2, 16, 10)
    assert torch.allclose(teacher.features(audio), expected, atol=1e-5)
    assert torch.allclose(teacher.features(5 * audio), expected, atol=1e-3), "it normalises, as the folder says"


def test_transformers_teacher_hears_other_rates_resampled(wavlm):
    teacher = TransformersTeacher(folder=str(wavlm[0]), layer=2, sample_rate=24000)
    assert teacher.features(noise(1, 1, 4800)).shape == (1, 16, 10)


def test_a_transformers_teacher_is_frozen_and_teaches(wavlm):
    teacher = TransformersTeacher(folder=str(wavlm[0]), layer=2, sample_rate=16000)
    assert not any(p.requires_grad for p in teacher.model.parameters())
    term = Distillation(**ON, teacher=teacher, dim=4).train()
    assert not teacher.model.training
    semantic = noise(1, 4, 5).requires_grad_()
    term(step_of(noise(1, 1, 3200), tone(), semantic)).backward()
    assert semantic.grad.abs().sum() > 0
    assert len(list(term.parameters())) == 2


def test_wrong_folders_and_layers_are_refused_with_the_cure(wavlm, tmp_path):
    def make(folder, layer=1):
        return TransformersTeacher(folder=folder, layer=layer, sample_rate=16000)

    with pytest.raises(ValueError, match="layer must be <= 2"):
        make(str(wavlm[0]), layer=3)
    with pytest.raises(InputError, match=r"add teacher.folder=PATH"):
        make(None)
    with pytest.raises(InputError, match="no such folder"):
        make(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no speech model"):
        make(str(tmp_path))
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text((wavlm[0] / name).read_text())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(InputError, match="no speech model"):
        make(str(tmp_path))


def test_a_model_that_does_not_read_samples_is_refused(wavlm, tmp_path):
    import transformers

    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    transformers.BertModel(transformers.BertConfig(vocab_size=9, **tiny)).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="holds a 'bert' model"):
        TransformersTeacher(folder=str(tmp_path), layer=1, sample_rate=16000)


def test_a_missing_package_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(teachers, "import_module", absent)
    with pytest.raises(InputError, match=r"telucodec\[teacher\]"):
        TransformersTeacher(folder="x", layer=1, sample_rate=16000)
