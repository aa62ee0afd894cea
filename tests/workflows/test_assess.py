"""Predictions against the truth: the right pairs, the right classes, and a report."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ushape.core.errors import DataError
from ushape.core.files import read_csv, read_json
from ushape.core.labels import Labels
from ushape.io.images import read_mask
from ushape.io.layouts import find_pairs
from ushape.workflows.api import evaluate
from ushape.workflows.baseline import threshold_baseline


def copy_masks(data: Path, out: Path, change: dict[int, int] | None = None) -> Path:
    out.mkdir()
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        for old, new in (change or {}).items():
            mask[mask == old] = new
        Image.fromarray(mask).save(out / path.name)
    return out


def test_the_truth_scored_against_itself_is_perfect(blobs: Path, tmp_path: Path) -> None:
    table = evaluate(copy_masks(blobs, tmp_path / "masks"), blobs, tmp_path / "scores")
    assert table.foreground_dice == 1
    assert len(table.cases) == 6
    assert {row["dice"] for row in read_csv(tmp_path / "scores" / "scores.csv")} == {"1.0"}
    assert read_json(tmp_path / "scores" / "summary.json")["foreground_mean"]["Dice"] == 1
    assert "data:image/png" in (tmp_path / "scores" / "report.html").read_text(encoding="utf-8")


def test_a_folder_of_masks_is_truth_enough(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    assert evaluate(predictions, blobs / "masks", tmp_path / "scores").foreground_dice == 1


def test_another_number_for_the_foreground_is_a_mistake_until_merged(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks", {255: 1})
    with pytest.raises(DataError, match=r"expected label values \[0, 255\] as in .*, got also 1; use --foreground"):
        evaluate(predictions, blobs)
    assert evaluate(predictions, blobs, foreground=True).foreground_dice == 1


def test_a_class_that_only_the_predictions_have_counts_against_them(blobs: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((blobs / "masks").iterdir())):
        Image.fromarray(read_mask(path) // 255 * np.uint8(1 + number % 2)).save(path)
    predictions = copy_masks(blobs, tmp_path / "masks")
    mask = read_mask(predictions / "case0.png")
    mask[:4] = 3
    Image.fromarray(mask).save(predictions / "case0.png")
    scores = evaluate(predictions, blobs)
    assert "class_3" in {row.class_name for row in scores.summaries()}
    assert scores.foreground_dice < 1


def test_predictions_of_another_size_are_told(blobs: Path, tmp_path: Path) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(predictions / "case3.png")
    with pytest.raises(DataError, match=r"case3: prediction lies on 5x5 .* but its truth on 40x48"):
        evaluate(predictions, blobs)


@pytest.mark.parametrize("missing", ["prediction", "truth"])
def test_a_file_without_partner_is_told(blobs: Path, tmp_path: Path, missing: str) -> None:
    predictions = copy_masks(blobs, tmp_path / "masks")
    (predictions if missing == "prediction" else blobs / "masks").joinpath("case3.png").unlink()
    with pytest.raises(DataError, match=r"case3\.png"):
        evaluate(predictions, blobs)


def test_a_threshold_finds_bright_discs_and_gives_a_score_to_beat(blobs: Path) -> None:
    baseline = threshold_baseline(find_pairs(blobs), Labels())
    assert 0.5 < baseline.dice <= 1
