"""The words of checking: what was seen of the files of a case, and what is wrong with one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ushape.core.errors import DataError
from ushape.io.facts import ImageFacts, MaskFacts
from ushape.io.pairs import Pair

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Fault:
    """One finding. An error keeps the data set from training; a warning is for the user to judge."""

    severity: Severity
    file: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Look:
    """A pair after reading it.

    Attributes:
        image: None if it could not be read.
        masks: of the files that could be read; several if there is one for each class.
        faults: why the others could not.
    """

    pair: Pair
    image: ImageFacts | None
    masks: tuple[tuple[Path, MaskFacts], ...]
    faults: tuple[Fault, ...] = ()


def fault_of(error: DataError, where: Path, *, file: Path | None = None) -> Fault:
    """Take an error that reads `<where>: <what>; <remedy>` apart.

    Args:
        where: what it begins with, if that is no file.
        file: a better word for it.
    """
    head, _, rest = str(error).partition(": ")
    is_named = Path(head) == where or Path(head).exists()
    what, _, remedy = (rest if is_named else str(error)).rpartition("; ")
    return Fault("error", file or (Path(head) if is_named else where), what, remedy)
