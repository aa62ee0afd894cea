"""The held-out cases of a run: as they were given, and the masks that were predicted for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.case import Case, Prediction
from ushape.core.files import read_json
from ushape.core.labels import flatten
from ushape.io.layouts import find_pairs
from ushape.io.outputs import Grid
from ushape.io.pairs import Pair
from ushape.io.results import result_name, result_paths, write_result
from ushape.plan.recipe import Recipe
from ushape.predict.postprocess import apply_rules
from ushape.report.contents import Overlay
from ushape.train.run_folder import RunFolder
from ushape.workflows.scoring import need_label
from ushape.workflows.stock import load_pair
from ushape.workflows.tidy import Rules


def list_pairs(run: RunFolder) -> dict[str, Pair]:
    """Find the files of the data set that a run was trained on, by the names of its cases.

    Raises:
        DataError: it lies no longer where it did.
    """
    return {pair.name: pair for pair in find_pairs(Path(read_json(run.splits)["data"]))}


@dataclass(frozen=True)
class HeldOut:
    """Reads cases one at a time, and writes and reads what was predicted for them.

    Attributes:
        pairs: the files of each case.
        folder: where the predicted masks lie.
    """

    pairs: Mapping[str, Pair]
    folder: Path
    recipe: Recipe

    def read(self, name: str) -> Case:
        """Read a case with its true label."""
        return load_pair(self.pairs[name], self.recipe)

    def write(self, case: Case, prediction: Prediction) -> None:
        """Write the predicted mask of a case, on the grid of its image."""
        grid = Grid(case.geometry, Path(case.source))
        write_result(self._mask(case.name), prediction.label, self.recipe.data.labels, grid)

    def recall(self, name: str, rules: Rules = ()) -> Prediction:
        """Read a predicted mask again, cleaned by some rules."""
        files = tuple(result_paths(self._mask(name), self.recipe.data.labels))
        found = load_pair(replace(self.pairs[name], mask=None, class_masks=files), self.recipe)
        return Prediction(name, apply_rules(need_label(found), rules, found.geometry), found.geometry)

    def draw(self, name: str, caption: str, dice: float) -> Overlay:
        """Lay the predicted mask of a case over the true one, for a report."""
        case, guess = self.read(name), self.recall(name)
        return Overlay(name, caption, case.image, flatten(guess.label), flatten(need_label(case)), dice, case.geometry)

    def _mask(self, name: str) -> Path:
        return self.folder / result_name(self.pairs[name].image, name)
