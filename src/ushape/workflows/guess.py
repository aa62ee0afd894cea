"""What a user says of classes that no recipe names, and which they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ushape.core.config import parse_config
from ushape.core.labels import Ignore, Labels
from ushape.io.label_values import LabelFacts, guess_labels


@dataclass(frozen=True)
class Guess:
    """What a user says of classes whose values no recipe names.

    Attributes:
        foreground: whether every label value above 0 is one class.
        ignore: the value that is no class, or "none"; None if nothing is said.
    """

    foreground: bool = False
    ignore: Ignore | None = None

    def labels(self, known: Labels | None, values: LabelFacts) -> Labels:
        """Return the classes: those of the data set where it names them, else by the values in the masks.

        Raises:
            ConfigError: what is to be ignored is a class of the data set, or its classes may overlap.
            DataError: as `guess_labels`.
        """
        if known is None or self.foreground:
            return guess_labels(values, foreground=self.foreground, ignore=self.ignore)
        if self.ignore is None:
            return known
        return parse_config(Labels, {**known.model_dump(), "ignore": self.ignore}, "data.labels")


UNSAID = Guess()


def read_ignored(said: object) -> Ignore | None:
    """Return what is to be ignored as far as it can be; the recipe refuses what cannot."""
    is_value = isinstance(said, int) and not isinstance(said, bool) and said >= 0
    return cast("Ignore", said) if is_value or said == "none" else None
