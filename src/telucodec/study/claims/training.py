"""Verdicts from how codecs are trained: how far Adam moves, and which gradients there are (I5 to I9)."""

import math
from collections.abc import Callable, Iterator

from telucodec.diagnosis.identities import straight_through_gain
from telucodec.diagnosis.reach import adam_reach, adam_step_bound
from telucodec.study.claims.arithmetic import keys
from telucodec.study.claims.claim import Effect, Header, Prediction
from telucodec.study.claims.evidence import Case, Evidence, Rule
from telucodec.study.claims.values import Range

# overlays of conf/ablation; tests/study/test_claims_rules.py holds them against what they are
PER_ITEM, OVER_BATCH = ("rms_per_sample_1", "rms_per_sample_15"), ("rms_global_15",)
STEPWISE = ("straight_through_per_step", "straight_through_per_step_attached")
AVERAGED_TOO, SUMMED = ("codebook_loss",), ("commitment_sum",)
BEFORE_DECODER = ("commitment", "codebook")  # terms that the codec reaches through the encoder or the codebooks alone
DECODER_SITES = ("audio", "gain", "output_scale")
OWN_VALUE = ("loss/codebook", "weighted/codebook", "val/loss")  # all that a term without a gradient changes
DIRECTIONS = {"up": Range(math.nextafter(1, 2), math.inf), "down": Range(-math.inf, math.nextafter(1, 0))}
CHANCE = 2 * math.log(2)  # what both halves of a binary cross-entropy come to when the discriminator cannot tell


def reach(case: Case) -> Iterator[Evidence]:
    """Parameters that are said to move farther, or never as far, as Adam can take them (I5)."""
    for prediction in case.claim.predicts:
        steps = [prediction.at.steps(n) for n in (case.header.steps_per_epoch.stated, case.granted)]
        if prediction.from_ is not None and None not in steps:
            yield _reached(case, prediction, [n or 0 for n in steps])


def _reached(case: Case, prediction: Prediction, steps: list[int]) -> Evidence:
    start, (low, high) = prediction.from_ or 0.0, prediction.range
    document = case.header.documents[prediction.preset or case.claim.preset or ""]
    betas = (case.header.betas[0], case.header.betas[1])
    few, many = (adam_reach(document.lr, betas, n, lambda _: 1.0) for n in steps)
    wanted = max(low - start, start - high, 0.0)
    text = (
        f"{prediction.metric} {start:g} -> {prediction.range} by {prediction.at} at lr {document.lr:g}: {wanted:.3g} "
        f"away. In {steps[1]} steps Adam moves a number by {many.steady:.3g} under a steady gradient and by "
        f"{many.bound:.3g} at the very most"
    )
    if prediction.at.unit == "epoch":
        stated = case.header.steps_per_epoch.stated
        text += f" ({case.granted} steps an epoch are granted; with {stated}: {few.steady:.3g} and {few.bound:.3g})"
    if wanted > many.bound:
        verdict = "unreachable"
    else:
        verdict = "certain" if low <= start - many.bound and start + many.bound <= high else "open"
    return Evidence(verdict, "I5", f"|move| <= {adam_step_bound(betas):.2f} lr steps", many.bound, f"{text}.")


def unreached(case: Case) -> Iterator[Evidence]:
    """Gradients of the quantizer's losses at the decoder, which are exactly 0 (I9)."""
    for prediction in case.claim.predicts:
        parts = [key.split("/") for key in keys(prediction.metric)]
        zero = all(
            len(part) == 3
            and part[0] in ("gradient", "gradient_share")
            and part[1] in DECODER_SITES
            and part[2] in BEFORE_DECODER
            for part in parts
        )
        if parts and zero and not prediction.range.low <= 0 <= prediction.range.high:
            text = (
                f"{prediction.metric} is said to be {prediction.range}: the quantizer's losses depend on what comes "
                "before the decoder, so that their gradient in the decoder and at its output is exactly 0."
            )
            yield Evidence("impossible", "I9", "d L_vq / d decoder = 0", 0.0, text)


def effects(case: Case) -> Iterator[Evidence]:
    """What switches are said to do to figures, where an identity says what they do."""
    for effect in case.claim.effects:
        said = effect.factor or DIRECTIONS.get(effect.direction or "", Range(1, 1))
        for allowed in (found for known in FACTORS if (found := known(effect, case.header))):
            low, high, identity, formula, text = allowed
            told = f"{' + '.join(effect.switch)} is said to change {effect.metric} by {_said(effect)}. {text}"
            number = high if math.isfinite(high) else low
            if said.low > high or said.high < low:
                yield Evidence("impossible", identity, formula, number, told)
            elif low == high:
                yield Evidence("certain", identity, formula, number, told)


def _said(effect: Effect) -> str:
    if effect.factor is not None:
        return f"the factor {effect.factor}"
    return {"up": "a factor above 1", "down": "a factor below 1"}.get(effect.direction or "", "nothing")


Allowed = tuple[float, float, str, str, str]  # factors from and to, identity, formula, why


def _loudness_per_item(effect: Effect, header: Header) -> Allowed | None:
    if not (set(effect.switch) <= set(PER_ITEM) and set(effect.against or ()) <= set(OVER_BATCH) and effect.against):
        return None
    if not (effect.metric.startswith("gradient/") and effect.metric.endswith("/rms")):
        return None
    text = "Both losses are means over items, and while the output is too quiet the one per item pulls at most as hard."
    return (-math.inf, 1.0, "I6", "|mean x_i y_i - s X^2| <= |X Y - s X^2|", text)


def _without_gradient(effect: Effect, header: Header) -> Allowed | None:
    if not set(effect.switch) <= set(AVERAGED_TOO) or effect.metric in OWN_VALUE or effect.against:
        return None
    text = "Codewords that are running averages are no parameters: a loss on them has no gradient and changes nothing."
    return (1.0, 1.0, "I8", "d L_codebook / d parameters = 0", text)


def _summed(effect: Effect, header: Header) -> Allowed | None:
    if not set(effect.switch) <= set(SUMMED) or effect.metric not in ("loss/commitment", "weighted/commitment"):
        return None
    text = f"The sum over {header.n_q} codebooks is {header.n_q} times their mean."
    return (header.n_q, header.n_q, "definition", "sum = n_q mean", text)


FACTORS: tuple[Callable[[Effect, Header], Allowed | None], ...] = (_loudness_per_item, _without_gradient, _summed)


def straight_through(case: Case) -> Iterator[Evidence]:
    """What the two places of a straight-through gradient pass on (I7). Decides nothing."""
    if any(set(effect.switch) & set(STEPWISE) for effect in case.claim.effects):
        n_q = case.header.n_q
        once, each = straight_through_gain(n_q, False), straight_through_gain(n_q, True)
        text = (
            f"behind all {n_q} codebooks the gradient passes {once:g} time, one around each passes it {each:g} times."
        )
        yield Evidence("open", "I7", "d latent / d encoded = n_q", each, text)


def chance(case: Case) -> Iterator[Evidence]:
    """Discriminator losses beside that of guessing. Decides nothing: who guesses worse is possible."""
    for prediction in case.claim.predicts:
        if prediction.metric.startswith("adversary/"):
            above = "above it: worse than guessing" if prediction.range.low > CHANCE else "not above it throughout"
            text = (
                f"{prediction.metric} {prediction.range} at {prediction.at}: by binary cross-entropy guessing costs "
                f"{CHANCE:.3f} (hinge 2, least squares 0.5); this is {above}."
            )
            yield Evidence("open", "chance", "L_D = 2 ln 2", CHANCE, text)


RULES: tuple[Rule, ...] = (reach, unreached, effects, straight_through, chance)
