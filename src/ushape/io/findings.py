"""The words of checking: what was seen of the files of a case, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ushape.core.errors import DataError
from ushape.io.facts import ImageFacts, MaskFacts
from ushape.io.listing import name_some
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


def gather(faults: Iterable[Fault]) -> list[Fault]:
    """Make one line of warnings that say the same of several files of one folder, at the place of the first.

    >>> found = [Fault("warning", Path("m", name), "no foreground", "label it") for name in "abcd"]
    >>> print(*gather(found))
    m: no foreground in 4 files (a, b, c and 1 more); label it
    """
    groups: dict[Fault, list[Fault]] = {}
    for fault in faults:
        key = replace(fault, file=fault.file.parent) if fault.severity == "warning" else fault
        groups.setdefault(key, []).append(fault)
    return [_sum_up(key, group) if len(group) > 1 else group[0] for key, group in groups.items()]


def _sum_up(key: Fault, group: Sequence[Fault]) -> Fault:
    names = name_some([fault.file.name for fault in group], 3)
    return replace(key, what=f"{key.what} in {len(group)} files ({names})")


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
