"""Where the mask of an image goes: never among the images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import OutputError
from ushape.io.images import split_name
from ushape.io.layouts import Pair, find_inputs
from ushape.io.outputs import mask_name


@dataclass(frozen=True)
class Target:
    """An image to predict, and where its mask goes."""

    pair: Pair
    mask: Path


def choose_targets(source: Path, output: Path, channels: int) -> list[Target]:
    """Find the images to predict, and name the mask of each.

    Args:
        output: a folder; or, for a single image, the mask's own path if it is named like a picture.
        channels: how many the model expects, which may lie in a file each.
    Raises:
        DataError: there is nothing to predict.
        OutputError: the output is the folder of the images, or one of them.
    """
    pairs = find_inputs(source, channels=channels)
    if len(pairs) == 1 and source == pairs[0].image and split_name(output)[1] and not output.is_dir():
        targets = [Target(pairs[0], output)]
    else:
        targets = [Target(pair, output / mask_name(pair.image, pair.name)) for pair in pairs]
    inputs = {image.resolve() for pair in pairs for image in pair.images}
    inputs |= {image.parent for image in inputs if source.is_dir() and image != source.resolve()}
    for target in targets:
        if inputs & {target.mask.resolve(), target.mask.resolve().parent}:
            raise OutputError(f"{target.mask}: would lie among the input images; choose another place with -o")
    return targets
