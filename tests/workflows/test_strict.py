"""Masks on another grid than their image: resampled with a warning, or refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.io.volumes import save_nifti, volume

from ushape.core.events import Message, ignore_events
from ushape.io.cases import GridMismatch
from ushape.io.faults import check_dataset
from ushape.io.layouts import find_pairs
from ushape.plan.recipe import Recipe
from ushape.workflows.stock import load_pair
from ushape.workflows.survey import survey


@pytest.fixture
def shifted(tmp_path: Path) -> Path:
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for name in ("a", "b"):
        save_nifti(tmp_path / "images" / f"{name}.nii.gz", volume(space=(4, 20, 20)), affine)
        save_nifti(tmp_path / "masks" / f"{name}.nii.gz", volume(space=(4, 20, 20), dtype="uint8") // 60, affine)
    affine[0, 3] = 3
    save_nifti(tmp_path / "masks" / "b.nii.gz", volume(space=(4, 20, 20), dtype="uint8") // 60, affine)
    return tmp_path


def test_a_mask_on_another_grid_is_resampled_with_a_warning_unless_that_is_refused(shifted: Path) -> None:
    found = survey(shifted, ignore_events)
    recipe = Recipe.model_validate({"data": {"labels": found.labels.model_dump()}})
    strict = recipe.model_copy(update={"data": recipe.data.model_copy(update={"strict": True})})
    said: list[object] = []
    good, bad = find_pairs(shifted)
    assert load_pair(bad, recipe, said.append).label is not None
    assert [one.level for one in said if isinstance(one, Message)] == ["warning"]
    assert load_pair(good, strict, said.append).label is not None
    message = r"b\.nii\.gz: expected the grid of its image, .*, 3 voxels off\); .*leave out --strict"
    with pytest.raises(GridMismatch, match=message):
        load_pair(bad, strict, said.append)
    with pytest.raises(GridMismatch, match=message):
        survey(shifted, ignore_events, strict=True)


def test_the_check_calls_it_an_error_only_then(shifted: Path) -> None:
    for strict, severity in ((False, "warning"), (True, "error")):
        faults = [fault for fault in check_dataset(shifted, strict=strict) if "another grid" in fault.what]
        assert [(fault.file.name, fault.severity) for fault in faults] == [("b.nii.gz", severity)]
