"""Volumes for the tests of io: any affine, and files made by the libraries that others use."""

import gzip
import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
from hypothesis import strategies as st

ORIENTATIONS = [
    np.eye(3)[list(axes)] * np.array(signs)[:, None]
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1.0, -1.0), repeat=3)
]
"""All 48 ways in which the axes of an array can lie along those of the world."""


def random_affine(seed: int, *, orthonormal: bool = False) -> np.ndarray:
    """Any grid: one of the 48 orientations, turned a little, anisotropic, sheared unless asked otherwise."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(np.eye(3) + 0.3 * rng.normal(size=(3, 3)))
    steps = ORIENTATIONS[rng.integers(48)] @ turn
    if not orthonormal:
        steps = steps + 0.2 * rng.normal(size=(3, 3))
    affine = np.eye(4)
    affine[:3, :3] = steps * rng.uniform(0.3, 5, 3)
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    return affine


SEEDS = st.integers(0, 2**32 - 1)


def volume(seed: int = 0, space: tuple[int, ...] = (3, 4, 5), dtype: str = "int16") -> np.ndarray:
    """An array (z, y, x) of noise."""
    return np.random.default_rng(seed).integers(0, 100, space).astype(dtype)


def save_nifti(path: Path, values: np.ndarray, affine: np.ndarray | None = None, **header: object) -> Path:
    """Write (c, z, y, x) or (z, y, x) with nibabel, fields of the header set as they are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values.T, np.eye(4) if affine is None else affine)
    nib.save(image, path)
    if header:
        patch_header(path, **header)
    return path


def patch_header(path: Path, **fields: object) -> None:
    """Overwrite fields of a NIfTI-1 header in place, without anything that nibabel would correct."""
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
