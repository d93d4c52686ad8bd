"""What a search may choose, read from overrides in Hydra's words."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep
from hydra.errors import HydraException, OverrideParseException

from telucodec.cli.compose import members
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.study.search.space import Parameter


def parse_space(overrides: Sequence[str], config_dir: Path | None) -> tuple[list[str], list["Parameter"]]:
    """What is fixed, and what is searched: `interval`, `range`, `choice`, `glob` or `a,b,c` make a parameter.

    Raises:
        InputError: an override cannot be parsed, is empty, or none has several values; the message names it.
    """
    parser = OverridesParser.create()
    try:
        parsed = parser.parse_overrides(list(overrides))
        fixed = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
        space = [_parameter(one, config_dir) for one in parsed if one.is_sweep_override()]
    except OverrideParseException as error:
        raise InputError(f"{error.override}: cannot be parsed. Write key=interval(low,high) or key=a,b,c.") from None
    except HydraException as error:
        raise InputError(f"{str(error).splitlines()[0]} Write key=interval(low,high) or key=a,b,c.") from None
    keys = [one.key for one in space]
    if not keys:
        raise InputError("sweeper=optuna: no override has anything to search. Write key=interval(low,high) or key=a,b.")
    if "seed" in keys:
        raise InputError("seed: a search averages over seeds. Write sweeper.seeds=3 for three runs a trial.")
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise InputError(f"{twice[0]}: is searched twice. Give it once.")
    return fixed, space


def _parameter(override: Override, config_dir: Path | None) -> "Parameter":
    from telucodec.study.search.space import Choice, Interval

    value: Any = override.value()
    key = override.get_key_element()
    if isinstance(value, Glob):
        names = value.filter(members(override.key_or_group, config_dir))
        if not names:
            raise InputError(f"{override.input_line}: matches no file of conf/{override.key_or_group}.")
        return Choice(key, tuple(names))
    assert isinstance(value, Sweep)
    if unknown := value.tags - {"log"}:
        raise InputError(f"{override.input_line}: there is no tag '{min(unknown)}'. The only one is log.")
    log = "log" in value.tags
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        return Interval(key, float(value.start), float(value.end), log, whole)
    if isinstance(value, RangeSweep):
        numbers = sorted(value.range())
        if not numbers:
            raise InputError(f"{override.input_line}: the range is empty. Give its start, its stop and its step.")
        whole = all(isinstance(number, int) for number in numbers)
        return Interval(key, float(numbers[0]), float(numbers[-1]), log, whole, abs(float(value.step)))
    if log:
        raise InputError(f"{override.input_line}: choices have no order to be logarithmic in. Use interval(...).")
    assert isinstance(value, ChoiceSweep)
    return Choice(key, tuple(Override._get_value_element_as_str(one) for one in value.list))
