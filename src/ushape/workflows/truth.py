"""What predictions are measured against: where the true masks lie, and which classes both know."""

from __future__ import annotations

from pathlib import Path

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.label_values import collect_labels, describe_labels, guess_labels
from ushape.io.layouts import Pair, dataset_folders


def common_labels(pairs: list[Pair], *, foreground: bool) -> Labels:
    """Guess the classes from the truth; of several, some may be in the predictions only.

    Raises:
        DataError: a single foreground value is another one in the predictions.
    """
    predicted = describe_labels([pair.image for pair in pairs])
    true = describe_labels([pair.mask for pair in pairs if pair.mask is not None])
    labels = guess_labels(true, foreground=foreground)  # refuses instance maps, and says how to score them
    strange = sorted(set(predicted.values) - set(true.values) - {0})
    if strange and not foreground and sum(value > 0 for value in true.values) < 2:
        raise DataError(
            f"{pairs[0].image.parent}: expected label values {list(true.values)} as in {pairs[0].mask}, got also "
            f"{', '.join(map(str, strange[:8]))}; use --foreground to score every value above 0 as one class"
        )
    if foreground or not strange:
        return labels
    return guess_labels(collect_labels({"predicted": predicted.pixels, "true": true.pixels}))


def truth_folders(truth: Path) -> tuple[Path | None, Path]:
    """Return the folder of images, if `truth` is a data set, and that of the true masks.

    Raises:
        DataError: there is no such folder.
    """
    need_folder(truth, "of true masks")
    decathlon = truth / "imagesTr", truth / "labelsTr"
    if all(folder.is_dir() for folder in decathlon):
        return decathlon
    if any(child.is_dir() for child in truth.iterdir()):
        return dataset_folders(truth)
    return None, truth


def need_folder(path: Path, what: str) -> None:
    """Refuse a path that is no folder.

    Raises:
        DataError: it is none.
    """
    if not path.is_dir():
        raise DataError(f"{path}: expected a folder {what}, got {'a file' if path.exists() else 'nothing'}; check it")
