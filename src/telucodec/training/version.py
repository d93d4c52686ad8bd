"""Which code a run was made with: runs of unlike code are not to be mixed."""

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

import telucodec

ABOVE = ("study", "cli")  # launch, collect and compare runs: what they do changes none


@lru_cache(maxsize=1)
def code_version() -> str:
    """Twelve digits that change with any statement of the code that trains and measures, and with nothing else.

    Comments, docstrings and layout do not count, nor do the floors that only launch and compare.
    """
    root, digest = Path(telucodec.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in ABOVE:
            digest.update(f"{path.relative_to(root)}\n{statements(path.read_text(encoding='utf-8'))}\n".encode())
    return digest.hexdigest()[:12]


def statements(source: str) -> str:
    """Source without comments, docstrings and layout.

    >>> statements("x = (1)  # why") == statements("x=1")
    True
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
