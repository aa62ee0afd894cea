"""Class weights by rule: the shares of the classes are known once the data set has been looked at."""

from __future__ import annotations

from collections.abc import Sequence

from ushape.core.config import with_fields
from ushape.losses.balance import weigh_classes
from ushape.plan.recipe import Reasons, Recipe


def fill_class_weights(recipe: Recipe, shares: Sequence[float]) -> tuple[Recipe, Reasons]:
    """Work out the class weights that a recipe asks for by a rule's name, so that it holds numbers.

    Args:
        shares: of all labelled voxels that each class takes, the background first.

    >>> recipe, reasons = fill_class_weights(with_fields(Recipe(), {"loss.class_weights": "inverse"}), (0.75, 0.25))
    >>> recipe.loss.class_weights
    (0.5, 1.5)
    """
    rule = recipe.loss.class_weights
    if not isinstance(rule, str):
        return recipe, {}
    weights = tuple(round(weight, 4) for weight in weigh_classes(shares, rule))
    shown = ", ".join(f"{share:.2%}" for share in shares)
    return with_fields(recipe, {"loss.class_weights": weights}), {
        "loss.class_weights": f"by rule {rule!r}, from shares of the voxels of {shown}"
    }
