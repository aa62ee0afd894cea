"""What is wrong with a training, in plain words: rules that read its curves and scores, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from ushape.core.events import count

FEW = 4
"""Validations from which on a curve has a shape."""
GOOD = 0.9
NEVER = 0.05
SHOWN_CASES = 5


@dataclass(frozen=True)
class Finding:
    """Something that stands out in a run: what, and what to try."""

    name: str
    says: str
    remedy: str


@dataclass(frozen=True, eq=False)
class History:
    """What a run left behind.

    Attributes:
        loss: mean training loss of every epoch.
        dice: mean foreground Dice of every validation; NaN where there was none.
        classes: the same per class.
        cases: mean foreground Dice of every held-out case, by the best weights.
        is_finished: whether its report was written.
        has_failed: whether it kept the batch that it failed with.
        resume: the command that goes on with it; "" if there is nothing to go on from.
    """

    loss: Float[ndarray, " n"]
    dice: Float[ndarray, " n"]
    classes: Mapping[str, Float[ndarray, " n"]] = field(default_factory=dict)
    cases: Mapping[str, float] = field(default_factory=dict)
    is_finished: bool = True
    has_failed: bool = False
    resume: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.loss)

    @property
    def has_shape(self) -> bool:
        """Whether enough was validated to judge the curve."""
        return self.epochs >= FEW and bool(np.isfinite(self.dice).all())

    @property
    def best(self) -> int:
        """The epoch with the best Dice, from 0."""
        return int(np.nanargmax(self.dice))


def read_history(rows: Sequence[Mapping[str, str]]) -> History:
    """Read the rows of metrics.csv; what is not a number becomes NaN.

    >>> read_history([{"train_loss": "0.5", "val_dice": "nan", "dice_cell": ""}]).loss.tolist()
    [0.5]
    """
    names = [name.removeprefix("dice_") for name in (rows[0] if rows else {}) if name.startswith("dice_")]
    classes = {name: _column(rows, f"dice_{name}") for name in names}
    return History(_column(rows, "train_loss"), _column(rows, "val_dice"), classes)


def examine(history: History) -> tuple[Finding, ...]:
    """Apply all rules; no finding means that nothing stands out."""
    found = (rule(history) for rule in RULES)
    return tuple(finding for finding in found if finding is not None)


def find_failure(history: History) -> Finding | None:
    """See whether the loss became a number that is none."""
    if not history.has_failed and np.isfinite(history.loss).all():
        return None
    return Finding(
        "diverged",
        f"the loss stopped being a number after {count(history.epochs, 'epoch')}",
        "lower the rate with --lr, or look for extreme values with ushape data check; failed_batch.safetensors is the "
        "batch, if it was kept",
    )


def find_cut(history: History) -> Finding | None:
    """See whether the run ended before its end."""
    if history.is_finished or history.has_failed:
        return None
    reached = f"after {count(history.epochs, 'epoch')}" if history.epochs else "before its first epoch ended"
    remedy = f"go on with {history.resume}" if history.resume else "begin anew: there is no checkpoint to go on from"
    return Finding("cut off", f"the run was stopped {reached}, or still runs", remedy)


def find_unvalidated(history: History) -> Finding | None:
    """See whether nothing was validated."""
    if not history.epochs or np.isfinite(history.dice).any():
        return None
    return Finding(
        "not validated",
        "no case was held out, or none has foreground, so nothing tells how well unseen images are segmented",
        "add cases, or hold some out with --set data.validation=0.2",
    )


def find_overfitting(history: History) -> Finding | None:
    """See whether validation became clearly worse while the training loss still fell."""
    if not history.has_shape:
        return None
    dice, best = smooth(history.dice), int(smooth(history.dice).argmax())
    fell = history.loss[-1] < history.loss[best] - 0.05 * abs(history.loss[best])
    lost = dice[best] - dice[-1]
    if best > 2 / 3 * history.epochs or lost < max(0.03, 2 * jump(history)) or not fell:
        return None
    return Finding(
        "overfitting",
        f"validation was best at epoch {best + 1} of {history.epochs} (Dice {dice[best]:.3f}) and fell to "
        f"{dice[-1]:.3f}, while the training loss still went down: later epochs learnt the training cases by heart",
        "the model file holds the best epoch; more cases help most, then stronger augmentation, a smaller net "
        "(net.widths), --set net.block.dropout=0.1, or fewer epochs (--patience)",
    )


def find_shortness(history: History) -> Finding | None:
    """See whether validation still rose when the run ended."""
    if not history.has_shape or history.dice[-1] < history.dice[history.best] - 0.01:
        return None
    quarter = max(history.epochs // 4, 1)
    gain = history.dice[-quarter:].mean() - history.dice[-2 * quarter : -quarter].mean()
    if gain < 0.015:
        return None
    return Finding(
        "too short",
        f"validation still rose at the end: by {gain:.3f} Dice in the last quarter",
        "train longer: more --minutes or --epochs",
    )


def find_fewness(history: History) -> Finding | None:
    """See whether there are too few validations for a curve."""
    if not 0 < history.epochs < FEW or not history.is_finished or history.has_failed:
        return None
    return Finding(
        "few epochs",
        f"{count(history.epochs, 'epoch')} cannot show whether it was still learning",
        "validate more often with fewer steps an epoch (--set train.steps_per_epoch=50), or train longer",
    )


def find_plateau(history: History) -> Finding | None:
    """See whether validation stood still from the first epoch on."""
    if not history.has_shape or history.dice.max() >= GOOD or np.ptp(smooth(history.dice)) >= 0.02:
        return None
    first = abs(history.loss[0])
    if history.loss[0] - history.loss.min() < 0.05 * first:
        return Finding(
            "plateau",
            f"neither the loss nor validation (Dice {history.dice.max():.3f}) has moved since the first epoch",
            "the rate is likely wrong: try --lr ten times lower, then ten times higher; look at the gradients with "
            "ushape explain MODEL IMAGE --label MASK --gradients",
        )
    return Finding(
        "plateau",
        f"validation has stood at Dice {history.dice.max():.3f} since the first epoch, although the loss fell",
        "check that masks belong to their images (ushape data check, the pictures of report.html), and that the "
        "held-out cases look like the others",
    )


def find_forgotten(history: History) -> Finding | None:
    """See whether a class was never found."""
    finite = {name: curve[np.isfinite(curve)] for name, curve in history.classes.items()}
    never = [name for name, curve in finite.items() if curve.size and curve.max() < NEVER]
    if not never:
        return None
    return Finding(
        "class never learnt",
        f"{', '.join(never)}: Dice never rose above {NEVER}",
        "rare classes: --set loss.class_weights=inverse_sqrt, more foreground in the patches "
        "(patches.foreground), or longer; check that its masks are right, and that training cases have it",
    )


def find_unsteadiness(history: History) -> Finding | None:
    """See whether validation jumps up and down at the end."""
    if not history.has_shape:
        return None
    if jump(history) < 0.1:
        return None
    return Finding(
        "unsteady",
        f"validation jumps by {jump(history):.2f} Dice from one epoch to the next",
        "lower the rate with --lr, use larger batches (patches.batch), or hold more cases out",
    )


def find_outliers(history: History) -> Finding | None:
    """See whether some cases are far worse than the others."""
    scores = {name: dice for name, dice in history.cases.items() if math.isfinite(dice)}
    if len(scores) < FEW:
        return None
    limit = float(np.median(list(scores.values()))) / 2
    worst = sorted((dice, name) for name, dice in scores.items() if dice < limit)[:SHOWN_CASES]
    if not worst:
        return None
    listed = ", ".join(f"{name} ({dice:.2f})" for dice, name in worst)
    return Finding(
        "cases far below the others",
        f"Dice below half of the median: {listed}",
        "look at them in report.html: their masks may be wrong, or their kind too rare in the training set",
    )


Rule = Callable[[History], Finding | None]
RULES: tuple[Rule, ...] = (
    find_failure,
    find_cut,
    find_unvalidated,
    find_plateau,
    find_overfitting,
    find_shortness,
    find_forgotten,
    find_unsteadiness,
    find_outliers,
    find_fewness,
)


def jump(history: History) -> float:
    """Return by how much validation usually changes from one epoch to the next, in the second half."""
    return float(np.median(np.abs(np.diff(history.dice[history.epochs // 2 :]))))


def smooth(curve: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Take the median of each value and its neighbours; the ends have one neighbour less.

    >>> smooth(np.array([1.0, 9.0, 2.0])).tolist()
    [5.0, 2.0, 5.5]
    """
    return np.array([np.median(curve[max(i - 1, 0) : i + 2]) for i in range(len(curve))])


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Float[ndarray, " n"]:
    return np.array([_number(row.get(name) or "nan") for row in rows], dtype=float)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
