"""nnU-Net's regions: unions of label values that overlap, painted into one file and taken apart again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.io.dicoms import save_slices
from tests.io.volumes import volume

from ushape.core.events import ignore_events
from ushape.core.labels import Labels
from ushape.io.dicom import read_dicom
from ushape.io.masks import read_label
from ushape.io.outputs import Grid
from ushape.io.results import result_paths, write_result
from ushape.workflows.api import evaluate
from ushape.workflows.survey import survey

TABLE = {
    "channel_names": {"0": "gray"},
    "labels": {"background": 0, "whole": [1, 2], "core": [2]},
    "regions_class_order": [1, 2],
    "file_ending": ".png",
}
LABELS = Labels(names=("background", "whole", "core"), values=(0, 1, 2), overlap="regions", regions=((1, 2), (2,)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "dataset.json").write_text(json.dumps(TABLE))
    for number in range(4):
        values = volume(number, (20, 24), "uint8")
        Image.fromarray(values * 2).save(tmp_path / "imagesTr" / f"c{number}_0000.png")
        Image.fromarray((values > 50).astype(np.uint8) + (values > 80)).save(tmp_path / "labelsTr" / f"c{number}.png")
    return tmp_path


def test_a_data_set_of_regions_is_surveyed_written_and_measured(data: Path, tmp_path: Path) -> None:
    found = survey(data, ignore_events)
    assert found.labels == LABELS
    none, whole, core = found.fingerprint.class_shares
    assert none + whole == pytest.approx(1)
    assert 0 < core < whole
    out = tmp_path / "out"
    for number in range(4):
        label, _ = read_label([data / "labelsTr" / f"c{number}.png"], LABELS)
        path = out / f"c{number}.png"
        assert result_paths(path, LABELS) == [path]
        write_result(path, label, LABELS, Grid())
        assert np.array_equal(read_label([path], LABELS)[0], label)
    table = evaluate(out, data, tmp_path / "scores")
    assert table.foreground_dice == 1
    assert {one.name for one in table.cases[0].classes} == {"whole", "core"}


def test_regions_lie_apart_in_a_dicom_seg(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    values = volume(2, (5, 8, 9))
    save_slices(tmp_path / "scan", values)
    masks = np.stack([values > 50, values < 20])  # a core outside the whole: one painted file could not keep it
    grid = Grid(read_dicom(tmp_path / "scan").geometry, tmp_path / "scan")
    write_result(tmp_path / "seg.dcm", masks, LABELS, grid)
    assert np.array_equal(read_label([tmp_path / "seg.dcm"], LABELS)[0], masks)
