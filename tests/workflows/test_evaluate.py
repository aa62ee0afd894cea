"""What an evaluation says beside its numbers: what means leave out, and what is odd about the masks."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ushape.cli.tables import show_evaluation
from ushape.core.errors import DataError
from ushape.io.images import read_mask
from ushape.io.outputs import write_mask
from ushape.workflows.evaluate import EvaluateRequest, evaluate_folder
from ushape.workflows.judge import Measuring


@pytest.fixture
def hits_and_misses(tmp_path: Path) -> EvaluateRequest:
    """Three perfect masks, two wholly missed, and one where there is nothing to find and nothing found."""
    square = np.zeros((12, 12), dtype=np.uint8)
    square[2:6, 3:7] = 1
    nothing = np.zeros_like(square)
    for number, (guess, truth) in enumerate([(square, square)] * 3 + [(nothing, square)] * 2 + [(nothing, nothing)]):
        write_mask(tmp_path / "m" / f"{number}.png", guess)
        write_mask(tmp_path / "t" / f"{number}.png", truth)
    return EvaluateRequest(tmp_path / "m", tmp_path / "t", tmp_path / "out", measuring=Measuring(instances=True))


def test_misses_and_empty_cases_are_told_beside_every_mean(
    hits_and_misses: EvaluateRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    show_evaluation(hits_and_misses, evaluate_folder(hits_and_misses))
    said, page = capsys.readouterr().out, (hits_and_misses.output or Path()).joinpath("report.html").read_text()
    assert "0.000 (3 of 5)" in " ".join(said.split())
    assert '<td class="number">0.000 (3 of 5)<small>no interval' in page
    left_out = "1 case without it in either mask; the infinite distances of 2 cases (one mask empty)"
    for text in (said, page):
        assert f"foreground: left out of means: {left_out}" in " ".join(text.split())
        assert "objects: left out of means: 1 case without any in either mask" in text
    for text in ("mean Dice of 5 cases", "The 5 cases reach from 0.000 to 1.000", "foreground (5)", "foreground (3)"):
        assert text in page
    assert re.search(r"<th>5</th><td>foreground</td>(<td class=\"number\">-</td>)+</tr>", page)
    assert re.search(r"aji +0\.600 \[0\.\d+, 1\.000\] +5 *\n", said)


def test_a_value_that_only_one_true_mask_has_is_told(blobs: Path) -> None:
    path = blobs / "masks" / "case1.png"
    mask = read_mask(path)
    mask[0, 0] = 254
    Image.fromarray(mask).save(path)
    (warning,) = evaluate_folder(EvaluateRequest(blobs / "masks", blobs / "masks")).warnings
    assert re.search(r"case1\.png: expected label values that other true masks have, got also 254; .* a slip", warning)


def test_instance_maps_name_their_folder_and_the_flags_of_evaluate(tmp_path: Path) -> None:
    for number in range(10):
        values = np.arange(144, dtype=np.uint16).reshape(12, 12) * (number > 0)
        write_mask(tmp_path / "numbered" / f"{number}.png", values)
    with pytest.raises(DataError, match=r"numbered: .* an instance map.*; evaluate with --foreground .*--instances"):
        evaluate_folder(EvaluateRequest(tmp_path / "numbered", tmp_path / "numbered"))
