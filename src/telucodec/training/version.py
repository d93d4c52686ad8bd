"""Which code a run was made with: runs of unlike code are not to be mixed."""

import ast
import hashlib
import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import telucodec
from telucodec.data.cache import cache_dir
from telucodec.disk import write_text
from telucodec.errors import InputError

ABOVE = ("study", "cli")  # launch, collect and compare runs: what they do changes none


@lru_cache(maxsize=1)
def code_version() -> str:
    """Twelve digits that change with any statement of the code that trains and measures, and with nothing else.

    They are those of the moment when this process first asked, and of all that it forks. Comments, docstrings and
    layout do not count, nor do the floors that only launch and compare.
    """
    return version_on_disk()


def version_on_disk() -> str:
    """What `code_version` is in a process that begins now.

    To parse all files takes most of a second: the cache folder keeps what came of the very same bytes.

    Raises:
        OSError, SyntaxError, ValueError: a file is no Python, or goes away, as while somebody writes it.
    """
    root = Path(telucodec.__file__).parent
    sources = {name: (root / name).read_text(encoding="utf-8") for name in _files()}
    kept = cache_dir() / "code" / _digest([platform.python_version(), *map(repr, sources.items())])
    with suppress(OSError, ValueError):
        if re.fullmatch("[0-9a-f]{12}", known := kept.read_text(encoding="ascii")):
            return known
    found = _digest(f"{name}\n{statements(source)}\n" for name, source in sources.items())[:12]
    with suppress(InputError):  # where nothing can be kept, the next run parses again
        write_text(kept, found)
    return found


def modules() -> list[str]:
    """The names of all modules that the version counts."""
    names = [".".join(("telucodec", *Path(name).with_suffix("").parts)) for name in _files()]
    return [name.removesuffix(".__init__") for name in names]


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


def _files() -> list[str]:
    """What counts, below the package's folder."""
    root = Path(telucodec.__file__).parent
    paths = [path.relative_to(root) for path in sorted(root.rglob("*.py"))]
    return [str(path) for path in paths if path.parts[0] not in ABOVE]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()
