"""Where studies and the ledger of claims lie."""

from pathlib import Path

import telucodec
from telucodec.errors import InputError

HOME = Path("experiments")
LEDGER = HOME / "seed_documents/claims.yaml"


def place(name: str) -> Path:
    """The folder of a study: below experiments/ here, or in the checkout that this package is installed from.

    Raises:
        InputError: there is no such study; the nearest is named.
    """
    from telucodec.build import nearest
    from telucodec.study.design.read import FILE

    homes = [HOME, Path(telucodec.__file__).parents[2] / HOME]
    found = next((path for path in (Path(name), *(home / name for home in homes)) if (path / FILE).is_file()), None)
    if found is not None:
        return found
    known = sorted({path.parent.name for home in homes for path in home.glob(f"*/{FILE}")})
    hint = nearest(name, known) if known else "There is none; `telucodec study design` writes one."
    raise InputError(f"{name}: there is no {HOME}/{name}/{FILE}. {hint}")
