"""Predict DICOM series with a model, write every kind of mask, read each back, and compare them voxel by voxel.

Beside the table it leaves the overlays, to be looked at. The model must take volumes: a hippocampus model for the
series in `dicom/` of the real images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy import ndarray

from ushape.io.dicom import read_dicom, read_slices
from ushape.io.dicom_seg import read_dicom_seg
from ushape.io.images import read_raster
from ushape.io.segments import place_on

RESULTS = Path(__file__).parent / "results"
KINDS = {
    "NIfTI": ("nii.gz", "BINARY"),
    "NRRD": ("nrrd", "BINARY"),
    "DICOM-SEG": ("dcm", "BINARY"),
    "DICOM-SEG label map": ("dcm", "LABELMAP"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real images; its dicom/ is read")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/dicom_round_trip"))
    parser.add_argument("--store", action="store_true", help="write the result into benchmarks/results")
    options = parser.parse_args()
    series = sorted(path for path in (options.data / "dicom").iterdir() if path.is_dir())
    rows = [row for folder in series for row in try_series(folder, options.model, options.output)]
    print(json.dumps(rows, indent=2))
    if options.store:
        (RESULTS / "dicom_round_trip.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if not all(row["equal"] for row in rows):
        sys.exit("a mask came back changed")


def try_series(folder: Path, model: Path, output: Path) -> list[dict[str, object]]:
    """Return a row for each kind of mask of one series."""
    image, rows, first = read_dicom(folder), [], None
    for name, (ending, kind) in KINDS.items():
        place = output / name.lower().replace(" ", "_")
        started = time.perf_counter()
        command = [sys.executable, "-m", "ushape", "predict", model, folder, "-o", place, "--format", ending]
        subprocess.run([*map(str, command), "--segments", kind.lower(), "--overlays"], check=True, capture_output=True)
        seconds = time.perf_counter() - started
        mask = place / f"{folder.name}.{ending}"
        raster = read_raster(mask)
        if raster.has_segments:
            raster = place_on(raster, image.geometry, image.pixels.shape[1:], str(mask))
        labels, shift = raster.pixels[0], raster.geometry.shift_to(image.geometry, image.pixels.shape[1:])
        first = labels if first is None else first
        equal = bool(np.array_equal(labels, first)) and (ending != "dcm" or by_slices(mask, folder, labels))
        rows.append(
            {
                "series": folder.name,
                "kind": name,
                "equal": equal,
                "shift_voxels": round(shift, 6),
                "voxels_per_value": dict(
                    zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True)
                ),
                "bytes": mask.stat().st_size,
                "seconds_whole_command": round(seconds, 2),
            }
        )
    return rows


def by_slices(path: Path, folder: Path, labels: ndarray) -> bool:
    """Read a DICOM-SEG the other way, by the UIDs of its slices, and compare."""
    _, masks = read_dicom_seg(path, read_slices(folder))
    values = [int(value) for value in np.unique(labels) if value]
    found = np.zeros(labels.shape, dtype=int)
    for number, mask in enumerate(masks, start=1):
        found[mask] = number
    return sorted(np.unique(found[labels > 0]).tolist()) == values and bool(np.array_equal(found, labels))


if __name__ == "__main__":
    main()
