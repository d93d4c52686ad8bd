"""How claims and verdicts are shown, whatever decided them."""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from telucodec.study.claims.claim import Claim, Prediction
    from telucodec.study.claims.evidence import Evidence
    from telucodec.study.claims.ledger import Ledger
    from telucodec.study.claims.measured import Decided
    from telucodec.study.claims.verdicts import Judged

WIDE = 120  # characters from which on every part has a column of its own
COLOURS = {
    "impossible": "red", "unreachable": "red", "inconsistent": "magenta", "exclusive": "magenta",
    "impossible in part": "red", "false": "yellow", "partly": "yellow", "true": "green", "certain": "green",
    "consistent": "green", "open": "cyan",
    "refuted": "yellow", "confirmed": "green", "inconclusive": "magenta", "untested": "cyan",
}  # fmt: skip


def write_json(plain: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects."""
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def console() -> Console:
    """As wide as the terminal, or as a page where there is none."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(width=width, highlight=False, markup=False)


def because(evidence: "Evidence") -> str:
    """The formula that decides, and its number."""
    number = "" if evidence.number is None else f" -> {evidence.number:.4g}"
    return f"{evidence.identity}: {evidence.formula}{number}"


def counted(judged: "Sequence[Judged | Decided]", verdicts: Sequence[str], rest: str, last: str) -> Table:
    """How many claims of each letter have each verdict; the row `last` counts all but the verdict `rest`."""
    letters = sorted({each.claim.id[0] for each in judged})
    found = Counter((each.verdict, each.claim.id[0]) for each in judged)
    table = Table("verdict", *(f"{letter}..." for letter in letters))
    for verdict in verdicts:
        if any(found[verdict, letter] for letter in letters):
            table.add_row(coloured(verdict), *(str(found[verdict, letter] or "") for letter in letters))
    table.add_section()
    others = [verdict for verdict in verdicts if verdict != rest]
    table.add_row(last, *(str(sum(found[verdict, letter] for verdict in others)) for letter in letters))
    return table


def coloured(verdict: str) -> Text:
    """A verdict in its colour."""
    return Text(verdict, style=COLOURS[verdict])


def source(claim: "Claim", ledger: "Ledger") -> str:
    """Where a claim is written, by the short names of the documents."""
    names = {document.file: name for name, document in ledger.header.documents.items()}
    return "; ".join(f"{names[s.file]}:{', '.join(map(str, s.lines))}" for s in claim.source)


def whole(judged: "Judged", ledger: "Ledger") -> Group:
    """One claim with all that decides it before any run."""
    claim = judged.claim
    head = Text.assemble((claim.id, "bold"), "  ", coloured(judged.verdict), f"\n{claim.says}\n")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("source", "; ".join(f"{s.file}, lines {', '.join(map(str, s.lines))}" for s in claim.source))
    facts.add_row("kind", claim.kind + (f", preset {claim.preset}" if claim.preset else ""))
    for prediction in claim.predicts:
        facts.add_row("states" if claim.kind == "observation" else "predicts", _predicted(prediction))
    for effect in claim.effects:
        facts.add_row("effect", str(effect))
    for name in claim.with_:
        facts.add_row("with", f"{name}: {ledger.claims[name].says}")
    parts: list[RenderableType] = [head, facts, ""]
    for each in judged.evidence:
        parts += [Text.assemble(coloured(each.verdict), f"  {because(each)}"), f"  {each.text}", ""]
    return Group(*parts, *([] if judged.evidence else ["No rule decides it: it is open until runs do."]))


def _predicted(prediction: "Prediction") -> str:
    start = f"from {prediction.from_:g} to " if prediction.from_ is not None else ""
    point = f" ({prediction.point:g} by itself)" if prediction.point is not None else ""
    preset = f", preset {prediction.preset}" if prediction.preset else ""
    over = "" if prediction.over == "all" else f" of {prediction.over}"
    return f"{prediction.metric}{over} {start}{prediction.range}{point} at {prediction.at}{preset}"
