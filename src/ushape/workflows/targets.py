"""Where the mask of an image goes: never among the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ushape.core.errors import ConfigError, DataError, OutputError
from ushape.core.labels import Labels
from ushape.io.images import split_name
from ushape.io.layouts import Pair, find_inputs
from ushape.io.listing import name_some
from ushape.io.outputs import probabilities_name
from ushape.io.results import check_format, result_name, result_paths
from ushape.io.segments import SEG

_FLAT = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Target:
    """An image to predict, and where its mask goes."""

    pair: Pair
    mask: Path

    def files(self, labels: Labels) -> list[Path]:
        """The files of the mask: one for each class, if the classes overlap in files of their own."""
        return result_paths(self.mask, labels)

    def beside(self, kind: str) -> Path:
        """Where its probabilities or its uncertainty go."""
        return self.mask.parent / kind / probabilities_name(self.pair.image, self.pair.name)

    @property
    def objects(self) -> Path:
        """Where its numbered objects go."""
        stem, ending = split_name(self.mask)
        return self.mask.parent / "instances" / (f"{stem}.nii.gz" if ending == SEG else self.mask.name)

    def has_overlays(self) -> bool:
        """Tell whether it is drawn: the picture, or three planes of a volume."""
        from ushape.report.planes import AXES, NORMALS

        stem = self.mask.parent / "overlays" / self.pair.name
        drawn = [[f"{stem}.png"], *([f"{stem}_{name}.png" for name in names] for names in (AXES, NORMALS))]
        return any(all(Path(path).exists() for path in paths) for paths in drawn)


def refuse_pictures(targets: Sequence[Target], ndim: int) -> None:
    """Refuse pictures for a model of volumes before any is read, where all are of a format that holds nothing else.

    Raises:
        DataError: that is so.
    """
    if ndim == 3 and targets and all(split_name(target.pair.image)[1] in _FLAT for target in targets):
        names = name_some(target.pair.image for target in targets)
        raise DataError(f"{names}: expected a volume for a 3D model, got a picture; use a model for pictures")


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
