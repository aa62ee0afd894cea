"""Hold the labels of held-out cases against what was predicted for them, and draw those that disagree most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ushape.core.errors import DataError
from ushape.core.events import count
from ushape.core.files import read_csv, read_json
from ushape.core.labels import flatten
from ushape.explain.suspects import SHOWN, compare, explain_silence, find_suspects, name_difference
from ushape.plan.recipe import read_recipe
from ushape.train.run_folder import RunFolder
from ushape.workflows.held_out import HeldOut, list_pairs
from ushape.workflows.scoring import need_label


@dataclass(frozen=True)
class Suspect:
    """A case whose label may be wrong.

    Attributes:
        run: the run, or the fold, that held it out.
        differs: what the difference looks like, or why that could not be seen.
    """

    case: str
    run: RunFolder
    dice: float
    differs: str


@dataclass(frozen=True)
class LabelCheck:
    """What was found out about the labels of a run.

    Attributes:
        judged: how many cases were held out and scored, of `cases` in all.
        found: how many of them stand out.
        suspects: those, the worst first, but `SHOWN` at most.
        silence: why none could stand out; "" if one could.
    """

    judged: int
    cases: int
    found: int
    suspects: tuple[Suspect, ...]
    silence: str


def check_labels(runs: Sequence[RunFolder]) -> LabelCheck:
    """Judge the labels of the cases that a run, or the folds of one, held out; the rules are in `explain.suspects`."""
    rows = [(run, row) for run in runs for row in read_csv(run.path / "cases.csv")]
    held_out = {row["case"]: (run, float(row["foreground_dice"] or "nan")) for run, row in rows}
    if not held_out:
        return LabelCheck(0, 0, 0, (), "")
    dice = {name: score for name, (_, score) in held_out.items()}
    names = find_suspects(dice)
    suspects = [Suspect(name, *held_out[name], _describe(held_out[name][0], name)) for name in names[:SHOWN]]
    cases = _count_cases(runs[0])
    return LabelCheck(len(held_out), cases, len(names), tuple(suspects), explain_silence(dice))


def tell_check(check: LabelCheck) -> str:
    """Say which labels could be judged, and how many stand out."""
    if not check.judged:
        return "no label was judged: no case was held out and scored"
    judged = f"labels of {check.judged} of {count(check.cases, 'case')} judged"
    if check.judged < check.cases:
        judged += ", those held out; train with --fold all to judge each"
    if not check.found:
        return f"{judged}: {check.silence or 'none stands out'}"
    shown = f", the worst {len(check.suspects)} first" if check.found > len(check.suspects) else ""
    return f"{judged}: {check.found} to check, far below the others{shown}"


def open_held_out(run: RunFolder) -> HeldOut:
    """Find the held-out cases of a run, and what was predicted for them.

    Raises:
        DataError: the data set is not where it was.
    """
    recipe = read_recipe(run.recipe.read_text(encoding="utf-8"), str(run.recipe))
    return HeldOut(list_pairs(run), run.predictions, recipe)


def _describe(run: RunFolder, name: str) -> str:
    try:
        held_out = open_held_out(run)
        case, guess = held_out.read(name), held_out.recall(name)
    except DataError as error:
        return f"what differs cannot be seen: {error}"
    return name_difference(compare(flatten(need_label(case)), flatten(guess.label)))


def _count_cases(run: RunFolder) -> int:
    split = read_json(run.splits)
    return len(split["training"]) + len(split["validation"])
