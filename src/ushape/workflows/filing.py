"""An explanation as files: one page, its pictures, NIfTI maps of volumes, and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy import ndarray

from ushape.core.files import read_json, write_json, write_text
from ushape.io.nifti import write_nifti
from ushape.io.outputs import write_picture
from ushape.report.heat import Picture, draw_mosaic
from ushape.report.page import render_page
from ushape.workflows.drawing import draw_maps
from ushape.workflows.explanation import Explanation
from ushape.workflows.facts import to_json
from ushape.workflows.scene import Scene
from ushape.workflows.summary import tell_summary
from ushape.workflows.telling import Drawn, list_sections


def write_explanation(folder: Path, scene: Scene, found: Explanation) -> Path:
    """Write explain.html, explain.json, a PNG of every picture, and for volumes every map as NIfTI.

    The JSON lists pictures and maps. Those that an earlier explanation left in the folder are removed, nothing else.

    Returns:
        The page.
    Raises:
        OutputError: the folder cannot be written.
        DataError: there is an explain.json that is none.
    """
    earlier = list_files(folder)
    drawn, channels = draw_maps(scene, found), draw_channels(found)
    pictures = dict(name_pictures(drawn | {f"features_{name}": [each] for name, each in channels.items()}))
    maps = dict(name_maps(found)) if scene.recipe.net.ndim == 3 else {}
    for name, picture in pictures.items():
        write_picture(folder / name, picture.pixels)
    for name, one in maps.items():
        write_nifti(folder / name, one.astype(np.float32), scene.case.geometry)
    written = [*pictures, *maps]
    for name in earlier - set(written):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / "explain.json", {**to_json(found), "files": written})
    page = folder / "explain.html"
    sections = list_sections(scene, found, drawn, list(channels.values()))
    write_text(page, render_page(f"A look into {scene.case.name}", tell_summary(found), sections, kind="page"))
    return page


def draw_channels(found: Explanation) -> dict[str, Picture]:
    """Draw the channels of every row that vary most."""
    return {each.row.stage: Picture(each.row.stage, draw_mosaic(each.maps)) for each in found.rows}


def list_files(folder: Path) -> set[str]:
    """Return the names of pictures and maps that an earlier explanation wrote into a folder."""
    path = folder / "explain.json"
    known = read_json(path) if path.is_file() else {}
    names = known.get("files", []) if isinstance(known, dict) else []
    return {name for name in names if Path(name).name == name and name.endswith((".png", ".nii.gz"))}


def name_pictures(drawn: Drawn) -> Iterator[tuple[str, Picture]]:
    """Yield each picture with the name of its file."""
    for name, pictures in drawn.items():
        for picture in pictures:
            part = f"_{picture.title.replace(' ', '_')}" if len(pictures) > 1 else ""
            yield f"{name}{part}.png", picture


def name_maps(found: Explanation) -> Iterator[tuple[str, ndarray]]:
    """Yield each map with the name of its file."""
    for kind, maps in {"gate": found.gate_maps, "cam": found.spoken.levels}.items():
        for name, one in maps.items():
            yield f"{kind}_{name}.nii.gz", one
