"""Gradients per loss against finite differences in float64, and against numbers that a person can compute."""

import copy
from dataclasses import replace

import pytest
import torch

from conftest import toy_module, voices
from telucodec.audio import stft
from telucodec.audio.picture import pixels
from telucodec.diagnosis.gradient_findings import GradientFindings
from telucodec.diagnosis.gradient_picture import draw
from telucodec.diagnosis.gradients import TermGradients
from telucodec.diagnosis.identities import scale_gradient
from telucodec.diagnosis.probe import Subject
from telucodec.losses.term import Term, Terms

SITES = ["audio", "gain", "encoded", "weights"]
ALL = ["l1", "mse", "l1_emphasis", "mel", "adversarial", "feature", "commitment"]


@pytest.fixture
def in_float64(monkeypatch):
    """Losses and quantizers cast to single precision; here that is double."""
    caches = (stft._window, stft._filters)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    for cache in caches:
        cache.cache_clear()
    yield
    torch.set_default_dtype(torch.float32)
    for cache in caches:
        cache.cache_clear()


def subject_of(*overrides, extra=None, index=0):
    module = toy_module(*overrides)
    audio = torch.stack([torch.from_numpy(voices(k, 0.064)) for k in range(3)]).to(torch.get_default_dtype())
    module.train()
    with torch.no_grad():
        module.codec(audio)  # the codebooks begin
    terms = module.terms if extra is None else Terms(terms=dict(module.terms.terms) | extra, ceilings={})
    return Subject(index, module.codec, module.adversary, terms, module.combine, audio, audio)


def measured(subject, sites=SITES):
    return TermGradients(sites=sites).measure(subject)


class Along(Term):
    """A linear function of a site: its gradient there is a direction, its product with a term's the derivative."""

    def __init__(self, read, seed=0):
        super().__init__(weight=0.0, start=0)
        self.read, self.seed, self.directions = read, seed, []

    def forward(self, step):
        tensors = self.read(step)
        generator = torch.Generator().manual_seed(self.seed)
        self.directions = [torch.randn(t.shape, generator=generator) for t in tensors]
        return torch.stack([(t * d).sum() for t, d in zip(tensors, self.directions, strict=True)]).sum()


def derivatives(subject, site):
    """What the probe says of each term along the direction."""
    findings = measured(subject, [site])
    return dict(zip(findings.weights, findings.products[site][:, -1].tolist(), strict=True))


def values(subject):
    with torch.no_grad():
        step = subject.step(subject.trained, subject.codec(subject.trained))
        return {name: float(s.value) for name, s in subject.scored(step).items()}


def differences(subject, move, eps):
    """Central differences of fourth order of each term; `move(x)` shifts the site to x."""
    found = {}
    for x in (-2, -1, 1, 2):
        undo = move(x * eps)
        found[x] = values(subject)
        undo()
    return {n: (8 * (found[1][n] - found[-1][n]) - (found[2][n] - found[-2][n])) / (12 * eps) for n in found[1]}


def shifted(module, direction):
    """A site shifted along a direction: what a module gives is."""
    return lambda x: module.register_forward_hook(lambda _, inputs, output: output + x * direction).remove


def moved(parameters, directions):
    """Parameters shifted along directions."""

    def move(x):
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=x)

        def undo():
            with torch.no_grad():
                for parameter, old in zip(parameters, before, strict=True):
                    parameter.copy_(old)

        return undo

    return move


def agree(got, want, names):
    assert all(want[n] != 0 for n in names)
    assert {n: got[n] for n in names} == pytest.approx(
        {n: want[n] for n in names}, rel=1e-6, abs=1e-9
    )  # rounding of values of about 1 over 1e-7


HEARD = [name for name in ALL if name != "commitment"]


def test_at_the_audio_against_finite_differences(in_float64):
    along = Along(lambda step: [step.audio])
    subject = subject_of(extra={"along": along})
    got = derivatives(subject, "audio")
    want = differences(subject, shifted(subject.codec.output, along.directions[0]), 1e-7)
    agree(got, want, HEARD)
    assert got["commitment"] == want["commitment"] == 0


@pytest.mark.parametrize("output", ["scale", "scale_log", "scale_fixed", "post_net"])
def test_at_the_gain_against_finite_differences(in_float64, output):
    """A learned scale, as it is or as a logarithm; else the weight of the last convolution, of decoder or post-net."""
    subject = subject_of(f"output=[{output}]", "output.scale.initial=1.7" if "scale" in output else "seed=0")
    stage = next(iter(subject.codec.output.stages.values()))
    if output == "scale":
        parameter, relative = stage.scale, stage.scale.detach().clone()
    elif output == "scale_log":
        parameter, relative = stage.scale, torch.tensor(1.0)
    else:
        parameter = stage.fall.weight if output == "post_net" else subject.codec.decoder.layers[-1].conv.weight
        relative = parameter.detach().clone()
    findings = measured(subject, ["gain"])
    want = differences(subject, moved([parameter], [relative]), 1e-7)
    agree(findings.louder, want, HEARD)
    assert findings.louder["commitment"] == want["commitment"] == 0
    if output in ("scale", "scale_log"):
        assert findings.output_scale == pytest.approx({n: v / 1.7 for n, v in findings.louder.items()})
    else:
        assert findings.output_scale == {}


def test_the_gain_of_a_normed_convolution_is_that_of_its_lengths(in_float64):
    subject = subject_of("output=[]", "norm=weight")
    lengths = subject.codec.decoder.layers[-1].conv.parametrizations.weight.original0
    step = subject.step(subject.trained, subject.codec(subject.trained))
    scored = subject.scored(step)
    slopes = {n: torch.autograd.grad(scored[n].value, lengths, retain_graph=True)[0] for n in HEARD}
    want = {name: float((slope * lengths).detach().sum()) for name, slope in slopes.items()}
    agree(measured(subject, ["gain"]).louder, want, HEARD)


def test_at_the_encoder_against_finite_differences(in_float64):
    """Without a quantizer, so that no estimated gradient lies on the way."""
    along = Along(lambda step: [step.encoded])
    subject = subject_of("quantizer=none", extra={"along": along})
    got = derivatives(subject, "encoded")
    want = differences(subject, shifted(subject.codec.encoder, along.directions[0]), 1e-7)
    agree(got, want, HEARD)


def test_at_the_encoder_behind_a_quantizer_against_finite_differences(in_float64):
    """Straight through: what is heard has its gradient at the latent; commitment its own while the codes are held."""
    along = Along(lambda step: [step.encoded])
    subject = subject_of(extra={"along": along})
    got = derivatives(subject, "encoded")
    direction = along.directions[0]

    def latent(x):
        return subject.codec.decoder.register_forward_pre_hook(lambda _, inputs: inputs[0] + x * direction).remove

    agree(got, differences(subject, latent, 1e-7), HEARD)
    agree(got, differences(subject, shifted(subject.codec.encoder, direction), 1e-7), ["commitment"])


def test_over_the_weights_against_finite_differences(in_float64):
    made = []
    along = Along(lambda step: made)
    subject = subject_of("quantizer=none", extra={"along": along})
    made += subject.codec.parameters()
    got = derivatives(subject, "weights")
    agree(got, differences(subject, moved(made, along.directions), 1e-7), HEARD)


@pytest.mark.parametrize("combine", ["weighted_sum", "balancer"])
def test_the_weights_in_force_give_the_gradient_that_is_descended(in_float64, combine):
    """|sum of w g|^2 from the inner products, against one backward pass of the combined scalar."""
    subject = subject_of(f"combine={combine}", *(["combine.decay=0.0"] if combine == "balancer" else []))
    step = subject.step(subject.trained, subject.codec(subject.trained))
    weights = list(subject.codec.parameters())
    with subject.adversary.frozen():
        scalar = subject.combine(subject.scored(step), step)
        slopes = torch.autograd.grad(scalar, [step.audio, step.encoded, *weights], allow_unused=True)
    squares = [0.0 if slope is None else float(slope.square().sum()) for slope in slopes]
    findings = measured(subject)
    force = torch.tensor(list(findings.weights.values()))
    for site, want in (("audio", squares[0]), ("encoded", squares[1]), ("weights", sum(squares[2:]))):
        assert float(force @ findings.products[site] @ force) == pytest.approx(want, rel=1e-6)


def test_balanced_terms_pull_by_their_weights():
    """Decay 0, one norm over the batch: shares at the audio are the weights' own, 1 : 30 : 2."""
    options = ["combine=balancer", "combine.decay=0.0", "combine.per_batch_item=false", "loss=[l1,mse,l1_emphasis]"]
    subject = subject_of(*options)
    assert measured(subject, ["audio"]).shares("audio") == {}, "not known before a step"
    step = subject.step(subject.trained, subject.codec(subject.trained))
    subject.combine(subject.scored(step), step)
    shares = measured(subject, ["audio"]).shares("audio")
    assert shares == pytest.approx({"l1": 1 / 33, "mse": 30 / 33, "l1_emphasis": 2 / 33}, rel=1e-5)


def test_mse_pulls_by_twice_the_error_over_the_samples():
    subject = subject_of()
    error = (subject.codec(subject.trained).audio - subject.trained).detach()
    norms = measured(subject, ["audio"]).norms("audio")
    assert norms["mse"] == pytest.approx(2 * float(error.norm()) / error.numel(), rel=1e-5)
    assert norms["l1"] == pytest.approx(error.numel() ** -0.5, rel=1e-5), "signs over the samples"


def test_commitment_does_not_reach_the_decoder():
    figures = measured(subject_of()).figures()
    assert figures["gradient/audio/commitment"] == figures["gradient/gain/commitment"] == 0
    assert figures["gradient/output_scale/commitment"] == figures["gradient_share/gain/commitment"] == 0
    assert figures["gradient/encoded/commitment"] > 0
    assert not any("audio" in key and "~commitment" in key for key in figures)
    assert "gradient_cosine/encoded/l1~commitment" in figures


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_the_scales_gradient_is_the_identitys(scale):
    subject = subject_of(f"output.scale.initial={scale}")
    x = subject.codec(subject.trained).audio.detach() / scale
    want = scale_gradient(scale, float(x.square().mean()), float((x * subject.trained).mean()))
    findings = measured(subject, ["gain"])
    assert findings.output_scale["mse"] == pytest.approx(want, rel=1e-4)
    assert findings.louder["mse"] == pytest.approx(want * scale, rel=1e-4)


def two(weights=(1.0, 2.0)):
    """Gradients (3, 4) and (0, 5); the second term wants it louder, by the same amount."""
    products = torch.tensor([[25.0, 20.0], [20.0, 25.0]], dtype=torch.float64)
    gain = torch.tensor([[4.0, -4.0], [-4.0, 4.0]], dtype=torch.float64)
    louder = {"a": 2.0, "b": -2.0}
    return GradientFindings(
        6, dict(zip("ab", weights, strict=True)), {"audio": products, "gain": gain, "weights": products}, louder, {}
    )


def test_shares_cosines_and_parts_by_hand():
    figures = two().figures()
    assert figures["gradient/audio/a"] == figures["gradient/audio/b"] == 5
    assert figures["gradient_share/audio/a"] == pytest.approx(1 / 3)
    assert figures["gradient_share/gain/b"] == pytest.approx(2 / 3)
    assert (figures["gradient/gain/a"], figures["gradient/gain/b"]) == (2, -2)
    assert figures["gradient_cosine/audio/a~b"] == pytest.approx(0.8)
    assert figures["gradient_clip/a"] == pytest.approx(65 / 205), "G = (3, 14), <(3, 4), G> = 65"
    assert figures["gradient_clip/b"] == pytest.approx(140 / 205)
    assert not any(key.startswith("gradient_cosine/gain") for key in figures)


def test_a_term_of_weight_0_has_a_norm_and_no_share():
    figures = two((1.0, 0.0)).figures()
    assert figures["gradient/audio/b"] == 5
    assert figures["gradient_share/audio/b"] == figures["gradient_clip/b"] == 0
    assert figures["gradient_share/audio/a"] == 1


def test_what_is_undefined_is_absent():
    unknown = two((float("nan"), 1.0)).figures()
    assert not any(key.startswith(("gradient_share", "gradient_clip")) for key in unknown)
    assert unknown["gradient/audio/a"] == 5
    none = torch.zeros(2, 2, dtype=torch.float64)
    still = replace(two(), products={"audio": none, "weights": none}, louder={})
    assert still.figures() == {f"gradient/{site}/{name}": 0 for site in ("audio", "weights") for name in "ab"}


def test_terms_that_have_not_begun_are_absent():
    subject = subject_of("adversary.start=100", index=99)
    assert list(measured(subject, ["audio"]).weights) == [n for n in ALL if n not in ("adversarial", "feature")]
    assert list(measured(replace(subject, index=100), ["audio"]).weights) == ALL


def test_one_backward_pass_a_term_and_none_for_sites_that_are_left_out(monkeypatch):
    subject, asked = subject_of("loss=[l1,mse,commitment]"), []
    grad = torch.autograd.grad

    def counted(value, tensors, **options):
        asked.append(len(tensors))
        return grad(value, tensors, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    passes = []
    subject.codec.decoder.register_full_backward_hook(lambda *_: passes.append(1))
    findings = measured(subject, ["audio"])
    assert asked == [1, 1, 1]
    assert passes == [], "the decoder is not differentiated"
    assert set(findings.products) == {"audio"}
    assert findings.louder == findings.output_scale == findings.clip_parts() == {}
    asked.clear()
    measured(subject, ["encoded", "weights", "audio"])
    assert asked == [2 + len(list(subject.codec.parameters()))] * 3
    assert len(passes) == 2, "commitment has nothing to do there"


def test_float16s_loss_scale_leaves_no_trace():
    subject = subject_of()
    probe = TermGradients(sites=SITES)
    plain, scaled = (probe.measure(subject, loss_scale=scale).figures() for scale in (1.0, 1024.0))
    assert scaled == pytest.approx(plain, rel=1e-4, abs=1e-9)


def test_nothing_is_changed():
    """Running statistics, codebooks, random streams, modes, switches and gradients, with all that moves them."""
    subject = subject_of("output=[post_net,scale]", "quantizer_dropout=items", "norm=weight")
    subject.codec.eval()
    parts = {"codec": subject.codec, "adversary": subject.adversary, "terms": subject.terms}

    def state():
        weights = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
        modes = {name: [m.training for m in part.modules()] for name, part in parts.items()}
        switches = {name: [p.requires_grad for p in part.parameters()] for name, part in parts.items()}
        return weights, modes, switches, torch.get_rng_state()

    before = state()
    with torch.no_grad():
        findings = TermGradients(sites=SITES)(subject)
    after = state()
    for name, tensors in before[0].items():
        assert all(torch.equal(tensor, after[0][name][key]) for key, tensor in tensors.items())
    assert before[1:3] == after[1:3]
    assert torch.equal(before[3], after[3])
    assert all(p.grad is None for part in parts.values() for p in part.parameters())
    assert findings.figures["gradient/audio/l1"] > 0


def test_the_picture_says_it():
    """Shares of 1/3 and 2/3; what wants it louder points right."""
    figure = draw(two())
    axes = [ax for part in figure.subfigs for ax in part.axes]
    bars = {ax.get_title(): [bar.get_width() for bar in ax.patches] for ax in axes if ax.patches}
    assert bars["What pulls the waveform"] == pytest.approx([100 / 3, 200 / 3])
    assert bars["Who wants it louder, who quieter"] == pytest.approx([-100 / 3, 200 / 3])
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["a \u00d7 1", "b \u00d7 2"]
    squares = next(ax for ax in axes if ax.get_title() == "Do they agree at the decoded audio?")
    assert [text.get_text() for text in squares.texts] == ["1.0", "0.8", "0.8", "1.0"]
    assert figure.get_suptitle() == "Which loss pulls where, step 7"
    assert pixels(figure).std() > 10


@pytest.mark.parametrize("sites", [["gain"], ["audio"], SITES])
def test_the_picture_of_some_sites(sites):
    picture = TermGradients(sites=sites)(subject_of("loss=[l1,commitment]")).pictures["gradients"]
    titles = [ax.get_title() for part in picture.subfigs for ax in part.axes]
    assert ("Who wants it louder, who quieter" in titles) == ("gain" in sites)
    assert ("Do they agree at the decoded audio?" in titles) == ("audio" in sites)
    assert pixels(picture).std() > 10


@pytest.mark.parametrize("sites", [[], ["audoi"]])
def test_wrong_sites_are_refused(sites):
    with pytest.raises(ValueError, match=r"sites must be some of audio, gain, encoded, weights, got \["):
        TermGradients(sites=sites)
