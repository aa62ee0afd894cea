"""Which images of a folder are predicted, and what is said of those that failed."""

import re
from pathlib import Path

import pytest

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.pairs import Pair
from ushape.workflows.deliver import OutputOptions, is_finished
from ushape.workflows.extras import Extras
from ushape.workflows.infer import BatchResult, list_failures
from ushape.workflows.targets import Target, refuse_pictures


def test_a_mask_without_what_is_asked_for_beside_it_is_not_finished(tmp_path: Path) -> None:
    extras = Extras(uncertainty=True, instances="components")
    everything = OutputOptions(overlays=True, probabilities=True, extras=extras)
    target = Target(Pair("scan", tmp_path / "scan.nii.gz"), tmp_path / "out" / "scan.nii.gz")
    names = ("probabilities", "uncertainty", "instances")
    overlays = [f"overlays/scan_{plane}.png" for plane in ("axial", "coronal", "sagittal")]
    for name in ("scan.nii.gz", *(f"{name}/scan.nii.gz" for name in names), *overlays):
        assert not is_finished(target, Labels(), everything)
        path = tmp_path / "out" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert is_finished(target, Labels(), OutputOptions())
    assert is_finished(target, Labels(), everything)


def test_pictures_for_a_model_of_volumes_are_refused_before_any_is_read() -> None:
    pictures = [Target(Pair(name, Path(f"in/{name}.png")), Path(f"out/{name}.png")) for name in "abcdefghij"]
    with pytest.raises(DataError, match=r"in/a\.png, .* and \d more: expected a volume for a 3D model, got a picture"):
        refuse_pictures(pictures, 3)
    refuse_pictures(pictures, 2)
    refuse_pictures([*pictures, Target(Pair("k", Path("in/k.nii")), Path("out/k.nii"))], 3)


def test_equal_reasons_of_many_failures_are_told_once() -> None:
    reasons = {f"in/{number}.png": f"in/{number}.png: expected gray, got colours" for number in range(300)}
    error = list_failures(BatchResult((), (), {**reasons, "in/b.png": "in/b.png: cannot be decoded"}))
    first, grouped, alone = str(error).splitlines()
    assert (first, alone) == ("301 of 301 images failed:", "in/b.png: cannot be decoded")
    assert re.fullmatch(r"in/0\.png, .* and \d+ more: expected gray, got colours", grouped)
