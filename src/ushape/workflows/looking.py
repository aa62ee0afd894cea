"""What is found out about a scene: its gates, and the gradients; all measured on the prepared grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from ushape.core.events import Listener, Message
from ushape.core.files import read_csv
from ushape.explain.attention_maps import GateEngine, GateJudgement, judge_map
from ushape.explain.flow import tell_flow, watch_flow
from ushape.explain.gradients import GradientFlow, Step, probe_gradients
from ushape.explain.levels import level_strides
from ushape.losses.compose import Loss
from ushape.nets.unet import UNet
from ushape.predict.windows import predict_windows
from ushape.train.config import TrainConfig
from ushape.train.flow import WatchFlow
from ushape.train.step import compute_loss
from ushape.workflows.engine import window_margin
from ushape.workflows.scene import Scene, class_mask
from ushape.workflows.scoring import need_label
from ushape.workflows.spot import Spot

Maps = Mapping[str, Float[ndarray, "*space"]]


def judge_gates(scene: Scene) -> tuple[Mapping[str, GateJudgement], Maps]:
    """Judge every gate by the label, or by the prediction if there is none; return its map on the image's own grid."""
    engine = GateEngine(scene.net, window_margin(scene.recipe))
    if not engine.gates:
        return {}, {}
    found = predict_windows(scene.prepared.image, engine, scene.recipe.predict.window)
    region = class_mask(scene.decided if scene.prepared.label is None else scene.prepared.label, 0)
    strides = level_strides(scene.net)
    pairs = list(zip(engine.gates.items(), found[1:], strict=True))
    judged = {name: judge_map(one, region, strides[level]) for (name, level), one in pairs}
    own = scene.undo(found)[1:]
    return judged, {name: np.clip(one, 0, 1) for name, one in zip(engine.gates, own, strict=True)}


def probe_window(scene: Scene, spot: Spot) -> GradientFlow:
    """Look at the gradients of the recipe's loss on one window, as a first step of training would see them."""
    recipe = scene.recipe
    label = torch.from_numpy(np.ascontiguousarray(spot.cut(need_label(scene.prepared))))[None]
    batch = {"image": torch.from_numpy(spot.pixels)[None], "label": label}
    loss = Loss(recipe.loss, recipe.head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        scene.net.train()
        flow = probe_gradients(
            scene.net,
            lambda: compute_loss(scene.net, loss, UNet.watch_gates, batch),
            make_step(recipe.train),
        )
        scene.net.eval()
    return flow


def make_step(train: TrainConfig) -> Step:
    """Return the step that a training takes at its highest rate."""
    return Step(train.optim.optimizer, train.optim.rate, train.clip)


def watch_gradients(train: TrainConfig) -> WatchFlow | None:
    """Return what looks at a training's gradients; None if that was not asked for."""
    return watch_flow(make_step(train)) if train.probe_gradients else None


def tell_gradients(table: Path, listener: Listener) -> None:
    """Say what is wrong with the gradients that a training wrote down, if it did."""
    for sentence in tell_flow(read_csv(table)):
        listener(Message(sentence))
