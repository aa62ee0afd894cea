"""Objects out of classes: each gets a number of its own, by touching or by shape."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray
from pydantic import Field

from ushape.core.case import Geometry, Spacing
from ushape.core.config import Config
from ushape.predict.postprocess import class_boxes, components

Method = Literal["components", "watershed"]


class InstanceConfig(Config):
    """How a class is split into objects.

    Attributes:
        method: "components" makes one object of all that touches, at edges and corners too; "watershed" also splits
            where an object narrows.
        depth: by how much a neck must be narrower than both bulges beside it, in radius and the shortest edge of a
            voxel.
        sigma: by how much the distance to the border is smoothed before, in voxels; ragged borders else make seeds.
    """

    method: Method = "components"
    depth: Annotated[float, Field(gt=0)] = 0.5
    sigma: Annotated[float, Field(ge=0)] = 1.0


def split_objects(
    label: Integer[ndarray, "*space"], geometry: Geometry, config: InstanceConfig
) -> Integer[ndarray, "*space"]:
    """Number the objects of each class from 1 on, those of the first class first; no object has two classes.

    Returns:
        Numbers in uint32, 0 for the background.
    """
    out = np.zeros(label.shape, dtype=np.uint32)
    last = 0
    for box, mask in class_boxes(label, "all"):
        found = split_mask(mask, geometry.spacing, config)
        out[box][mask] = found[mask] + last
        last += int(found.max())
    return out


def split_mask(mask: Bool[ndarray, "*space"], spacing: Spacing, config: InstanceConfig) -> Integer[ndarray, "*space"]:
    """Number the objects of one mask from 1 on.

    Watershed floods the distance to the border from its maxima; a maximum counts if it stands out by `depth`.

    Source: Beucher and Lantuejoul 1979 (watershed); Soille 2003, Morphological Image Analysis, 6.3 (h-maxima).
    """
    if config.method == "components":
        return components(mask)[0]
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.segmentation import watershed

    room = np.pad(mask, 1)  # the image's border is a border of what lies in it
    distance = distance_transform_edt(room, spacing)[(slice(1, -1),) * mask.ndim].astype(np.float32)
    if config.sigma:
        distance = gaussian_filter(distance, config.sigma)
    return watershed(-distance, _seeds(distance, mask, config.depth * min(spacing)), mask=mask)  # type: ignore[no-untyped-call]


def _seeds(distance: ndarray, mask: ndarray, depth: float) -> Integer[ndarray, "*space"]:
    from skimage.morphology import local_maxima, reconstruction

    low = np.where(mask, distance, 0)
    leveled = reconstruction(np.maximum(low - depth, 0), low)  # type: ignore[no-untyped-call]
    return components(local_maxima(leveled) & mask)[0]  # type: ignore[no-untyped-call]
