"""The ledger of claims is what its script finds, and the comparisons behind it are resumable, paired and well spelt."""

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ushape.core.config import with_fields
from ushape.plan.recipe import Recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import scripts of benchmarks/ by name, as they import each other."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.slow
def test_what_can_be_computed_still_gives_the_verdicts_on_the_page() -> None:
    command = [sys.executable, "benchmarks/claims.py", "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_verdict_that_changed_and_a_row_that_is_missing_are_found(scripts: Any) -> None:
    claims = scripts("claims")
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert claims.stale_rows(page, page) == []
    assert len(claims.verdicts(page)) == sum(map(len, claims.SECTIONS.values()))
    changed = page.replace("18.84 M | **does not hold**", "18.84 M | **holds**")
    assert len(claims.stale_rows(page, changed)) == 1
    last = page.rstrip().rpartition("\n")[0]
    assert "None" in claims.stale_rows(page, last)[0]


def test_rows_on_times_and_dice_are_those_of_the_stored_results(scripts: Any) -> None:
    claims = scripts("claims")
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    for title in ("Time", "Dice"):
        assert "\n".join(claims.write_section(title)).rstrip() in page


@pytest.mark.parametrize("name", ["ledger.claim", "ledger.timing", "ledger.training"])
def test_judgements_are_what_their_examples_say(scripts: Any, name: str) -> None:
    failed, tried = doctest.testmod(scripts(name))
    assert tried > 0
    assert failed == 0


def test_every_variant_is_a_recipe(scripts: Any) -> None:
    ablations = scripts("ablations")
    for group in ablations.GROUPS.values():
        for changes in group.variants.values():
            with_fields(Recipe(), {**ablations.COMMON, **changes})


def test_a_comparison_that_was_stopped_makes_each_run_once(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ablations, made = scripts("ablations"), []

    def train_two(_: Any, changes: dict[str, Any]) -> dict[str, Any]:
        if len(made) % 3 == 2 and "stopped" not in made:
            made.append("stopped")
            raise KeyboardInterrupt
        made.append(json.dumps(changes, sort_keys=True))
        return {"dice": 0.5 + 0.1 * ("fixed" in made[-1]) + 0.01 * changes["train.seed"], "cpu_seconds": 1.0}

    monkeypatch.setattr(ablations, "STORED", tmp_path / "ablations.json")
    monkeypatch.setattr(ablations, "train_once", train_two)
    monkeypatch.setattr(ablations, "make_data", lambda *_: (tmp_path, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        ablations.train_all(None, ["schedule", "precision"])
    assert len(made) == 3
    ablations.train_all(None, ["schedule", "precision"])
    runs = [each for each in made if each != "stopped"]
    assert len(runs) == len(set(runs)) == 3 * 5  # float32 is the schedule's cosine
    record = ablations.read_record()
    assert ablations.differences(record, "schedule", "vessels", "cosine") == pytest.approx([-0.1] * 3)
    assert (
        "| vessels | learning-rate schedule | cosine | 0.510 (0.010) | -0.100 (0.000) | 3 | 1 |"
        in ablations.as_table(record)
    )
    monkeypatch.setitem(ablations.COMMON, "patches.batch", 5)
    assert ablations.read_record() == {"runs": {}}  # other settings: nothing of the old may be mixed in


def test_membranes_become_the_foreground_and_four_images_are_unseen(scripts: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(6):
            pixels = rng.choice(np.array([0, 255], np.uint8), (300, 270))
            Image.fromarray(pixels).save(tmp_path / kind / f"{number}.png")
    seen, unseen = tmp_path / "seen", tmp_path / "unseen"
    scripts("ablations").copy_membranes(tmp_path, seen, unseen)
    assert sorted(path.name for path in (seen / "masks").iterdir()) == ["0.png", "1.png"]
    mask = np.asarray(Image.open(unseen / "masks" / "5.png"))
    assert np.array_equal(mask, 255 - np.asarray(Image.open(tmp_path / "masks" / "5.png"))[:256, :256])
