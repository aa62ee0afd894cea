"""A model file taken apart: what it says of itself, its recipe, its networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ushape.core.errors import ModelFileError
from ushape.core.model_file import ModelHeader, read_header, read_weights, split_members
from ushape.nets.init import Undrawn
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe, read_recipe
from ushape.predict.torch_engine import TorchEngine
from ushape.workflows.engine import window_margin


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds.

    Attributes:
        header: what the file says of itself; the weights are counted, whatever it says of their number.
        nets: its networks, in eval mode; more than one is an ensemble.
    """

    file: Path
    header: ModelHeader
    recipe: Recipe
    nets: tuple[UNet, ...]

    def reference(self) -> TorchEngine:
        """Return its first network as it is compared with: torch in float32 on the CPU."""
        return TorchEngine(self.nets[0], self.recipe.data.labels.count, margin=window_margin(self.recipe))


def read_model(file: Path) -> StoredModel:
    """Read a model file.

    Raises:
        ModelFileError: the file is no model, is damaged, or its weights are not finite or do not fit its recipe.
    """
    header = read_header(file)
    recipe = read_recipe(header.recipe, str(file))
    members = split_members(read_weights(file), header.members)
    nets = tuple(_build_members(recipe, members, file))
    counted = replace(header, parameters=sum(weight.numel() for weight in nets[0].parameters()))
    return StoredModel(file, counted, recipe, nets)


def _build_members(recipe: Recipe, members: Sequence[Mapping[str, Tensor]], file: Path) -> Iterator[UNet]:
    for weights in members:
        with Undrawn():
            net = UNet(recipe.net)
        try:
            net.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            raise ModelFileError(f"{file}: the weights do not fit the recipe ({error}); copy the file again") from error
        yield net.eval()
