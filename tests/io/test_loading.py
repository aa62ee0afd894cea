"""Reading imports what it needs, and not more."""

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest


def test_reading_a_volume_loads_no_dicom_and_dicom_can_be_loaded_afterwards(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4)), tmp_path / "a.nii")
    script = (
        "import sys; from pathlib import Path; from ushape.io.nifti import read_nifti; "
        f"print(read_nifti(Path({str(tmp_path / 'a.nii')!r})).pixels.shape, 'pydicom' in sys.modules); import pydicom"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["(1,", "4,", "3,", "2)", "False"]
