"""Cases are prepared once: again only if their contents or the way of preparing change."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.train.tiny import TINY, Heard, fit_tiny

from ushape.core.config import with_fields
from ushape.core.errors import DataError
from ushape.core.events import Message, Progress, ignore_events
from ushape.core.files import read_json, write_json
from ushape.io.images import read_image
from ushape.io.layouts import find_pairs
from ushape.plan.recipe import Recipe
from ushape.train.run_folder import RunFolder, create_run
from ushape.workflows.design import FitRequest
from ushape.workflows.prepare import prepare, prepare_only
from ushape.workflows.stock import key_cases

RECIPE = Recipe()


def begin(data: Path, path: Path) -> RunFolder:
    run = create_run(path)
    write_json(run.splits, {"data": str(data)})
    return run


def prepared_anew(data: Path, path: Path, recipe: Recipe = RECIPE) -> int:
    """Prepare a new run and count the cases that no earlier run had."""
    heard = Heard()
    store = prepare(begin(data, path), recipe, heard)
    assert len(store) == 6
    return len(heard.of(Progress))


def change(image: Path) -> None:
    pixels = read_image(image)[0].copy()
    pixels[0, 0] = 255 - pixels[0, 0]
    Image.fromarray(pixels).save(image)


def test_only_what_changed_is_prepared_anew(blobs: Path, tmp_path: Path) -> None:
    assert prepared_anew(blobs, tmp_path / "first") == 6
    assert prepared_anew(blobs, tmp_path / "second") == 0
    change(blobs / "images" / "case3.png")
    change(blobs / "masks" / "case5.png")
    assert prepared_anew(blobs, tmp_path / "third") == 2


def test_names_places_and_times_do_not_matter(blobs: Path, tmp_path: Path) -> None:
    prepared_anew(blobs, tmp_path / "first")
    moved = Path(shutil.copytree(blobs, tmp_path / "moved", copy_function=shutil.copyfile))
    for kind in ("images", "masks"):
        for path in sorted((moved / kind).iterdir()):
            os.utime(path, (0, 0))
            path.rename(path.with_name(f"other_{path.name}"))
    assert prepared_anew(moved, tmp_path / "second") == 0
    store = prepare(begin(moved, tmp_path / "third"), RECIPE, ignore_events)
    assert store.names == [f"other_case{i}" for i in range(6)]
    assert np.array_equal(store[2].label > 0, read_image(moved / "masks" / "other_case2.png")[0] > 0)


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"prep.crop": "nonzero"}, True),
        ({"prep.intensity": "none"}, True),
        ({"data.labels.merge": "foreground"}, True),
        ({"data.labels.names": ["ground", "disc"]}, False),
        ({"data.labels.colours": ["#000000", "#00ff00"]}, False),
        ({"net.widths": [4, 8], "train.seed": 3, "patches.size": [16, 16]}, False),
    ],
)
def test_only_what_preparing_depends_on_matters(blobs: Path, changes: dict[str, Any], anew: bool) -> None:
    pairs = find_pairs(blobs)
    before, after = key_cases(pairs, RECIPE), key_cases(pairs, with_fields(RECIPE, changes))
    assert [before[name] != after[name] for name in before] == [anew] * 6


def test_equal_images_under_two_names_are_two_cases(blobs: Path, tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        shutil.copy(blobs / kind / "case0.png", blobs / kind / "case1.png")
    store = prepare(begin(blobs, tmp_path / "run"), RECIPE, ignore_events)
    assert store.names == [f"case{i}" for i in range(6)]
    assert np.array_equal(store[0].image, store[1].image)


def test_a_run_goes_on_with_the_cases_it_began_with_or_not_at_all(blobs: Path, tmp_path: Path) -> None:
    run = begin(blobs, tmp_path / "run")
    prepare(run, RECIPE, ignore_events)
    contents = read_json(run.splits)["contents"]
    assert set(contents) == {f"case{i}" for i in range(6)}
    shutil.rmtree(run.prepared)
    assert len(prepare(run, RECIPE, ignore_events)) == 6
    change(blobs / "images" / "case4.png")
    with pytest.raises(DataError, match=r"expected the cases as they were when it began, got case4 changed; put"):
        prepare(run, RECIPE, ignore_events)
    for kind in ("images", "masks"):
        (blobs / kind / "case4.png").unlink()
    with pytest.raises(DataError, match="got case4 gone"):
        prepare(run, RECIPE, ignore_events)
    assert read_json(run.splits)["contents"] == contents


def test_a_case_that_was_added_does_not_stop_a_run(blobs: Path, tmp_path: Path) -> None:
    run = begin(blobs, tmp_path / "run")
    prepare(run, RECIPE, ignore_events)
    for kind in ("images", "masks"):
        shutil.copy(blobs / kind / "case0.png", blobs / kind / "case9.png")
    assert len(prepare(run, RECIPE, ignore_events)) == 6


def test_preparing_only_lets_the_training_begin_at_once(blobs: Path, tmp_path: Path) -> None:
    request = FitRequest(blobs, tmp_path / "run", changes=TINY)
    kept, heard = prepare_only(request, ignore_events), Heard()
    assert (kept, len(list(kept.iterdir()))) == (tmp_path / ".prepared", 6)
    assert not request.output.exists()
    run = fit_tiny(blobs, tmp_path / "run", {"train.epochs": 1, "train.steps_per_epoch": 1}, heard)
    assert not [event for event in heard.of(Progress) if event.stage == "prepare"]
    assert any("6 cases prepared, 6 of them before" in message.text for message in heard.of(Message))
    assert not run.prepared.exists()
    assert len(list(kept.iterdir())) == 6
