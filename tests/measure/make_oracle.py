"""Print the numbers that other packages give for the masks of `test_measure_surface.py`.

pip install monai==1.6.1; python tests/measure/make_oracle.py
"""

from __future__ import annotations

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


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    tests = runpy.run_path(str(Path(__file__).with_name("test_measure_surface.py")))
    for name, (shape, spacing) in tests["CASES"].items():
        print(f'    "{name}": {tuple(ask_monai(*tests["make_masks"](shape), spacing).values())},')
