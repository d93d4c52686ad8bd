"""`telucodec study design`."""

import argparse
import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.study.design.drafts import Draft
    from telucodec.study.design.study import Study

KINDS = ("one-at-a-time", "leave-one-out", "pairwise", "factorial")
DESCRIPTION = """\
Write experiments/NAME/study.yaml. A switch is an overlay of conf/ablation; `telucodec fixes` lists them.

kinds:
  one-at-a-time   the base, and each switch alone
  leave-one-out   all switches, and all but each
  pairwise        each switch alone, and each two that go together: what two do that neither does alone
  factorial       all combinations, or a --fraction of them: the effect of each on average over the others. What a
                  fraction cannot tell apart is printed, and written into the file

examples:
  telucodec study design one-at-a-time fixes --base 'experiment=s003_before trainer=cpu' --switches no_kmeans,snake
  telucodec study design factorial fixes --switches tanh,level_peak,no_restart,snake --fraction 1/2 --resolution 4
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="of the new folder of experiments/")
    parser.add_argument("--base", default="", metavar="OVERRIDES", help="what every arm begins with, in quotes")
    parser.add_argument("--switches", required=True, metavar="A,B", help="overlays of conf/ablation")
    parser.add_argument("--fraction", default="1", metavar="1/N", help="of all combinations (factorial)")
    parser.add_argument("--resolution", type=int, default=3, metavar="R", help="at least this (factorial; default: 3)")
    parser.add_argument("--seeds", default="0,1,2", metavar="N,N", help="default: 0,1,2")
    parser.add_argument("--steps", type=int, metavar="N", help="of each run (default: those of the base)")
    parser.add_argument("--metrics", default="val/snr,val/rho,val/rms_ratio,val/mel_distance", metavar="KEY,KEY")
    parser.add_argument("--better", choices=("higher", "lower"), default="higher", help="of the first metric")
    parser.add_argument("--question", default="", metavar="TEXT", help="that the study asks")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="a folder with configuration groups of your own")


def draft(options: argparse.Namespace) -> int:
    """Write a study.yaml."""
    from telucodec.cli.studies.places import HOME
    from telucodec.disk import write_text
    from telucodec.study.design import drafts
    from telucodec.study.design.arms import joined
    from telucodec.study.design.factorial import factorial
    from telucodec.study.design.read import FILE
    from telucodec.study.design.written import WORD

    path = HOME / options.name / FILE
    if not re.fullmatch(WORD, options.name):
        raise InputError(f"{options.name}: must begin with a letter or digit and consist of them and of . _ + -.")
    if path.exists():
        raise InputError(f"{path}: is there already. Choose another name, or delete it.")
    about, extra, head = _about(options), {}, [f"{options.kind} design of {', '.join(options.switches.split(','))}"]
    whole, console = about, Console(highlight=False, markup=False, soft_wrap=True)
    if options.kind == "one-at-a-time":
        arms = drafts.one_at_a_time(about.switches)
    elif options.kind == "leave-one-out":
        arms = drafts.leave_one_out(about.switches)
        every = joined(about.base, [f"ablation=[{','.join(about.switches)}]"])
        whole = replace(about, name="all", base=tuple(every))
    elif options.kind == "pairwise":
        apart = _contradictory(about, options.config_dir)
        arms = drafts.pairwise(about.switches, lambda a, b: (a, b) not in apart)
        head += [f"left out: {a} and {b} contradict each other" for a, b in apart]
    else:
        design = factorial(about.switches, _fraction(options.fraction), options.resolution)
        arms, extra = drafts.rows_of(design), {"factors": list(about.switches)}
        head += drafts.told_aliases(design)
        for a, b in _contradictory(about, options.config_dir):
            raise InputError(f"--switches: {a} and {b} contradict each other, and some rows have both. Drop one.")
    question = options.question or f"What do {', '.join(about.switches)} do to the base?"
    text = drafts.text_of(question, whole, arms, extra, head)
    study = _checked(options.name, text, options.config_dir)
    write_text(path, text)
    for line in head:
        console.print(line)
    runs = sum(1 for _ in study.wanted())
    console.print(f"{path}: {len(study.arms)} arms, {runs} runs of {about.steps} steps. Look at it, then:")
    console.print(f"  telucodec study plan {options.name}")
    return 0


def _checked(name: str, text: str, config_dir: Path | None) -> "Study":
    """The study that a text comes to, before it is written where it belongs."""
    from telucodec.cli.compose import conf_dir
    from telucodec.cli.studies.arms import check_vocabulary
    from telucodec.study.claims.vocabulary import vocabulary
    from telucodec.study.design.read import FILE, read_study

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).mkdir()
        (Path(folder) / name / FILE).write_text(text, encoding="utf-8")
        study = read_study(Path(folder) / name)
    check_vocabulary(study, vocabulary(conf_dir()), config_dir)
    return study


def _about(options: argparse.Namespace) -> "Draft":
    from telucodec.build import nearest
    from telucodec.cli.compose import compose_config, members
    from telucodec.study.design.drafts import Draft

    switches, known = [name for name in options.switches.split(",") if name], members("ablation", options.config_dir)
    for name in switches:
        if name not in known:
            raise InputError(f"--switches {name}: there is no such overlay. {nearest(name, known)}")
    if not switches or len(set(switches)) < len(switches):
        raise InputError("--switches: must be some overlays, each once.")
    try:
        base = shlex.split(options.base)
        seeds = tuple(int(word) for word in options.seeds.split(","))
    except ValueError as error:
        raise InputError(f"--base, --seeds: {error}. Write --base 'a=1 b=2' --seeds 0,1,2.") from None
    steps = compose_config(base, options.config_dir)["max_steps"] if options.steps is None else options.steps
    metrics = tuple(name for name in options.metrics.split(",") if name)
    return Draft("base", tuple(base), tuple(switches), seeds, steps, metrics, options.better)


def _fraction(text: str) -> int:
    told = re.fullmatch(r"(?:1/)?(\d+)", text.strip())
    if not told or (text.strip() != "1" and not text.strip().startswith("1/")):
        raise InputError(f"--fraction {text}: must be 1, 1/2, 1/4, 1/8 ...")
    return int(told[1])


def _contradictory(about: "Draft", config_dir: Path | None) -> Sequence[tuple[str, str]]:
    """The pairs of switches that undo each other beside the base; an overlay that does not fit it is an error."""
    from itertools import combinations

    from telucodec.cli.contradictions import refuse_contradictions
    from telucodec.study.design.arms import joined

    for name in about.switches:
        refuse_contradictions(joined(about.base, [f"ablation=[{name}]"]), config_dir)
    apart = []
    for pair in combinations(about.switches, 2):
        try:
            refuse_contradictions(joined(about.base, [f"ablation=[{','.join(pair)}]"]), config_dir)
        except InputError:
            apart.append(pair)
    return apart
