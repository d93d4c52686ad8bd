"""Sums as text: of numbers, and of figures by their keys in the log."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

KEY = re.compile(r"[A-Za-z_]\w*(?:/[\w~-]+)+")  # operators beside a key stand between spaces
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
FUNCTIONS = {"sqrt": math.sqrt, "log10": math.log10}


def keys(expression: str) -> list[str]:
    """The keys of figures in an expression, in order.

    >>> keys("loss/l1 + 0.5 * loss/mse"), keys("0.9 / 0.02")
    (['loss/l1', 'loss/mse'], [])
    """
    return KEY.findall(expression)


def evaluate(expression: str, figures: Mapping[str, float]) -> float:
    """The value of + - * / **, sqrt and log10 over numbers and figures.

    Args:
        expression: for example "loss/l1 + loss/mse".
        figures: key -> value.

    Raises:
        ValueError: it holds anything else, lacks a figure, or has no value.

    >>> evaluate("loss/l1 + 2 * loss/mse", {"loss/l1": 0.5, "loss/mse": 0.25}), evaluate("10 ** (-20 / 20)", {})
    (1.0, 0.1)
    """
    names: dict[str, float] = {}

    def name(found: re.Match[str]) -> str:
        if found[0] not in figures:
            raise ValueError(f"{expression!r}: there is no figure {found[0]}")
        names[f"_{len(names)}"] = figures[found[0]]
        return f"_{len(names) - 1}"

    try:
        value = _value(ast.parse(KEY.sub(name, expression), mode="eval").body, names)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{expression!r}: is no arithmetic") from None
    except (ZeroDivisionError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{expression!r}: has no finite value")
    return value


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, names)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        found = OPERATORS[type(node.op)](_value(node.left, names), _value(node.right, names))
    elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in FUNCTIONS and len(node.args) == 1:
        found = FUNCTIONS[node.func.id](_value(node.args[0], names))  # type: ignore[attr-defined]
    else:
        raise ValueError(f"{ast.unparse(node)!r}: only numbers, keys, + - * / **, sqrt() and log10() may be used")
    return math.nan if isinstance(found, complex) else found
