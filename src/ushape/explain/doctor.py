"""What is wrong with a training, in plain words: symptoms that its curves show, each with what to try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ushape.core.events import count
from ushape.explain.history import FEW, History, smooth

GOOD = 0.9
"""Dice from which on a flat curve is no fault: it was good at once."""
FLAT = 0.02
"""A validation curve that stays within this has not moved: epochs of a steady run differ by about 0.01."""
NEVER = 0.05
"""A class that stays below this was never found: a few voxels overlap by chance."""
LOST = 0.03
"""Dice that must be lost for overfitting, and at least twice the usual jump: else it is noise."""
EARLY = 2 / 3
"""Overfitting has its best epoch in this part of the run: later ones were too few to tell."""
FALL = 0.05
"""Share of the training loss by which it must fall to be said to fall."""
RISE = 0.015
"""Dice by which the last quarter must lie above the one before for a run that was too short."""
TOP = 0.01
"""How near its best such a run must have ended."""
JUMPY = 0.1
"""Usual change of Dice from one epoch to the next from which on the best epoch is a matter of luck."""


@dataclass(frozen=True)
class Finding:
    """Something that stands out in a run: what, and what to try."""

    name: str
    says: str
    remedy: str


@dataclass(frozen=True)
class Symptom:
    """Something that can be wrong.

    Attributes:
        see: looks for it; returns a sentence about what was seen, "" if nothing was.
        remedy: what to try; `{resume}` stands for the command that goes on, `{finer}` for fewer steps an epoch.
    """

    name: str
    see: Callable[[History], str]
    remedy: str


def examine(history: History) -> tuple[Finding, ...]:
    """Look for all symptoms; no finding means that nothing stands out."""
    seen = ((symptom, symptom.see(history)) for symptom in SYMPTOMS)
    return tuple(Finding(one.name, says, _fill(one.remedy, history)) for one, says in seen if says)


def _fill(remedy: str, history: History) -> str:
    return remedy.format(resume=history.resume, finer=history.finer)


def see_failure(history: History) -> str:
    """See whether the loss became a number that is none."""
    if not history.has_failed and np.isfinite(history.loss).all():
        return ""
    return f"the loss stopped being a number after {count(history.epochs, 'epoch')}"


def see_stop(history: History) -> str:
    """See whether the run ended before its end, and can go on."""
    return _say_stopped(history) if history.resume else ""


def see_loss(history: History) -> str:
    """See whether the run ended before its end, and left nothing to go on from."""
    return "" if history.resume else _say_stopped(history)


def _say_stopped(history: History) -> str:
    if history.is_finished or history.has_failed:
        return ""
    reached = f"after {count(history.epochs, 'epoch')}" if history.epochs else "before its first epoch ended"
    return f"the run was stopped {reached}, or still runs"


def see_blindness(history: History) -> str:
    """See whether nothing was validated."""
    if not history.epochs or np.isfinite(history.dice).any():
        return ""
    return "no case was held out, or none has foreground, so nothing tells how well unseen images are segmented"


def see_standstill(history: History) -> str:
    """See whether neither the loss nor validation moved from the first epoch on."""
    if not _is_flat(history) or _has_fallen(history):
        return ""
    return f"neither the loss nor validation (Dice {history.dice.max():.3f}) has moved since the first epoch"


def see_plateau(history: History) -> str:
    """See whether validation stood still from the first epoch on while the loss fell."""
    if not _is_flat(history) or not _has_fallen(history):
        return ""
    return f"validation has stood at Dice {history.dice.max():.3f} since the first epoch, although the loss fell"


def _is_flat(history: History) -> bool:
    return history.has_shape and bool(history.dice.max() < GOOD and np.ptp(smooth(history.dice)) < FLAT)


def _has_fallen(history: History) -> bool:
    return bool(history.loss[0] - history.loss.min() >= FALL * abs(history.loss[0]))


def see_overfitting(history: History) -> str:
    """See whether validation became clearly worse while the training loss still fell."""
    if not history.has_shape:
        return ""
    dice, loss = smooth(history.dice), smooth(history.loss)
    best = int(dice.argmax())
    fell = loss[best] - loss[-1] > FALL * abs(loss[best])
    if not fell or best > EARLY * history.epochs or dice[best] - dice[-1] < max(LOST, 2 * history.jump):
        return ""
    return (
        f"validation was best at epoch {best + 1} of {history.epochs} (Dice {dice[best]:.3f}) and fell to "
        f"{dice[-1]:.3f}, while the training loss still went down: later epochs learnt the training cases by heart"
    )


def see_shortness(history: History) -> str:
    """See whether validation still rose when the run ended."""
    if not history.has_shape or history.dice[-1] < history.dice.max() - TOP:
        return ""
    quarter = max(history.epochs // 4, 1)
    gain = history.dice[-quarter:].mean() - history.dice[-2 * quarter : -quarter].mean()
    return f"validation still rose at the end: by {gain:.3f} Dice in the last quarter" if gain >= RISE else ""


def see_fewness(history: History) -> str:
    """See whether a finished run has too few validations for a curve, and too few steps for more of them."""
    return "" if history.finer else _say_few(history)


def see_rareness(history: History) -> str:
    """See whether a finished run has too few validations for a curve, while its steps would have done for more."""
    return _say_few(history) if history.finer else ""


def _say_few(history: History) -> str:
    if not 0 < history.epochs < FEW or not history.is_finished or history.has_failed:
        return ""
    return f"{count(history.epochs, 'epoch')} cannot show whether it was still learning"


def see_missed_class(history: History) -> str:
    """See whether a class was never found."""
    finite = {name: curve[np.isfinite(curve)] for name, curve in history.classes.items()}
    never = [name for name, curve in finite.items() if curve.size and curve.max() < NEVER]
    return f"{', '.join(never)}: Dice never rose above {NEVER}" if never else ""


def see_unsteadiness(history: History) -> str:
    """See whether validation jumps up and down at the end."""
    if not history.has_shape or history.jump < JUMPY:
        return ""
    return f"validation jumps by {history.jump:.2f} Dice from one epoch to the next"


SYMPTOMS = (
    Symptom(
        "diverged",
        see_failure,
        "lower the rate with --lr, or look for extreme values with ushape data check; failed_batch.safetensors is the "
        "batch, if it was kept",
    ),
    Symptom("cut off", see_stop, "go on with {resume}"),
    Symptom("cut off", see_loss, "begin anew: there is no checkpoint to go on from"),
    Symptom("not validated", see_blindness, "add cases, or hold some out with --set data.validation=0.2"),
    Symptom(
        "plateau",
        see_standstill,
        "the rate is likely wrong: try --lr ten times lower, then ten times higher; look at the gradients with "
        "ushape explain MODEL IMAGE --label MASK --gradients",
    ),
    Symptom(
        "plateau",
        see_plateau,
        "check that masks belong to their images (ushape data check, the pictures of report.html), and that the "
        "held-out cases look like the others",
    ),
    Symptom(
        "overfitting",
        see_overfitting,
        "the model file holds the best epoch; more cases help most, then stronger augmentation, a smaller net "
        "(net.widths), --set net.block.dropout=0.1, or fewer epochs (--patience)",
    ),
    Symptom("too short", see_shortness, "train longer: more --minutes or --epochs"),
    Symptom(
        "class never learnt",
        see_missed_class,
        "rare classes: --set loss.class_weights=inverse_sqrt, more foreground in the patches "
        "(patches.foreground), or longer; check that its masks are right, and that training cases have it",
    ),
    Symptom(
        "unsteady",
        see_unsteadiness,
        "lower the rate with --lr, use larger batches (patches.batch), or hold more cases out",
    ),
    Symptom("few epochs", see_fewness, "train longer: more --minutes or --epochs"),
    Symptom(
        "few epochs",
        see_rareness,
        "train longer, or validate more often with fewer steps an epoch (--set train.steps_per_epoch={finer})",
    ),
)
