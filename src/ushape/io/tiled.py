"""TIFF files larger than memory: tiles and strips are decoded when they are cut, and the latest are kept."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from ushape.io.raster import damaged
from ushape.io.voxel_size import read_geometry

CACHE_BYTES = 2**27
"""What decoded segments may take: more than a row of windows of a wide picture touches."""
LARGEST_SEGMENT = 2**26
"""Bytes of one tile or strip, decoded; larger ones are no use for cutting."""

_KNOWN_AXES = ("YX", "YXS", "SYX", "CYX", "ZYX")
_MIN_IS_BLACK, _RGB = 1, 2


class TiledTiff:
    """A TIFF as (channels, *space), cut by slices; only the tiles that a cut touches are read.

    Attributes:
        shape: of the whole.
        dtype: as stored, in the machine's byte order.
        geometry: how large its pixels are.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        self._keyframe, self._pages = file.series[0].keyframe, list(file.series[0].pages)
        self._decoded: OrderedDict[tuple[int, int], ndarray] = OrderedDict()
        samples, lead = self._keyframe.samplesperpixel, len(self._pages)
        plane = (self._keyframe.imagelength, self._keyframe.imagewidth)
        self.shape: tuple[int, ...] = (1, lead, *plane) if file.series[0].axes[0] == "Z" else (samples * lead, *plane)
        self.dtype = self._keyframe.dtype.newbyteorder("=")
        self.geometry = read_geometry(file, file.series[0].axes)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __getitem__(self, key: Any) -> Shaped[ndarray, "c *space"]:
        """Cut a box of slices without steps.

        Raises:
            DataError: a tile is damaged.
        """
        planes, rows, cols = self._bounds(key)
        samples = self._keyframe.samplesperpixel
        pages = range(planes.start // samples, -(-planes.stop // samples))
        box = np.concatenate([self._read(page, rows, cols) for page in pages])
        box = box[planes.start - pages.start * samples : planes.stop - pages.start * samples]
        return box[None] if len(self.shape) == 4 else box

    def _bounds(self, key: Any) -> tuple[range, range, range]:
        slices = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in slices:
            at = slices.index(Ellipsis)
            slices[at : at + 1] = [slice(None)] * (len(self.shape) + 1 - len(slices))
        slices += [slice(None)] * (len(self.shape) - len(slices))
        first, *planes = (range(*each.indices(size)) for each, size in zip(slices, self.shape, strict=True))
        return (planes[0] if len(planes) == 3 else first, planes[-2], planes[-1])

    def _read(self, number: int, rows: range, cols: range) -> Shaped[ndarray, "samples rows cols"]:
        page = self._keyframe
        height, width = page.chunks[:2]
        grid = (math.ceil(page.imagelength / height), math.ceil(page.imagewidth / width))
        is_planar = page.planarconfig == 2 and page.samplesperpixel > 1
        out = np.zeros((page.samplesperpixel, len(rows), len(cols)), dtype=self.dtype)
        for row in range(rows.start // height, -(-rows.stop // height)):
            for col in range(cols.start // width, -(-cols.stop // width)):
                for sample in range(page.samplesperpixel if is_planar else 1):
                    tile = self._decode(number, (sample * grid[0] + row) * grid[1] + col)
                    _paste(
                        out[sample : sample + 1] if is_planar else out, tile, (row * height, col * width), rows, cols
                    )
        return out

    def _decode(self, number: int, index: int) -> Shaped[ndarray, "samples h w"]:
        if (number, index) in self._decoded:
            self._decoded.move_to_end((number, index))
            return self._decoded[number, index]
        page = self._pages[number]
        try:
            self._file.filehandle.seek(page.dataoffsets[index])
            data = self._file.filehandle.read(page.databytecounts[index])
            segment, _, shape = self._keyframe.decode(data, index, jpegtables=page.jpegtables)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise damaged(self._path, error) from error
        segment = np.zeros(shape, self.dtype) if segment is None else segment[: shape[0], : shape[1], : shape[2]]
        tile = np.ascontiguousarray(np.moveaxis(segment[0], -1, 0), dtype=self.dtype)
        self._decoded[number, index] = tile
        while sum(each.nbytes for each in self._decoded.values()) > CACHE_BYTES and len(self._decoded) > 1:
            self._decoded.popitem(last=False)
        return tile


def open_tiff(path: Path) -> TiledTiff | None:
    """Open a TIFF for cutting; None if it can be read only as a whole.

    That is so of palettes, bits, transparency, unnamed pages, and tiles too large to cut from.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, OSError, ValueError):
        return None  # who reads it as a whole says what is wrong
    if file.series and _is_cuttable(file.series[0]):
        return TiledTiff(path, file)
    file.close()
    return None


def _is_cuttable(series: Any) -> bool:
    page = series.keyframe
    segment = math.prod(page.chunks) * page.dtype.itemsize if page.dtype is not None else math.inf
    plain = page.dtype is not None and page.dtype.kind in "uif" and page.photometric in (_MIN_IS_BLACK, _RGB)
    return (
        series.axes in _KNOWN_AXES
        and plain
        and not page.extrasamples
        and segment <= LARGEST_SEGMENT
        and all(each is not None for each in series.pages)
    )


def _paste(out: ndarray, tile: ndarray, corner: tuple[int, int], rows: range, cols: range) -> None:
    """Copy what a tile and a box share."""
    top, left = max(corner[0], rows.start), max(corner[1], cols.start)
    bottom, right = min(corner[0] + tile.shape[1], rows.stop), min(corner[1] + tile.shape[2], cols.stop)
    out[:, top - rows.start : bottom - rows.start, left - cols.start : right - cols.start] = tile[
        :, top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
    ]
