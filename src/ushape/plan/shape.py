"""Rules of size: patch, levels, strides and kernels per axis, windows.

Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for strides and kernels of anisotropic volumes. Differs:
patches, depth and widths are what a CPU trains in minutes, not what fills a graphics card.
"""

from __future__ import annotations

import math

from ushape.plan.decision import Decision, show_spacing
from ushape.plan.space import Grid
from ushape.predict.windows import WindowConfig

PATCH_EDGE = {2: 128, 3: 64}
"""Edge of a patch of equal spacing; others have as many voxels and the same size in mm along each axis, if they can."""
LONGEST_PATCH = {2: 256, 3: 160}
SHORTEST_PATCH = {2: 16, 3: 4}
PATCH_MULTIPLE = {2: 16, 3: 1}
SMALLEST_GRID = {2: 16, 3: 4}
"""An axis is halved while at least this many voxels would be left for the deepest level."""
DEEPEST = 4
FIRST_WIDTH = {2: 16, 3: 32}
"""Channels of the first level. Pictures: in minutes, four times the steps are worth more than twice the channels."""
NEARLY = 0.75
COARSER = 2.0
"""An axis this many times coarser than the finest is neither halved nor looked along, until the others catch up."""

Rows = tuple[tuple[int, ...], ...]
"""One row per level, one number per axis."""


def choose_patch_size(grid: Grid, strides: Rows) -> Decision:
    """Take the median image up to a patch's usual volume, as long in mm along each axis as bounds allow.

    Each axis is rounded so that every level divides it: an image that sticks out a little is seen at another place in
    the next step, while a patch that sticks out is work on zeros. An axis of a single voxel stays one.
    """
    rough = _rough_size(grid)
    size = tuple(max(round(length / total), 1) * total for length, total in zip(rough, _total(strides), strict=True))
    if all(have >= full for have, full in zip(size, grid.size, strict=True)):
        return Decision(size, "holds the median image whole")
    if all(have >= full * NEARLY for have, full in zip(size, grid.size, strict=True)):
        return Decision(size, f"nearly holds the median image of {'x'.join(map(str, grid.size))} voxels")
    if len(set(grid.spacing)) > 1:
        return Decision(size, f"about as long along each axis in mm, at {show_spacing(grid.spacing, 'mm')} a voxel")
    usual = f"about {PATCH_EDGE[len(size)]} per axis"
    return Decision(size, f"{usual}: enough context, and many different patches per minute")


def choose_strides(grid: Grid, levels: int | None = None) -> Decision:
    """Halve, from level to level, each axis that is long enough and not yet coarser than the finest.

    At least two levels, at most `DEEPEST`.

    Args:
        levels: exactly so many, because a user says so; what is too short is then halved all the same.
    """
    size, strides = _rough_size(grid), [(1,) * len(grid.size)]
    while len(strides) < (levels or DEEPEST):
        halved = _halved_axes(size, grid.spacing, _total(tuple(strides)))
        if not any(halved):
            break
        strides.append(tuple(2 if axis else 1 for axis in halved))
    while len(strides) < (levels or 2):
        strides.append(tuple(2 if length > 1 else 1 for length in size))
    rows = tuple(strides)
    deepest = [math.ceil(length / total) for length, total in zip(size, _total(rows), strict=True)]
    later = "; coarser axes are halved later" if len(set(grid.spacing)) > 1 else ""
    return Decision(rows, f"the deepest of {len(rows)} still sees {'x'.join(map(str, deepest))} voxels{later}")


def choose_kernels(grid: Grid, strides: Rows) -> Decision:
    """Look along an axis only where its voxels are less than `COARSER` times as long as the finest, and several."""
    rows, seen, flat = [], (False,) * len(grid.size), _flat_axes(grid)
    for level in range(len(strides)):
        now = [step * total for step, total in zip(grid.spacing, _total(strides[: level + 1]), strict=True)]
        seen = tuple(
            was or (step < COARSER * min(now) and not single) for was, step, single in zip(seen, now, flat, strict=True)
        )
        rows.append(tuple(3 if axis else 1 for axis in seen))
    return Decision(tuple(rows), "1 along an axis until its voxels are less than twice as long as the shortest")


def choose_widths(levels: int, ndim: int) -> Decision:
    """Double the channels at each level."""
    widths = tuple(FIRST_WIDTH[ndim] * 2**level for level in range(levels))
    return Decision(widths, "doubled at each level")


def choose_window(patch: tuple[int, ...]) -> Decision:
    """Predict pictures in windows of twice the patch, which overlap by half a patch; volumes as trained."""
    if len(patch) == 2:
        window = WindowConfig(size=tuple(2 * size for size in patch), overlap=0.25)
        return Decision(window, "twice the patch, overlapping by half a patch: few voxels are predicted twice")
    return Decision(WindowConfig(size=patch), "as trained")


def _rough_size(grid: Grid) -> tuple[int, ...]:
    """Return the patch before its axes are rounded up to what the levels divide."""
    ndim = len(grid.size)
    mean = math.prod(grid.spacing) ** (1 / ndim)
    shortest, multiple, rough = SHORTEST_PATCH[ndim], PATCH_MULTIPLE[ndim], []
    for length, step, flat in zip(grid.size, grid.spacing, _flat_axes(grid), strict=True):
        wanted = min(round(PATCH_EDGE[ndim] * mean / step), LONGEST_PATCH[ndim], length)
        rough.append(1 if flat else max(math.ceil(wanted / multiple) * multiple, shortest))
    return tuple(rough)


def _flat_axes(grid: Grid) -> tuple[bool, ...]:
    """Say which axes of a volume have a single voxel, beside others that have more."""
    return tuple(len(grid.size) == 3 and length == 1 < max(grid.size) for length in grid.size)


def _halved_axes(size: tuple[int, ...], spacing: tuple[float, ...], total: tuple[int, ...]) -> list[bool]:
    smallest = SMALLEST_GRID[len(size)]
    now = [step * factor for step, factor in zip(spacing, total, strict=True)]
    is_long = [math.ceil(length / (2 * factor)) >= smallest for length, factor in zip(size, total, strict=True)]
    finest = min((step for step, long in zip(now, is_long, strict=True) if long), default=0.0)
    return [long and step < COARSER * finest for step, long in zip(now, is_long, strict=True)]


def _total(strides: Rows) -> tuple[int, ...]:
    """Multiply the strides of all levels.

    >>> _total(((1, 1), (1, 2), (2, 2)))
    (2, 4)
    """
    return tuple(math.prod(column) for column in zip(*strides, strict=True))
