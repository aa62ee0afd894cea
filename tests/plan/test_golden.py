"""What is decided for whole data sets, line by line as `ushape plan` prints it.

Run as a script with the folder of real images, this file writes the plans anew: look at the difference, then keep it.
"""

import sys
from pathlib import Path

import pytest
from tests.plan.fingerprints import EXTREMES

from ushape.core.events import ignore_events
from ushape.io.phantom import write_phantoms
from ushape.plan.reasons import show_decisions
from ushape.plan.recipe import Recipe, overlay_recipe
from ushape.plan.rules import make_plan
from ushape.plan.toml import parse_toml
from ushape.workflows.design import FitRequest, design

GOLDEN = Path(__file__).with_name("golden")
REMEDY = "if that is meant: PYTHONPATH=. python tests/plan/test_golden.py DATA, and look at what changed"
REAL = {"isbi2012": False, "dsb2018": True, "Task04_Hippocampus": False}
"""Folder of real images, and whether all its labels are one class."""


def plan_extreme(name: str) -> str:
    recipe, reasons = make_plan(*EXTREMES[name])
    return show_decisions(recipe, reasons)


def plan_real(folder: Path, *, foreground: bool) -> str:
    return design(FitRequest(folder, Path(), foreground=foreground), ignore_events).decisions


def plan_phantom(folder: Path) -> str:
    write_phantoms(folder, count=3, size=(16, 64, 64))
    return plan_real(folder, foreground=False)


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_data_sets_get_the_plan_that_was_looked_at(name: str) -> None:
    assert plan_extreme(name) == golden(name), REMEDY


@pytest.mark.parametrize("name", EXTREMES)
def test_what_is_printed_is_all_that_was_decided(name: str) -> None:
    recipe, _ = make_plan(*EXTREMES[name])
    assert overlay_recipe(Recipe(), parse_toml(golden(name), name), name) == recipe


@pytest.mark.parametrize("name", ["isbi2012", "Task04_Hippocampus", pytest.param("dsb2018", marks=pytest.mark.slow)])
def test_real_data_sets_get_the_plan_that_was_looked_at(data_root: Path, name: str) -> None:
    if not (data_root / name).is_dir():
        pytest.skip(f"no {data_root / name}")
    assert plan_real(data_root / name, foreground=REAL[name]) == golden(name), REMEDY


def test_a_ct_phantom_is_planned_as_ct(tmp_path: Path) -> None:
    assert plan_phantom(tmp_path / "phantom") == golden("phantom"), REMEDY


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        plans = {name: plan_extreme(name) for name in EXTREMES} | {"phantom": plan_phantom(Path(scratch) / "phantom")}
    plans |= {name: plan_real(Path(sys.argv[1]) / name, foreground=flag) for name, flag in REAL.items()}
    for name, text in plans.items():
        (GOLDEN / f"{name}.toml").write_text(text, encoding="utf-8")
