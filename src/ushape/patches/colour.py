"""Changes of colour: every channel a mixture of the three old ones."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor


def mix_channels(patches: Float[Tensor, "n 3 *space"], matrices: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 *space"]:
    """Make each channel anew from all three.

    >>> red = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1)
    >>> mix_channels(red, torch.full((1, 3, 3), 1 / 3)).flatten().tolist()  # gray
    [0.3333333432674408, 0.3333333432674408, 0.3333333432674408]
    """
    return torch.bmm(matrices, patches.flatten(2)).reshape(patches.shape)


def colour_matrices(saturation: Float[ndarray, " n"], hue: Float[ndarray, " n"]) -> Float[ndarray, "n 3 3"]:
    """Keep the gray part of a colour, stretch the rest and turn it around the gray axis.

    Gray is the mean of the channels, so that a gray image stays as it is; normalised values, which may be negative,
    have no hue in the sense of HSV but can be turned like any others.

    Args:
        saturation: 0 is gray, 1 changes nothing.
        hue: angle in radians; a third of a turn makes red green.
    Source: Haeberli 1993, "Matrix Operations for Image Processing", with equal weights.
    """
    gray = np.full((3, 3), 1 / 3)
    colour = np.eye(3) - gray
    across = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    along, aside = (saturation * np.cos(hue))[:, None, None], (saturation * np.sin(hue))[:, None, None]
    return gray + along * colour + aside * across
