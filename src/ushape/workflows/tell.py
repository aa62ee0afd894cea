"""What a data set is and what a training chose, in sentences."""

from __future__ import annotations

from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.events import Listener, Message, count
from ushape.core.labels import Labels
from ushape.io.label_values import LabelFacts, may_be_void
from ushape.io.layouts import show_size
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.recipe import Recipe


def tell_recipe(recipe: Recipe) -> str:
    """Say what is trained: the net, the patches and the loss."""
    net, patches = recipe.net, recipe.patches
    widths = f"{len(net.widths)} levels of {', '.join(map(str, net.widths))} channels"
    loss = " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in recipe.loss.terms.items())
    return f"net: {net.ndim}D, {widths}; {patches.batch} patches of {show_size(patches.size)} a step; loss {loss}"


def tell_split(training: int, validation: int, held_out: int, *, on_purpose: bool) -> Message:
    """Say how many cases train and validate; where none can validate, what that means.

    Args:
        validation: of the held-out cases, those that can be scored.
        on_purpose: whether it was asked for to hold nothing out.
    """
    if on_purpose:
        return Message(f"training on all {count(training, 'case')}: no score, no early stop, the last weights are kept")
    if validation:
        return Message(f"training on {count(training, 'case')}, validating on {validation}")
    kept = "training without validation: no score, no early stop, the last weights are kept"
    if held_out:
        return Message(
            f"no validation case ({held_out}) holds foreground; {kept}; another --seed splits anew", "warning"
        )
    return Message(f"a single case, or a single group of them; {kept}", "warning")


def tell_data(folder: Path, values: LabelFacts, labels: Labels, facts: Fingerprint, listener: Listener) -> None:
    """Say what a data set is: its images, its classes, and what may surprise."""
    sizes = {show_size(facts.min_size), show_size(facts.max_size)}
    size = " to ".join(sorted(sizes)) if len(sizes) > 1 else f"all {sizes.pop()}"
    spacing = "" if facts.unit == "px" else f" of {'x'.join(f'{step:g}' for step in facts.spacing)} mm"
    grid = f"{size} {'pixels' if facts.ndim == 2 else 'voxels'}{spacing}, {count(facts.channels, 'channel')}"
    listener(Message(f"{folder}: {facts.cases} images with masks, {grid}, {facts.dtype}"))
    shares = ", ".join(f"{n} {s:.1%}" for n, s in zip(labels.names, facts.class_shares, strict=True))
    ignored = "" if labels.ignore == "none" else f", {labels.ignore} is ignored"
    if labels.merge == "foreground":
        found = f"{len(values.values)} values{ignored}, trained as foreground against background"
        listener(Message(f"labels: {found}; {shares}"))
    elif labels.overlap != "none":
        listener(Message(f"labels: {labels.count - 1} classes that may overlap; {shares}"))
        return
    else:
        listener(Message(f"labels: values {', '.join(map(str, labels.values))}{ignored}; {shares}"))
    empty = len(values.without_foreground)
    if empty:
        listener(Message(f"{empty} of {facts.cases} masks hold no foreground; they train as background", "warning"))


def tell_doubts(labels: Labels, listener: Listener) -> None:
    """Say what values that nobody has named may mean instead: the numbers of objects, or a 255 that is no class."""
    if labels.merge == "none" and labels.count > 2 and labels.values == tuple(range(labels.count)):
        listener(Message("if these values count objects rather than name classes, use ushape train --foreground"))
    if may_be_void(labels):
        what = "255 is trained as a class of its own; if it means 'ignore', --set data.labels.ignore=255"
        listener(Message(what, "warning"))


def judge_absent(folder: Path, labels: Labels, shares: tuple[float, ...], listener: Listener, *, named: bool) -> None:
    """Refuse classes of the data set's table that no mask holds; of those that a recipe names, warn.

    Raises:
        DataError: a class of the table is in no mask.
    """
    rows = zip(labels.names[1:], labels.values[1:], shares[1:], strict=True)
    absent = ", ".join(f"{name} (value {value})" for name, value, share in rows if not share)
    if absent and not named:
        raise DataError(
            f"{folder}: expected every class in some mask, got none with {absent}; correct the masks, or name the "
            "classes to be trained in [data.labels] of a recipe"
        )
    if absent:
        listener(Message(f"no mask holds {absent}: nothing is learnt of it", "warning"))
