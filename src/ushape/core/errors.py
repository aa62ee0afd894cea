"""The errors a user can meet.

```
UshapeError
|- ConfigError       a recipe, a flag or a config that cannot be used            (exit code 2)
|- DataError         a file or folder that cannot be read, or does not fit
|  `- ShapeError     arrays that do not share one grid, or have the wrong rank
|- OutputError       a place that cannot be written, or must not be overwritten
|- ModelFileError    a file that is no ushape model, or one this version cannot read
|- ExportError     a model that another runtime cannot hold, or not well enough
|- TrainingError     a training that cannot go on (diverged, out of memory)
|- Interrupted       the user stopped it; all is saved                          (exit code 130)
`- MissingExtra      an optional package that is not installed
```
Every message reads `<where>: expected <what>, got <value>; <what to do>`.
"""

from __future__ import annotations

import importlib
from threading import RLock
from types import ModuleType

_LOADING = RLock()


class UshapeError(Exception):
    """The base of all errors that are the input's fault, not the program's."""

    exit_code = 1


class ConfigError(UshapeError, ValueError):
    """A recipe, a flag or a config that cannot be used."""

    exit_code = 2


class DataError(UshapeError):
    """A file or folder that cannot be read, or does not fit the others."""


class ShapeError(DataError, ValueError):
    """Arrays that do not share one grid, or have the wrong number of axes."""


class OutputError(UshapeError):
    """A place that cannot be written, or must not be overwritten."""


class ModelFileError(UshapeError):
    """A file that is no ushape model, or one that this version cannot read."""


class ExportError(UshapeError):
    """A model that another runtime cannot hold, or not well enough."""


class TrainingError(UshapeError):
    """A training that cannot go on."""


class Interrupted(UshapeError):
    """The user stopped it; all is saved."""

    exit_code = 130


class MissingExtra(UshapeError, ImportError):
    """An optional package that is not installed."""


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Args:
        module: name to import.
        extra: the extra of ushape that installs it.
        purpose: what needs it, as the start of a sentence: "reading NRRD".
    Raises:
        MissingExtra: the package is not installed, or broken; the message holds the pip line.

    >>> require("surely_not_installed", "medical", "reading NRRD")
    Traceback (most recent call last):
    ushape.core.errors.MissingExtra: reading NRRD needs surely_not_installed; pip install 'ushape[medical]'
    """
    try:
        with _LOADING:  # threads that import modules which import each other would see halves of them
            return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        reason = "" if isinstance(error, ModuleNotFoundError) else f" (found, but: {error})"
        raise MissingExtra(f"{purpose} needs {module}{reason}; pip install 'ushape[{extra}]'") from error


def first_line(error: BaseException) -> str:
    r"""Return the first line of what another library says of an error, else the error's name.

    >>> first_line(ValueError("\n no such thing\nat 0x7f"))
    'no such thing'
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
