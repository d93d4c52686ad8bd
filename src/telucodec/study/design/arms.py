"""Arms of arms: copies at other learning rates, and the control in which every loss weighs more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from telucodec.study.design.study import OWN, Arm


def at_rates(arms: Mapping[str, Arm], base: str, rates: Mapping[str, Sequence[str]]) -> dict[str, Arm]:
    """Every arm at each of its learning rates, compared with what its reference is at the same rate.

    The base at a further rate is compared with the base at its first one, and so is an arm that is compared with none:
    what the rate does by itself.

    Args:
        arms: by name; each `against` names another of them, itself, or "" for the base.
        base: name of the base.
        rates: arm -> its learning rates as they are typed, at least one; `own` leaves the arm's own.

    >>> arms = {"base": Arm("base", ()), "tanh": Arm("tanh", ())}
    >>> [*at_rates(arms, "base", {"base": ["own", "1e-4"], "tanh": ["1e-4"]})]
    ['base', 'base@1e-4', 'tanh@1e-4']
    """
    found = {}
    for name, arm in arms.items():
        reference = arm.against or base
        for rate in rates[name]:
            other = called(name, rates[name][0]) if reference == name else called(reference, rate)
            made = replace(arm, name=called(name, rate), rate=rate, of=name, against=other)
            found[made.name] = made
    return found


def called(name: str, rate: str) -> str:
    """What an arm is called at a learning rate.

    >>> called("tanh", "own"), called("tanh", "1e-4")
    ('tanh', 'tanh@1e-4')
    """
    return name if rate == OWN else f"{name}@{rate}"


def null_arm(base: Arm, factor: float) -> Arm:
    """The base with every loss weight of its codec, and the norm at which its gradient is clipped, times a factor.

    Adam divides a gradient by its own size, so that nothing may come of it but rounding: what this arm differs by is
    what any other arm has to exceed.

    >>> null_arm(Arm("base", ()), 10.0).name
    'losses_x10'
    """
    says = f"every loss weight times {factor:g}: what nothing looks like"
    return replace(base, name=f"losses_x{factor:g}", says=says, against=base.name, times=factor, of="")


def joined(*parts: Sequence[str]) -> list[str]:
    """Overrides one after another: of those that set the same key the last counts, but overlays add up.

    >>> joined(["optimizer.lr=1", "ablation=[tanh]"], ["ablation=snake", "optimizer.lr=2"])
    ['optimizer.lr=2', 'ablation=[tanh,snake]']
    """
    values: dict[str, str] = {}
    overlays: dict[str, None] = {}
    for override in (override for part in parts for override in part):
        if override.startswith("ablation="):
            overlays |= dict.fromkeys(overlays_in([override]))
            continue
        key = override.partition("=")[0].lstrip("+")
        before = values.get(key, "")
        if before.startswith("+"):  # added by an earlier one: without it, it is still not there
            override = before[: len(before) - len(before.lstrip("+"))] + override.lstrip("+")
        values[key] = override
    return [*values.values(), *([f"ablation=[{','.join(overlays)}]"] if overlays else [])]


def key_of(override: str) -> str:
    """What an override sets, adds or takes away.

    >>> key_of("+ceilings.l1=5"), key_of("~loss.mel"), key_of("loss=[l1]")
    ('ceilings.l1', 'loss.mel', 'loss')
    """
    return override.lstrip("+~").partition("=")[0]


def overlays_in(overrides: Sequence[str]) -> list[str]:
    """The overlays of conf/ablation that overrides choose.

    >>> overlays_in(["seed=1", "ablation=[tanh, snake]", "ablation=fsq"])
    ['tanh', 'snake', 'fsq']
    """
    chosen = [o.partition("=")[2].strip("[] ") for o in overrides if o.startswith("ablation=")]
    return [name.strip() for each in chosen for name in each.split(",") if name.strip() not in ("", "null")]


def without(overrides: Sequence[str], gone: Sequence[str]) -> list[str]:
    """Overrides but for some overlays.

    >>> without(["ablation=[tanh,snake]", "optimizer.lr=1"], ["tanh"])
    ['optimizer.lr=1', 'ablation=[snake]']
    """
    rest = [override for override in overrides if not override.startswith("ablation=")]
    return joined(rest, [f"ablation=[{name}]" for name in overlays_in(overrides) if name not in gone])


def rate_text(rate: float | str) -> str:
    """A learning rate as short as it can be typed.

    Raises:
        ValueError: it is none.

    >>> rate_text(0.0001), rate_text("3e-4"), rate_text(0.00025), rate_text("own")
    ('1e-4', '3e-4', '2.5e-4', 'own')
    """
    if rate == OWN:
        return OWN
    value = float(rate)
    if not 0 < value < float("inf"):
        raise ValueError(f"a learning rate must be above 0, got {rate}")
    mantissa, _, exponent = f"{value:.9e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
