"""A table lists cases, patients and splits."""

from pathlib import Path

import pytest

from ushape.core.errors import DataError
from ushape.io.faults import check_dataset
from ushape.io.layouts import find_dataset, find_inputs, find_pairs
from ushape.io.splits import split_cases


def write(folder: Path, text: str, name: str = "dataset.csv", files: str = "a b c ma mb mc") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in files.split():
        (folder / f"{stem}.png").touch()
    (folder / name).write_text(text, encoding="utf-8")
    return folder


TABLE = "image,mask,patient,split\na.png,ma.png,p1,train\nb.png,mb.png,p1,train\nc.png,mc.png,p2,val\n"


@pytest.mark.parametrize("as_file", [False, True])
def test_rows_become_pairs_with_patients_and_splits(tmp_path: Path, as_file: bool) -> None:
    folder = write(tmp_path, TABLE)
    found = find_dataset(folder / "dataset.csv" if as_file else folder)
    assert [(pair.name, pair.mask) for pair in found.pairs] == [(s, folder / f"m{s}.png") for s in "abc"]
    assert found.groups == {"a": "p1", "b": "p1", "c": "p2"}
    assert found.splits == {"a": "train", "b": "train", "c": "val"}
    assert str(found) == "table (dataset.csv): 3 cases, 2 patients"


def test_patients_of_the_table_stay_together(tmp_path: Path) -> None:
    found = find_dataset(write(tmp_path, TABLE))
    names = [pair.name for pair in found.pairs]
    for seed in range(5):
        train, validation = split_cases(names, 0.3, seed, groups=found.groups)
        assert {("a" in side) == ("b" in side) for side in (train, validation)} == {True}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dataset.csv", "\ufeffImage; Mask\na.png; ma.png\n"),
        ("pairs.tsv", "image\tmask\na.png\tma.png\n"),
        ("pairs.csv", 'mask,image\r\n"ma.png","a.png"\r\n'),
    ],
)
def test_spreadsheets_of_all_kinds_are_read(tmp_path: Path, name: str, text: str) -> None:
    (pair,) = find_pairs(write(tmp_path, text, name))
    assert (pair.image, pair.mask) == (tmp_path / "a.png", tmp_path / "ma.png")


def test_columns_of_channels_and_classes_become_tuples(tmp_path: Path) -> None:
    text = "name,image_t1,image_t2,mask_cell,mask_core\nx,a.png,b.png,ma.png,mb.png\n"
    found = find_dataset(write(tmp_path, text))
    (pair,) = found.pairs
    assert pair.name == "x"
    assert [path.name for path in pair.channels] == ["a.png", "b.png"]
    assert [path.name for path in pair.class_masks] == ["ma.png", "mb.png"]
    assert found.channel_names == ("t1", "t2")
    assert found.labels is not None
    assert (found.labels.names, found.labels.overlap) == (("background", "cell", "core"), "files")


def test_without_masks_rows_are_there_to_be_predicted(tmp_path: Path) -> None:
    folder = write(tmp_path, "image,mask\na.png,\nb.png,\n")
    assert [pair.name for pair in find_inputs(folder / "dataset.csv")] == ["a", "b"]
    write(tmp_path / "half", "image,mask\na.png,ma.png\nb.png,\n")
    assert [pair.name for pair in find_inputs(tmp_path / "half")] == ["a", "b"]
    with pytest.raises(DataError, match=r"a mask for each image, got none for b\.png \(dataset\.csv, row 3\); add"):
        find_dataset(tmp_path / "half")
    told = [str(fault) for fault in check_dataset(tmp_path / "half")]
    assert any("b.png: no mask for this image (dataset.csv, row 3); add it" in line for line in told)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,maks\na.png,ma.png\n", "expected the columns image and mask .*, got image, maks; rename maks to mask$"),
        ("image,Truth\na.png,ma.png\n", "got image, Truth; rename Truth to mask$"),
        (
            "A/a.png,MA.png\nb.png,mb.png\n",
            r"a header as the first line, got A/a\.png, MA\.png; write image,mask above",
        ),
        ("image,mask,patinet\na.png,ma.png,1\n", "got image, mask, patinet; rename patinet to patient$"),
        ("image,mask_liver,maks_gut\na.png,ma.png,mb.png\n", "; rename maks_gut to mask_gut$"),
        ("image,mask,mask\na.png,ma.png,mb.png\n", "got image, mask, mask"),
        ("", "got none; rename"),
        ("image,mask\n", "expected a row for each case, got none"),
        ("image,mask\na.png,gone.png\n", r"row 2: expected a file in column mask, got 'gone\.png'"),
        ("image,mask\n,ma.png\n", "row 2: expected a file in column image, got nothing"),
        (
            "image,mask\na.png,ma.png\na.png,mb.png\n",
            "expected each name once, got a in 2 and 3 .rows.; add a column name, or remove one$",
        ),
        (
            "name,image,mask\nx,a.png,ma.png\nx,b.png,mb.png\n",
            "x in 2 and 3 .rows.; correct the column name, or remove one$",
        ),
        ("image,mask_x,mask_y\na.png,ma.png,\n", "row 2: expected a mask of each class or none, got 1"),
    ],
)
def test_wrong_tables_are_refused_by_row_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_dataset(write(tmp_path, text))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.csv").write_bytes("image,mask\nä.png,m.png\n".encode("latin-1"))
    with pytest.raises(DataError, match="expected a table in UTF-8"):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("columns", "remark"),
    [
        ("Age,Subject_ID", "Age, Subject_ID; if Subject_ID names patients, rename it to patient"),
        ("patient,subject", "subject; training does without"),
        ("filename,stage,", "filename, stage; training does without"),
    ],
)
def test_further_columns_are_told_once_and_not_read(tmp_path: Path, columns: str, remark: str) -> None:
    folder = write(tmp_path, f"image,mask,{columns}\na.png,ma.png,1,2\nb.png,mb.png,3,4\n")
    found = find_dataset(folder)
    assert [pair.name for pair in found.pairs] == ["a", "b"]
    assert found.remark == f"{folder / 'dataset.csv'}: not read: {remark}"
    told = [fault for fault in check_dataset(folder) if "not read" in fault.what]
    assert [(fault.severity, str(fault)) for fault in told] == [("warning", found.remark)]
