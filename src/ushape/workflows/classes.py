"""The classes of a model, read from its header: no weight is touched."""

from __future__ import annotations

from pathlib import Path

from ushape.core.labels import Labels
from ushape.core.model_file import read_header
from ushape.plan.usage import read_usage
from ushape.predict.exported import is_exported, read_export
from ushape.workflows.source import model_path


def read_classes(model: Path) -> Labels:
    """Read what the values in a model's masks mean.

    Args:
        model: a model file, an exported one, a run folder, or hub:OWNER/NAME.
    Raises:
        ModelFileError: it is none.
    """
    file = model_path(model)
    header = read_export(file)[0] if is_exported(file) else read_header(file)
    return read_usage(header.recipe, str(file)).data.labels
