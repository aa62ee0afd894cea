"""The model file: one safetensors file that alone is enough to predict.

The header of a safetensors file is text, so that everything but the weights is read without torch. Nothing is ever
unpickled. No case names, paths or patient data are kept.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ushape.core.errors import ModelFileError
from ushape.core.files import atomic_path, sync_to_disk

if TYPE_CHECKING:
    from torch import Tensor

MODEL_FILE = "model.safetensors"
"""The name of the model file in a run folder, and in a repository of a hub."""
HUB = "hub:"
"""What a path begins with that means a model on a hub: `hub:OWNER/NAME`, or `hub:OWNER/NAME@REVISION`."""
FORMAT_VERSION = 1
_MAX_HEADER_BYTES = 100_000_000  # what the safetensors format allows


@dataclass(frozen=True)
class ModelHeader:
    """All of a model but its weights.

    Attributes:
        recipe: the complete recipe as TOML.
        members: how many networks the file holds; more than one is an ensemble, keys prefixed `members.K.`.
        provenance: versions, date, data set size and seed: where the model came from, without naming a case.
        score: measures on the validation cases, or empty.
        parameters: number of weights of one member.
    """

    recipe: str
    members: int = 1
    provenance: Mapping[str, Any] | None = None
    score: Mapping[str, Any] | None = None
    parameters: int = 0


def write_model(path: Path, weights: Mapping[str, Tensor], header: ModelHeader) -> None:
    """Write a model file, whole or not at all.

    Raises:
        OutputError: the place cannot be written.
    """
    from safetensors.torch import save

    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in weights.items()}
    with atomic_path(path) as temporary:
        written = save(tensors, metadata=header_text(header))  # save_file would make a file for its owner only
        temporary.write_bytes(written)
        sync_to_disk(temporary)


def header_text(header: ModelHeader) -> dict[str, str]:
    """Write a header as the text that lies in a file's metadata, of whatever format the file is."""
    values = {"format": "ushape", "format_version": str(FORMAT_VERSION), "recipe": header.recipe}
    return values | {name: json.dumps(value) for name, value in asdict(header).items() if name != "recipe"}


def read_header(path: Path) -> ModelHeader:
    """Read everything but the weights; never imports torch.

    Raises:
        ModelFileError: the file is missing, is no ushape model, or was written by a newer version.
    """
    metadata = _read_metadata(path)
    if metadata.get("format") != "ushape":
        raise ModelFileError(
            f"{path}: a safetensors file, but not a model of ushape; give the model.safetensors of a run"
        )
    return parse_header(metadata, path)


def parse_header(metadata: Mapping[str, str], path: Path) -> ModelHeader:
    """Read a header from the metadata of a file that ushape wrote.

    Raises:
        ModelFileError: it was written by a newer version, or is damaged.
    """
    version = int(metadata.get("format_version", "0"))
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: model format {version}, this version reads up to {FORMAT_VERSION}; pip install -U ushape"
        )
    try:
        known = {field.name for field in fields(ModelHeader)} - {"recipe"}
        values = {name: json.loads(metadata[name]) for name in known if name in metadata}
        return ModelHeader(recipe=metadata["recipe"], **values)
    except (KeyError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{path}: damaged header ({error}); copy the file again") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights of a model file onto the CPU.

    Raises:
        ModelFileError: the file is cut off or damaged, or some weights are NaN or infinite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path}: damaged weights ({error}); copy the file again") from error
    _refuse_endless(path, weights)
    return weights


def join_members(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Put the weights of several networks under one roof, each key prefixed `members.K.`; one alone stays as it is."""
    if len(members) == 1:
        return dict(members[0])
    return {f"members.{k}.{name}": value for k, member in enumerate(members) for name, value in member.items()}


def split_members(weights: Mapping[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """Take the weights of a model file apart again, one table per network.

    >>> split_members(join_members([{"a": 1}, {"a": 2}]), 2)
    [{'a': 1}, {'a': 2}]
    """
    prefixes = [f"members.{k}." for k in range(count)] if count > 1 else [""]
    return [
        {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        for prefix in prefixes
    ]


def _refuse_endless(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that are no numbers; a sum, which they spoil, tells it in one pass where there are none."""
    broken = [
        name
        for name, weight in weights.items()
        if weight.is_floating_point() and not math.isfinite(weight.sum()) and not weight.isfinite().all()
    ]
    if broken:
        raise ModelFileError(
            f"{path}: expected finite weights, got NaN or infinity in {len(broken)} of {len(weights)} tensors "
            f"({broken[0]}); copy the file again, or train anew with a lower --lr"
        )


def _read_metadata(path: Path) -> dict[str, str]:
    complaint = f"{path}: not a model file; expected a model.safetensors written by ushape train"
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 0 < length <= _MAX_HEADER_BYTES:
                raise ModelFileError(complaint)
            header = json.loads(file.read(length))
    except OSError as error:
        got = "found none" if isinstance(error, FileNotFoundError) else f"got none that can be read ({error.strerror})"
        raise ModelFileError(f"{path}: expected a model file, {got}; give the model.safetensors of a run") from error
    except (struct.error, ValueError) as error:
        raise ModelFileError(complaint) from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}
