"""The page of a study: one file of HTML that needs no network."""

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from telucodec.disk import write_text
from telucodec.study.report.arms import Row, by_arm, changed, chosen, forest, overridden, rows, seedwise
from telucodec.study.report.inside import codebook_use, gradient_shares
from telucodec.study.report.measures import TABLE, Measure, drawn, measure, tabled
from telucodec.study.report.options import Claimed, ReportOptions
from telucodec.study.report.origin import commands, costs, duration, facts, troubles
from telucodec.study.report.sentences import verdict
from telucodec.study.report.series import clock, curves, plane_data, short
from telucodec.study.report.sounds import Sounds, gather
from telucodec.study.report.words import heard, plural, spent, unrecorded
from telucodec.study.results.collected import Collected
from telucodec.study.results.intervals import Interval
from telucodec.study.results.statistics import Difference

__all__ = ["Claimed", "ReportOptions", "write_report"]

SCRIPTS = ("dom", "arms", "table", "forest", "plot", "plane", "curves", "inside", "listen", "blind", "start")
SECTIONS = (
    ("verdict", "Verdict"), ("arms", "Arms"), ("differences", "Differences"), ("plane", "Plane"), ("curves", "Curves"),
    ("listen", "Listen"), ("inside", "Inside"), ("switches", "Switches"), ("troubles", "Failures"), ("cost", "Cost"),
    ("notes", "Notes"), ("again", "Again"),
)  # fmt: skip


def write_report(collected: Collected, target: Path, options: ReportOptions) -> Path:
    """Write the page of a study, complete or not at all.

    Args:
        collected: the runs of a study, from its jobs or from its committed tables.
        target: the file to write.
        options: see there.

    Raises:
        InputError: the file cannot be written, or a sound cannot be read.
    """
    assert collected.study, "a comparison of any runs has a table, not a page"
    study, runs = collected.study, by_arm(collected)
    columns = tabled(collected.runs, study.primary, study.metrics)
    table = rows(collected, study.primary, columns)
    sounds = gather(runs, options.utterances, options.megabytes)
    data = _data(collected, table, columns, sounds, options)
    primary, higher = measure(study.primary), study.higher_is_better
    usual = [each.title for each in columns if each.key in (study.primary, *TABLE)]
    content = {
        "name": study.name,
        "question": study.question,
        "sections": SECTIONS,
        "counts": _counts(collected),
        "sentences": verdict(table, primary, higher, options.claims),
        "claims": options.claims,
        "primary": primary,
        "columns": columns,
        "usual": len(usual),
        "titles": [*usual, "label", "runs", *(each.title for each in columns[len(usual) :])],
        "rows": table,
        "compared": _compared(table),
        "draws": {key: bool(data[key]) for key in ("forest", "curves", "gradients", "codebook", "sounds")}
        | {"plane": bool(data["plane"]["paths"])},
        "heard": heard(sounds, list(runs)),
        "silent": _silent(collected, options),
        "switches": _switches(collected),
        "troubles": troubles(collected),
        "costs": costs(runs),
        "spent": spent(costs(runs), options),
        "notes": collected.notes,
        "facts": facts(collected.runs),
        "unrecorded": unrecorded(collected.runs),
        "commands": commands(collected),
        "direction": lambda one: _direction(one, higher),
        "data": _json(data),
        "media": _media(sounds),
    }
    write_text(target, _rendered(content))
    return target


def _rendered(content: Mapping[str, Any]) -> str:
    assets = files("telucodec.study.report") / "assets"
    text = {name: (assets / name).read_text(encoding="utf-8") for name in ("page.html", "page.css")}
    script = "\n".join((assets / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(text["page.html"]).render(
        **content,
        style=Markup(text["page.css"]),
        script=Markup(f'"use strict";\n(() => {{\n{script}\n}})();'),
        nan=math.nan,
        sortable=lambda value: short(value) if math.isfinite(value) else "",
        duration=duration,
        bounds=_bounds,
    )


def _data(
    collected: Collected, table: Sequence[Row], columns: Sequence[Measure], sounds: Sounds, options: ReportOptions
) -> dict[str, Any]:
    """What the page's pictures are drawn from."""
    assert collected.study
    study, runs = collected.study, by_arm(collected)
    measures = drawn(collected.runs, study.primary, study.metrics)
    differing = forest(collected, columns)
    for key, listed in differing.items():
        for one in listed:
            one["each"] = [short(value) for value in seedwise(collected, key, table[one["arm"]].name).values()]
    clocks = {number: clock(each) for number, each in enumerate(runs.values())}
    return {
        "name": study.name,
        "primary": study.primary,
        "higher": study.higher_is_better,
        "arms": [{"name": row.name, "reference": row.reference} for row in table],
        "chosen": chosen(table, study.highlight),
        "measures": {m.key: {"title": m.title, "digits": m.digits} for m in dict.fromkeys([*columns, *measures])},
        "forest": differing,
        "plane": plane_data(runs),
        "curves": curves(runs, measures),
        "clocks": {number: each._asdict() for number, each in clocks.items() if each},
        "gradients": gradient_shares(runs),
        "codebook": codebook_use(runs),
        "sounds": [_sound(one) for one in sounds.utterances],
        "matched": options.level_matched,
    }


def _sound(one: Any) -> dict[str, Any]:
    outputs = {
        arm: {"id": o.clip.name, "gain": short(o.gain), "limited": o.limited, "seed": o.seed, "clipped": o.clip.clipped}
        for arm, o in one.outputs.items()
    }
    return {"title": one.title, "seconds": one.target.seconds, "target": one.target.name, "outputs": outputs}


def _media(sounds: Sounds) -> list[tuple[str, Markup]]:
    """Sounds and pictures, each in an element of its own that nothing reads before it is wanted."""
    clips = [clip for one in sounds.utterances for clip in (one.target, *(o.clip for o in one.outputs.values()))]
    return [
        (f"{kind}-{clip.name}", Markup(content))  # base64 needs no escaping
        for clip in clips
        for kind, content in (("sound", clip.sound), ("picture", clip.picture))
    ]


def _json(data: Mapping[str, Any]) -> Markup:
    """JSON that no parser of HTML takes for its own."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _switches(collected: Collected) -> list[dict[str, Any]]:
    assert collected.study
    runs = by_arm(collected)
    return [
        {
            "name": arm.name,
            "says": arm.says,
            "expected": collected.study.hypotheses.get(arm.name, ""),
            "overrides": overridden(arm),
            "reference": collected.reference(arm.name),
            "changed": changed(runs[arm.name], runs.get(collected.reference(arm.name), [])),
        }
        for arm in (collected.study.arms[name] for name in collected.arms)
    ]


def _counts(collected: Collected) -> str:
    seeds = {ran.seed for ran in collected.runs}
    steps = sorted({ran.steps for ran in collected.runs if ran.status == "finished"})
    told = f"{len(collected.arms)} arms, {len(collected.runs)} runs, {len(seeds)} {plural('seed', len(seeds))}"
    if not steps:
        return told
    return f"{told}, {steps[0]} steps each" if len(steps) == 1 else f"{told}, {steps[0]} to {steps[-1]} steps each"


def _compared(table: Sequence[Row]) -> str:
    references = list(dict.fromkeys(row.reference for row in table if row.reference))
    if len(references) == 1:
        return f"Differences are to {references[0]}."
    return "Differences are to the arm named beside each." if references else ""


def _silent(collected: Collected, options: ReportOptions) -> str:
    assert collected.study
    if not options.utterances:
        return "none were asked for."
    again = f"`telucodec study run {collected.study.name}`, then `telucodec study report {collected.study.name}`"
    return f"the folders of the runs are not here, or hold none. They come with {again}."


def _direction(one: Difference, higher: bool) -> str:
    if not one.clear:
        return "alike"
    return "better" if (one.mean > 0) == higher else "worse"


def _bounds(interval: Interval | Difference, column: Measure, signed: bool = False) -> Markup:
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return Markup("<small>one seed</small>") if math.isfinite(interval.mean) else Markup("")
    low, high = (column.written(value, signed=signed) for value in (interval.low, interval.high))
    return Markup("<small>[{}, {}]</small>").format(escape(low), escape(high))
