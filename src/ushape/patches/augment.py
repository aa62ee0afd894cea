"""Augmentation of a whole batch: first move, then shade. A pure function of the seed and the step."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ushape.core.config import Config
from ushape.patches.shade import ShadeConfig, apply_shade, draw_shade
from ushape.patches.warp import Label, WarpConfig, apply_warp, draw_warp


class AugmentConfig(Config):
    """What is done to training batches, on the training device.

    Attributes:
        warp: movements, of image and label together.
        shade: changes of the image's values.
    """

    warp: WarpConfig = WarpConfig()
    shade: ShadeConfig = ShadeConfig()

    def check(self, channels: int, ndim: int) -> None:
        """Refuse settings that do not fit the images.

        Raises:
            ConfigError: colours are to be changed in images without, or an axis does not exist.
        """
        self.warp.check(ndim)
        self.shade.check(channels)


def augment(
    image: Float[Tensor, "b channels *space"],
    label: Label,
    config: AugmentConfig,
    seed: tuple[int, ...],
) -> tuple[Float[Tensor, "b channels *space"], Label]:
    """Augment one batch; the same seed gives the same batch.

    Raises:
        ConfigError: the settings do not fit the images.
    """
    rng = np.random.default_rng(seed)
    image, label = apply_warp(draw_warp(rng, config.warp, image.shape), image, label)
    return apply_shade(draw_shade(rng, config.shade, image.shape), image), label
