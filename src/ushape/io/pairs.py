"""The words of layouts: the files of a case, what was matched and what was not, and a data set as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.listing import name_some, no_images
from ushape.io.splits import read_splits


@dataclass(frozen=True)
class Pair:
    """The files of one case.

    Attributes:
        name: the image's stem, without the number of its channel.
        image: its file, its folder of DICOM slices, or the file of its first channel.
        mask: the file of its mask, or None if there is no truth or one mask per class.
        channels: the files of all its channels, if there is one for each; else ().
        class_masks: the masks of the foreground classes, if there is one for each; else ().
        series: which DICOM series of `image`, by its UID; "" if there is but one.
    """

    name: str
    image: Path
    mask: Path | None = None
    channels: tuple[Path, ...] = ()
    class_masks: tuple[Path, ...] = ()
    series: str = ""

    @property
    def images(self) -> tuple[Path, ...]:
        """The files of the image."""
        return self.channels or (self.image,)

    @property
    def masks(self) -> tuple[Path, ...]:
        """The files of the truth, none if it is not known."""
        return self.class_masks or ((self.mask,) if self.mask else ())


@dataclass(frozen=True)
class Matching:
    """What stands in a folder of images and a folder of masks, faults included.

    Attributes:
        pairs: images with their masks, in natural order.
        missing: images without a mask, or without one for each class.
        surplus: masks without an image.
        doubled: files that share their stem with another one of the same folder.
        unknown: files in either folder that no reader knows.
        incomplete: images with fewer channels than the others; by their first file.
        rows: where a table lists an image, in words.
    """

    pairs: tuple[Pair, ...]
    missing: tuple[Path, ...] = ()
    surplus: tuple[Path, ...] = ()
    doubled: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()
    incomplete: tuple[Path, ...] = ()
    rows: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetFiles:
    """A data set as its layout describes it, before a file was opened.

    Attributes:
        layout: which one was found, in words.
        matching: its pairs, and what could not be paired.
        labels: the classes, or None if the layout does not name them.
        channel_names: of the images, () if it does not name them.
        groups: case name to patient, for splits; empty if it does not say.
        splits: case name to the split it was given to; empty if it does not say.
        axes: how the files are to be read, see `read_raster`.
        is_listed: whether each file is named in a list; else they are found by their stems.
        remark: what its description says in vain, and what to do about it, in one sentence; "" for nothing.
    """

    layout: str
    matching: Matching
    labels: Labels | None = None
    channel_names: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    axes: str = ""
    is_listed: bool = False
    remark: str = ""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The cases, in natural order."""
        return self.matching.pairs

    def without_tests(self) -> DatasetFiles:
        """Leave out the cases that are kept for a test: nothing is to be learnt from them, not even their statistics.

        Raises:
            DataError: the splits cannot be used, see `read_splits`.
        """
        training, held_out = read_splits([pair.name for pair in self.pairs], self.splits)
        kept = {*training, *held_out}
        return replace(self, matching=replace(self.matching, pairs=tuple(p for p in self.pairs if p.name in kept)))

    def __str__(self) -> str:
        names = f", classes {', '.join(self.labels.names)}" if self.labels else ""
        channels = f", channels {', '.join(self.channel_names)}" if self.channel_names else ""
        patients = f", {len(set(self.groups.values()))} patients" if self.groups else ""
        return f"{self.layout}: {len(self.pairs)} cases{channels}{names}{patients}"


def class_file_labels(names: Sequence[str]) -> Labels:
    """Return the label table of a data set with one mask file per class.

    >>> class_file_labels(["liver", "vessel"]).values
    (0, 1, 2)
    """
    return Labels(names=("background", *names), values=tuple(range(len(names) + 1)), overlap="files")


def refuse_strays(matching: Matching, where: Path) -> None:
    """Refuse a matching in which anything is left over or missing.

    Raises:
        DataError: there are no images, or files stand alone or twice; the message lists them.
    """
    refuse(matching.doubled, "each name once", "two files of one stem", "rename or remove one of each")
    refuse(matching.incomplete, "the same channels of each case", "fewer", "add the missing channel files")
    if not matching.pairs and not matching.missing:
        raise no_images(where, matching.unknown)
    listed = [path.with_name(f"{path.name} ({matching.rows[path]})") for path in matching.missing if matching.rows]
    refuse(listed or matching.missing, "a mask for each image", "none", "add the masks, or remove the images")
    refuse(matching.surplus, "an image for each mask", "none", "add the images, or remove the masks")


def refuse(paths: Sequence[Path], expected: str, got: str, remedy: str) -> None:
    """Refuse files, if there are any, in one message that names them."""
    if paths:
        names = name_some(path.name for path in paths)
        raise DataError(f"{paths[0].parent}: expected {expected}, got {got} for {names}; {remedy}")
