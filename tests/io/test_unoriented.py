"""NIfTI files without an orientation are told, and with what they are taken for."""

from pathlib import Path

import nibabel as nib
from nibabel.orientations import aff2axcodes
from tests.io.volumes import patch_header, save_nifti, volume

from ushape.core.events import Message
from ushape.io.faults import check_dataset
from ushape.io.findings import gather
from ushape.io.unoriented import tell_unoriented
from ushape.workflows.survey import survey


def save_pairs(folder: Path) -> list[Path]:
    """Three pairs without an orientation and one with it; return the images."""
    images = [folder / "images" / f"case_{number}.nii.gz" for number in range(4)]
    for number, path in enumerate(images):
        mask = folder / "masks" / path.name
        save_nifti(path, volume(number, (17, 18, 19)))
        save_nifti(mask, volume(number, (17, 18, 19), "uint8") % 3)
        for file in (path, mask) if number < 3 else ():
            patch_header(file, qform_code=0, sform_code=0)
    return images


def test_volumes_that_do_not_say_how_their_axes_run_are_told_once(tmp_path: Path) -> None:
    images = save_pairs(tmp_path)
    told = [str(fault) for fault in gather(check_dataset(tmp_path)) if "orientation" in fault.what]
    names = "case_0.nii.gz, case_1.nii.gz, case_2.nii.gz"
    assert len(told) == 2
    what = (
        "orientation unknown (qform and sform code 0), taken as x to the left, y forwards, z upwards (LAS) in 3 files"
    )
    assert all(f": {what} ({names}); correct its header" in line for line in told)
    assert tell_unoriented(images).startswith(f"{what} ({names})")
    assert tell_unoriented(images[3:]) == ""
    assert aff2axcodes(nib.load(images[0]).affine) == ("L", "A", "S")


def test_training_warns_once(tmp_path: Path) -> None:
    save_pairs(tmp_path)
    said: list[object] = []
    survey(tmp_path, said.append)
    warnings = [one.text for one in said if isinstance(one, Message) and one.level == "warning"]
    assert [text for text in warnings if "(LAS) in 6 files (case_0.nii.gz, " in text] == warnings
