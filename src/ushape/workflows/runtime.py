"""Which runtime runs a model: its file's own, the one asked for, or the fastest of them, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ushape.core.config import choose
from ushape.core.errors import ConfigError
from ushape.plan.usage import Usage
from ushape.predict.compose import Ensemble
from ushape.predict.engines import Engine
from ushape.predict.exported import is_exported
from ushape.workflows.foreign import fit_foreign
from ushape.workflows.openers import OPENERS
from ushape.workflows.source import Source, read_source

ABLE: dict[str, tuple[str, ...]] = {
    ".safetensors": ("torch", "onnx", "openvino"),
    ".onnx": ("onnx", "openvino"),
    ".xml": ("openvino",),
}
"""The ending of a model's file to the engines that can run it, its own first."""


@dataclass(frozen=True)
class Running:
    """A model that runs.

    Attributes:
        told: which engine it is and why, as a sentence; "" if there was nothing to choose.
    """

    usage: Usage
    engine: Engine
    told: str = ""


def run_model(file: Path, engine: str, device: str, recipe: Path | None = None) -> Running:
    """Open a model in a runtime.

    Args:
        engine: "torch", "onnx", "openvino"; "own" for the file's own; "auto" for the fastest here.
        recipe: for a file that was not made by ushape.
    Raises:
        ModelFileError: the file is damaged, or no model.
        ConfigError: the engine is unknown, or cannot run this file.
        MissingExtra: the engine is not installed.
    """
    source, able = read_source(file, device, recipe), ABLE.get(file.suffix, ("torch",))
    if engine == "auto":
        from ushape.workflows.speed import rank_engines  # which can train, measure and export

        trial = (1, source.usage.data.channels, *source.usage.predict.window.size)
        ranking = rank_engines(file, {name: partial(ENGINES[name], source) for name in able}, trial)
        return Running(source.usage, ENGINES[ranking.best](source), ranking.tell())
    name = able[0] if engine == "own" else choose(engine, {name: name for name in ENGINES}, "engine")
    if name not in able:
        raise ConfigError(f"--engine {name}: cannot run {file}; choose one of: auto, {', '.join(able)}")
    if name != "torch" and device not in ("auto", "cpu"):
        raise ConfigError(f"--device {device}: engine {name} runs on the CPU only; leave the option out")
    return Running(source.usage, ENGINES[name](source))


def _open_torch(source: Source) -> Engine:
    from ushape.workflows.engine import make_settled_engine
    from ushape.workflows.stored import read_model

    stored = read_model(source.file)
    engines = [make_settled_engine(net, stored.recipe, source.device) for net in stored.nets]
    return Ensemble(engines) if len(engines) > 1 else engines[0]


def _open_exported(source: Source, name: str) -> Engine:
    usage = source.usage
    margin = () if usage.is_padded else _lost_margin(usage)
    path = source.file if is_exported(source.file) else _export_once(source.file)
    engine = OPENERS[name](path, usage.data.labels.count, margin, source.precision, True)
    return fit_foreign(engine, path, usage) if source.foreign else engine


def _lost_margin(usage: Usage) -> tuple[int, ...]:
    from ushape.workflows.engine import window_margin

    return window_margin(usage.whole_recipe())


def _export_once(file: Path) -> Path:
    from ushape.workflows.speed import cached_export

    return cached_export(file)


ENGINES: dict[str, Callable[[Source], Engine]] = {
    "torch": _open_torch,
    "onnx": lambda source: _open_exported(source, "onnx"),
    "openvino": lambda source: _open_exported(source, "openvino"),
}
