"""What a file for another runtime says of itself, beside the header of its model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from ushape.core.errors import ModelFileError
from ushape.core.model_file import ModelHeader, header_text, parse_header

ExportPrecision = Literal["fp32", "fp16", "bf16", "int8"]


@dataclass(frozen=True)
class Parity:
    """How far the file's probabilities lie from those of torch in float32, on one batch of noise.

    Attributes:
        size: of the windows, per axis.
        batch: how many there were.
        worst: the largest difference of a probability.
        other_class: share of the voxels that get another class.
    """

    size: tuple[int, ...]
    batch: int
    worst: float
    other_class: float


@dataclass(frozen=True)
class Cost:
    """What one form of a model costs, and how well it does on cases that did not calibrate it.

    Attributes:
        name: the form: "torch float32", "onnx int8".
        bytes: of its file.
        milliseconds: for one window, the median of some.
        dice: mean foreground Dice on the scored cases.
    """

    name: str
    bytes: int
    milliseconds: float
    dice: float


@dataclass(frozen=True)
class ExportFacts:
    """How a file came from its model.

    Attributes:
        format: the runtime that it is made for.
        window: the only size of windows it takes; () for any.
        parity: how it compares with torch.
        costs: before and after quantisation, on the same cases; empty for other precisions.
        scored_cases: how many cases the Dice is the mean of.
        kept: names of the layers that stayed in floating point, since quantising them cost too much Dice.
    """

    format: Literal["onnx", "openvino"]
    precision: ExportPrecision
    window: tuple[int, ...] = ()
    parity: tuple[Parity, ...] = ()
    costs: tuple[Cost, ...] = ()
    scored_cases: int = 0
    kept: tuple[str, ...] = ()


def export_text(header: ModelHeader, facts: ExportFacts) -> dict[str, str]:
    """Write both as the text of a file's metadata."""
    return {**header_text(header), "export": json.dumps(asdict(facts))}


def parse_export(metadata: Mapping[str, str], path: Path) -> tuple[ModelHeader, ExportFacts]:
    """Read both from the metadata of a file.

    Raises:
        ModelFileError: the file was not made by ushape, or by a newer version, or its metadata is damaged.
    """
    if metadata.get("format") != "ushape" or "export" not in metadata:
        raise ModelFileError(
            f"{path}: not made by ushape export: how images are prepared, the classes and the size of a window are "
            "missing in its metadata; supply them with --recipe FILE, a recipe with [data], [prep] and [predict]"
        )
    header = parse_header(metadata, path)
    try:
        values = json.loads(metadata["export"])
        rows = {"parity": Parity, "costs": Cost}
        values |= {name: tuple(row(**_tuples(each)) for each in values[name]) for name, row in rows.items()}
        return header, ExportFacts(**_tuples({field.name: values[field.name] for field in fields(ExportFacts)}))
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{path}: damaged metadata ({error}); export the model again") from error


def _tuples(values: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
