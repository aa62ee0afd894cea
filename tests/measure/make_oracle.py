"""Print the numbers that other packages give for the masks of `masks.py`, for `oracle.json`.

pip install monai==1.6.1 surface-distance==0.1; python tests/measure/make_oracle.py > tests/measure/oracle.json
"""

from __future__ import annotations

import json
import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray


def ask_monai(prediction: ndarray, label: ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    """Return MONAI's numbers."""
    import torch
    from monai import metrics

    def both(mask: ndarray) -> Any:
        return torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32))

    pair, mm = (both(prediction), both(label)), {"include_background": False, "spacing": spacing}
    return {
        "dice": metrics.compute_dice(*pair, include_background=False).item(),
        "iou": metrics.compute_iou(*pair, include_background=False).item(),
        "hd": metrics.compute_hausdorff_distance(*pair, **mm).item(),
        "hd95": metrics.compute_hausdorff_distance(*pair, percentile=95, **mm).item(),
        "assd": metrics.compute_average_surface_distance(*pair, symmetric=True, **mm).item(),
        "nsd": metrics.compute_surface_dice(*pair, class_thresholds=[2.0], **mm).item(),
    }


def ask_surface_distance(prediction: ndarray, label: ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    """Return DeepMind's largest distance; its surfaces lie between the voxels, and other numbers weigh their area."""
    import surface_distance

    found = surface_distance.compute_surface_distances(label, prediction, spacing)
    return {"hd": float(surface_distance.compute_robust_hausdorff(found, 100))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    masks = runpy.run_path(str(Path(__file__).with_name("masks.py")))["MASKS"]
    packages = {"monai": ask_monai, "surface_distance": ask_surface_distance}
    found = {name: {of: ask(*pair, mm) for of, ask in packages.items()} for name, (pair, mm) in masks.items()}
    print(json.dumps(found, indent=1))
