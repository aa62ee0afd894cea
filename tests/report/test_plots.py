"""Laws of the curves and distributions."""

from __future__ import annotations

import math
import subprocess
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ushape.report.plots import (
    MOST_POINTS,
    VARIABLES,
    Limits,
    best_point,
    change_limits,
    plot_loss,
    plot_rate,
    plot_spread,
    plot_validation,
    read_curve,
    share_limits,
    size_limits,
)

ROWS = [
    {"step": step, "train_loss": 1 / step, "val_dice": 1 - 1 / step if step % 5 == 0 else "", "lr": 1e-6 * step}
    for step in range(1, 21)
]


def test_cells_without_a_value_are_not_drawn() -> None:
    steps, values = read_curve(ROWS, "val_dice")
    assert steps.tolist() == [5, 10, 15, 20]
    assert values[0] == 0.8


def test_a_long_curve_is_drawn_by_means_that_keep_its_mean() -> None:
    rows = [{"step": step, "train_loss": float(step % 7)} for step in range(10 * MOST_POINTS)]
    steps, values = read_curve(rows, "train_loss")
    assert len(steps) == MOST_POINTS
    assert np.isclose(values.mean(), np.mean([step % 7 for step in range(10 * MOST_POINTS)]))


def test_the_best_validation_is_marked_in_words() -> None:
    assert best_point(ROWS) == (20.0, 0.95)
    assert "best 0.950 at step 20" in plot_validation(ROWS).text
    assert best_point([{"step": 1, "val_dice": ""}]) is None


@pytest.mark.parametrize("plot", [plot_loss, plot_validation, plot_rate])
def test_a_drawing_is_well_formed_and_small_and_has_no_address(plot: object) -> None:
    svg = plot(ROWS).text  # type: ignore[operator]
    ET.fromstring(svg)
    assert "http" not in svg
    assert "<style" not in svg
    assert len(svg) < 40_000


def test_a_drawing_is_the_same_every_time() -> None:
    assert plot_loss(ROWS).text == plot_loss(ROWS).text


def test_colours_follow_the_pages_theme() -> None:
    svg = plot_validation(ROWS).text
    assert not any(colour in svg for colour in VARIABLES)
    assert "var(--blue)" in svg
    assert "var(--orange)" in svg


def test_two_drawings_on_one_page_share_no_id() -> None:
    ids = [{node.get("id") for node in ET.fromstring(plot(ROWS).text).iter()} for plot in (plot_loss, plot_rate)]
    assert ids[0] & ids[1] == {None}


def test_every_case_is_a_dot_and_every_class_has_its_count() -> None:
    svg = plot_spread({"nuclei": [0.5, 0.7, float("nan")], "membrane": [0.9]}, "Dice", share_limits).text
    assert "nuclei (2)" in svg
    assert "membrane (1)" in svg
    assert svg.count("<use") >= 3


@pytest.mark.parametrize("name", ["$x_1$ and $", "<b>&amp;", "细胞核", "a" * 200])
def test_any_class_name_can_be_drawn(name: str) -> None:
    ET.fromstring(plot_spread({name: [0.5, 0.7]}, "Dice", share_limits).text)


@pytest.mark.parametrize("limits", [share_limits, size_limits, change_limits])
@pytest.mark.parametrize("values", [[], [math.nan, math.inf], [0.0, 0.0], [0.2, 0.9]])
def test_any_values_fit_on_their_axis(limits: Limits, values: list[float]) -> None:
    drawn = [value for value in values if math.isfinite(value)]
    low, high = limits(np.array(drawn))
    assert low < high
    assert all(low <= value <= high for value in drawn)
    ET.fromstring(plot_spread({"nuclei": values}, "Dice", limits).text)


def test_a_single_point_can_be_drawn() -> None:
    ET.fromstring(plot_loss([{"step": 1, "train_loss": 0.5}]).text)


def test_the_room_is_light_to_import_and_never_touches_the_global_plotting_state() -> None:
    program = (
        "import sys, ushape.report.plots as plots; loaded = set(sys.modules);"
        "plots.plot_loss([{'step': 1, 'train_loss': 0.5}]);"
        "sys.exit(bool({'matplotlib', 'PIL', 'torch'} & loaded or 'matplotlib.pyplot' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
