"""The page about data is so: its folders are made as they stand there, and each command is called on them."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.calling import Called, call_well
from tests.io.dicoms import save_slices
from tests.io.volumes import save_nifti
from tests.test_readme import TINY

import ushape
from ushape.io.dicom import read_dicom
from ushape.io.layouts import find_dataset, scan_dataset
from ushape.io.outputs import Grid, write_mask, write_picture
from ushape.io.synthetic import write_nuclei

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
FILES = re.findall(r"^([\w/]+\.(?:json|csv|toml)):\n\n```\w+\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.splitlines() if line.startswith("ushape ")]
TREES = [text for kind, text in BLOCKS if not kind and "|- " in text]
VALUES = {"decathlon": (1, 5, 255), "nnunet": (1, 5, 255), "regions": (1, 5), "numbers": (1, 5)}
"""Which numbers the masks of a folder hold; 255 otherwise."""


def draw(values: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Draw a mask: a stripe of each value."""
    mask = np.zeros(shape, np.uint8)
    for number, value in enumerate(values):
        mask[..., 4 + 8 * number : 10 + 8 * number] = value
    return mask


def save_volume(path: Path, mask: np.ndarray | None, seed: int) -> None:
    image = np.random.default_rng(seed).normal(100, 30, (8, 32, 32)).astype(np.float32)
    save_nifti(path, image if mask is None else mask)


def save_scan(path: Path, mask: np.ndarray | None, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 200, (8, 32, 32)).astype(np.int16)
    save_slices(path.parent, noise)


def save_flat(path: Path, mask: np.ndarray | None, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (40, 48), dtype=np.uint8)
    write_picture(path, noise) if mask is None else write_mask(path, mask)


WRITERS: dict[str, tuple[tuple[int, ...], Callable[[Path, np.ndarray | None, int], None]]] = {
    ".png": ((40, 48), save_flat),
    ".gz": ((8, 32, 32), save_volume),
    ".dcm": ((8, 32, 32), save_scan),
}


def grow(tree: str, root: Path) -> None:
    """Make the files that a tree shows, those that stand on the page excepted."""
    folder, *lines = tree.splitlines()
    for seed, line in enumerate(lines):
        name = re.split(r"\s{2,}", line[3:])[0]
        path = root / folder / name
        if path.suffix in WRITERS:
            shape, write = WRITERS[path.suffix]
            is_mask = name.startswith(("masks", "labels", "truth"))
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, draw(VALUES.get(folder.strip("/"), (255,)), shape) if is_mask else None, seed)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make every folder and file of the page, and the run that its examples predict with."""
    root = tmp_path_factory.mktemp("data")
    for tree in TREES:
        grow(tree, root)
    grow("numbers/\n|- images/a.png\n|- images/b.png\n|- masks/a.png\n`- masks/b.png\n", root)
    for name in ("p1", "p2"):  # a mask lies where its slices do
        grid = Grid(read_dicom(root / "dicom" / "images" / name).geometry)
        write_mask(root / "dicom" / "masks" / f"{name}.nii.gz", draw((255,), (8, 32, 32)), grid=grid)
    for name, text in FILES:
        (root / name).write_text(text, encoding="utf-8")
    scans = (root / "scans" / "p3", root / "scans" / "p4")
    noise = np.random.default_rng(0).integers(0, 200, (8, 32, 32)).astype(np.int16)
    for scan in scans:
        save_slices(scan, noise, series=f"1.{scan.name[1]}.3", description="T1")
        save_slices(scan / "b", noise, series=f"1.{scan.name[1]}.4", description="T2")
        for number, path in enumerate(sorted((scan / "b").iterdir())):
            path.rename(scan / f"b{number}.dcm")
    ushape.train(root / "cells", root / "runs" / "cells", changes=TINY)
    volumes = {**TINY, "patches.size": [8, 16, 16], "predict.window.size": [8, 16, 16]}
    ushape.train(root / "dicom", root / "runs" / "dicom", changes=volumes)
    return root


@pytest.fixture
def inside(house: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand where the page stands."""
    monkeypatch.chdir(house)
    return house


def said_by(command: str, place: Path) -> Called:
    words = shlex.split(command)[1:]
    return call_well(*[str(place / word) if word in ("masks", "repaired") else word for word in words])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_works(command: str, inside: Path, tmp_path: Path) -> None:
    said = said_by(command, tmp_path)
    assert said.out
    assert ("not read: age" in said.out + said.err) == (" study" in command)


def test_each_layout_is_recognised_as_what_the_page_says(inside: Path) -> None:
    found = {tree.split("/")[0]: scan_dataset(Path(tree.split("/")[0])) for tree in TREES if "new/" not in tree}
    layouts = {name: each.layout.split(" (")[0] for name, each in found.items()}
    assert layouts == {
        "cells": "images/ and masks/",
        "organs": "images/ and masks/CLASS/",
        "modalities": "images/ and masks/",
        "decathlon": "Decathlon",
        "nnunet": "nnU-Net",
        "regions": "nnU-Net",
        "study": "table",
        "dicom": "images/ and masks/",
    }
    assert [len(pair.images) for pair in found["modalities"].pairs] == [2, 2]
    for name in ("decathlon", "nnunet"):
        labels = found[name].labels
        assert labels is not None
        assert (labels.values, labels.ignore) == ((0, 1, 5), 255)
    assert found["organs"].labels is not None
    assert found["organs"].labels.names == ("background", "liver", "tumour")
    assert found["study"].groups == {"a": "anna", "b": "anna", "c": "otto"}


def test_masks_are_named_as_the_page_says(inside: Path, tmp_path: Path) -> None:
    for command in [line for line in COMMANDS if " predict " in line]:
        said_by(command, tmp_path)
    written = {path.relative_to(tmp_path / "masks").as_posix() for path in (tmp_path / "masks").rglob("*.*")}
    assert {"d.png", "e.png", "overlays/d.png", "p3_t1.nii.gz", "p4_t1.nii.gz"} == written - {"overlays/e.png"}


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_seg", "_gt"])
@pytest.mark.parametrize("folder", ["masks", "labels", "annotations", "segmentations"])
def test_other_names_of_masks_do_as_well(folder: str, suffix: str, tmp_path: Path) -> None:
    write_nuclei(tmp_path / "cells", count=1, size=(40, 48))
    (mask,) = (tmp_path / "cells" / "masks").iterdir()
    mask.rename(mask.with_stem(mask.stem + suffix))
    mask.parent.rename(tmp_path / "cells" / folder)
    assert len(find_dataset(tmp_path / "cells").pairs) == 1
