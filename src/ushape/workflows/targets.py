"""Where the mask of an image goes: never among the images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import ConfigError, OutputError
from ushape.core.labels import Labels
from ushape.io.images import split_name
from ushape.io.layouts import Pair, find_inputs
from ushape.io.results import check_format, result_name, result_paths


@dataclass(frozen=True)
class Target:
    """An image to predict, and where its mask goes."""

    pair: Pair
    mask: Path

    def files(self, labels: Labels) -> list[Path]:
        """The files of the mask: one for each class, if the classes overlap in files of their own."""
        return result_paths(self.mask, labels)

    def is_done(self, labels: Labels) -> bool:
        """Tell whether all of them are there."""
        return all(path.exists() for path in self.files(labels))


def choose_targets(source: Path, output: Path, channels: int, *, series: str = "", ending: str = "") -> list[Target]:
    """Find the images to predict, and name the mask of each.

    Args:
        output: a folder; or, for a single image, the mask's own path if it is named like a mask.
        channels: how many the model expects, which may lie in a file each.
        series: which DICOM series, see `find_inputs`.
        ending: the format of the masks, see `result_name`.
    Raises:
        DataError: there is nothing to predict.
        ConfigError: the format cannot hold these masks, or the output is named like another.
        OutputError: the output is the folder of the images, or one of them.
    """
    pairs = find_inputs(source, channels=channels, series=series)
    own_ending = split_name(output)[1]
    if len(pairs) == 1 and source == pairs[0].image and own_ending and not output.is_dir():
        check_format(source, own_ending)
        if ending and own_ending != f".{ending.lower().lstrip('.')}":
            raise ConfigError(f"--format {ending}: expected the ending of {output.name}, got another; leave it out")
        targets = [Target(pairs[0], output)]
    else:
        targets = [Target(pair, output / result_name(pair.image, pair.name, ending)) for pair in pairs]
    inputs = {image.resolve() for pair in pairs for image in pair.images}
    inputs |= {image.parent for image in inputs if source.is_dir() and image != source.resolve()}
    for target in targets:
        if inputs & {target.mask.resolve(), target.mask.resolve().parent}:
            raise OutputError(f"{target.mask}: would lie among the input images; choose another place with -o")
    return targets
