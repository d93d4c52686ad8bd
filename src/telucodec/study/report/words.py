"""What the page says about its sounds, its cost, and what is not recorded."""

from collections.abc import Sequence

from telucodec.study.report.options import ReportOptions
from telucodec.study.report.origin import Cost, duration
from telucodec.study.report.sentences import listed, number
from telucodec.study.report.sounds import Sounds
from telucodec.study.results.run import Ran


def heard(sounds: Sounds, names: Sequence[str]) -> str:
    """What can be heard, what was left out for size, and where peaks were cut.

    Args:
        sounds: what there is.
        names: of all arms, by number.
    """
    outputs = [output for one in sounds.utterances for output in one.outputs.values()]
    seeds = sorted({output.seed for output in outputs})
    told = [f"Outputs of seed {listed([str(seed) for seed in seeds])} at the end of training." if seeds else ""]
    clipped = [output for output in outputs if output.clip.clipped]
    if clipped:
        samples = sum(output.clip.clipped for output in clipped)
        told.append(
            f"{number(len(clipped)).capitalize()} of {len(outputs)} outputs are cut at full scale: {samples} samples."
        )
    if sounds.dropped_utterances:
        count = sounds.dropped_utterances
        told.append(
            f"{number(count).capitalize()} more {plural('utterance', count)} would go beyond the bound on size."
        )
    if sounds.dropped_arms:
        told.append(f"Left out for size: {listed([names[arm] for arm in sounds.dropped_arms])}.")
    if sounds.unlike:
        told.append(
            f"Other recordings were heard by {listed([names[arm] for arm in sounds.unlike])}: not shown beside these."
        )
    return " ".join(filter(None, told))


def spent(costs: Sequence[Cost], options: ReportOptions) -> str:
    """Time of all runs, the audio that they heard, and what that comes to in money if an hour has a price."""
    if not costs:
        return "No run was made."
    seconds, hours = (sum(getattr(one, name) for one in costs) for name in ("seconds", "hours"))
    runs, steps = sum(one.runs for one in costs), sum(one.steps for one in costs)
    told = f"{runs} {plural('run', runs)} of {steps} steps in all took {duration(seconds)}"
    told += f" and heard {hours:.1f} hours of audio"
    if options.price is None:
        return f"{told}."
    money = seconds / 3600 * options.price
    unit = f" {options.currency}" if options.currency else ""
    return f"{told}: {money:.2f}{unit} at {options.price:g}{unit} an hour."


def unrecorded(runs: Sequence[Ran]) -> str:
    """What cannot be told because the folders of the runs are not here."""
    absent = [ran for ran in runs if not (ran.folder / "run.json").exists()]
    if not absent:
        return ""
    which = "The committed tables do" if len(absent) == len(runs) else f"{number(len(absent)).capitalize()} runs do"
    return (
        f"{which} not hold versions, data digest or configuration; a page made beside the folders of the runs has them."
    )


def plural(word: str, count: int) -> str:
    """A noun as it follows a number.

    >>> plural("run", 1), plural("run", 2)
    ('run', 'runs')
    """
    return word if count == 1 else f"{word}s"
