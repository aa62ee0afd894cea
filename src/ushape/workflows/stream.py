"""Predict an image larger than memory: cut from its file, written to a scratch file, then to the mask."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ushape.core.case import Case
from ushape.core.events import Listener, Progress
from ushape.core.files import scratch_array
from ushape.io.large import open_large
from ushape.io.outputs import Grid, write_mask
from ushape.predict.predictor import stream_label
from ushape.prep.lazy import is_lazy, prepare_lazily
from ushape.workflows.model import Model
from ushape.workflows.targets import Target


def predict_streamed(model: Model, target: Target, listener: Listener) -> bool:
    """Predict a large image without holding it; only its mask is written.

    Memory: a slab, a few windows, and the tiles that they touch.

    Returns:
        Whether that was done: not if the image is small, or its format, its channels, its preparation, the model's
        post-processing or classes that may overlap need it as a whole.
    Raises:
        DataError: a part of it cannot be read.
        OutputError: there is no room for the mask.
    """
    if model.config.postprocess or model.usage.data.labels.overlap != "none":
        return False
    with open_large(target.pair) as case:
        usage = model.usage
        if case is None or case.channels != usage.data.channels or len(case.space) != usage.ndim:
            return False
        if not is_lazy(usage.prep, case):
            return False
        _predict(model, case, target.mask, listener)
        return True


def _predict(model: Model, case: Case, path: Path, listener: Listener) -> None:
    labels = model.usage.data.labels
    with scratch_array(path, case.space, np.min_scalar_type(max(labels.values))) as mask:
        prepared, turned = prepare_lazily(case, model.usage.prep)
        sink, done = turned(mask), 0
        for region, label in stream_label(prepared.image, model.engine, model.config):
            sink[region] = labels.decode(label)
            done += label.size
            listener(Progress("predict", done, math.prod(prepared.space)))
        write_mask(path, mask, labels=labels, grid=Grid(case.geometry, Path(case.source)))
