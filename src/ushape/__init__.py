"""U-Net segmentation from a folder of images to a shipped model, on the machine you have.

```
files -> Case -> normalised Case -> patches -> augmented batch -> net -> loss -> trainer -> model file
model file + files -> Case -> normalised -> windows -> probabilities -> label -> the input's grid -> metrics -> report
```
A room of the package imports only rooms below it:

```
cli          the verbs
workflows    the flow, one file per verb
plan         data set -> recipe
deploy       net -> smaller, portable net
explain      what the net does
report       numbers -> pictures
train        net + patches -> model file
predict      net + case -> prediction
losses       (logits, label) -> scalar
nets         tensor -> logits
patches      case -> training batch
prep         case -> normalised case, and back
io           files <-> cases
measure      (prediction, label, spacing) -> numbers
core         the vocabulary
```
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ushape.core.case import Case, Geometry, Prediction
    from ushape.core.errors import UshapeError
    from ushape.core.labels import Labels
    from ushape.nets.config import UNetConfig
    from ushape.nets.presets import preset
    from ushape.nets.unet import UNet
    from ushape.plan.recipe import Recipe
    from ushape.workflows.api import evaluate, predict_folder, train
    from ushape.workflows.foreign import Foreign
    from ushape.workflows.hub import push_to_hub
    from ushape.workflows.model import Model, load

__version__ = "0.1.0"
__all__ = [
    "Case",
    "Foreign",
    "Geometry",
    "Labels",
    "Model",
    "Prediction",
    "Recipe",
    "UNet",
    "UNetConfig",
    "UshapeError",
    "evaluate",
    "load",
    "predict_folder",
    "preset",
    "push_to_hub",
    "train",
]

_HOMES = {
    "Case": "core.case",
    "Foreign": "workflows.foreign",
    "Geometry": "core.case",
    "Labels": "core.labels",
    "Model": "workflows.model",
    "Prediction": "core.case",
    "Recipe": "plan.recipe",
    "UNet": "nets.unet",
    "UNetConfig": "nets.config",
    "UshapeError": "core.errors",
    "evaluate": "workflows.api",
    "load": "workflows.model",
    "predict_folder": "workflows.api",
    "preset": "nets.presets",
    "push_to_hub": "workflows.hub",
    "train": "workflows.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import ushape` itself stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ushape' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ushape.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """The package, whose name `train` is the function: importing the room of that name must not hide it."""

    @property
    def train(self) -> Any:
        """Train on a folder of images and masks, and return the best model."""
        return importlib.import_module("ushape.workflows.api").train

    @train.setter
    def train(self, room: ModuleType) -> None:
        """Leave the room where `from ushape.train import ...` finds it."""


sys.modules[__name__].__class__ = _Package
