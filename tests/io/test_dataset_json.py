"""A dataset.json is believed where it is right, and refused by the key that is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.io.volumes import save_nifti, volume

from ushape.core.errors import DataError
from ushape.core.labels import Labels
from ushape.io.cases import load_case
from ushape.io.layouts import find_dataset, find_pairs

LABELS = {"0": "background", "1": "anterior", "5": "posterior"}


def write_json(folder: Path, data: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps(data), encoding="utf-8")


def decathlon(folder: Path, names: tuple[str, ...] = ("c10", "c2"), **changes: object) -> Path:
    for name in names:
        save_nifti(folder / "imagesTr" / f"{name}.nii.gz", volume())
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", (volume() > 50).astype(np.uint8) * 5)
    listed = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    data = {"labels": LABELS, "modality": {"0": "MRI"}, "training": listed, "numTraining": len(names), **changes}
    write_json(folder, {key: value for key, value in data.items() if value is not None})
    return folder


def nnunet(folder: Path, channels: int = 2, **changes: object) -> Path:
    for name in ("a_0001", "b_0000"):  # stems that look like channels themselves
        for channel in range(channels):
            save_nifti(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", volume(channel))
        save_nifti(folder / "labelsTr" / f"{name}.nii.gz", (volume() % 3).astype(np.uint8))
    names = {str(channel): f"T{channel}" for channel in range(channels)}
    data = {"channel_names": names, "labels": {"background": 0, "cell": 1, "core": 2}, "file_ending": ".nii.gz"}
    data = {**data, "numTraining": 2, **changes}
    write_json(folder, {key: value for key, value in data.items() if value is not None})
    return folder


def test_a_decathlon_task_gives_pairs_classes_and_channels(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / "._c2.nii.gz").write_bytes(b"macOS")
    found = find_dataset(decathlon(tmp_path))
    assert [pair.name for pair in found.pairs] == ["c2", "c10"]
    assert found.labels == Labels(names=("background", "anterior", "posterior"), values=(0, 1, 5))
    assert (found.channel_names, found.axes) == (("MRI",), "")
    assert str(found) == ("Decathlon (dataset.json): 2 cases, channels MRI, classes background, anterior, posterior")
    case = load_case(found.pairs[0], found.labels)
    assert case.label is not None
    assert np.unique(case.label).tolist() == [0, 2]


def test_several_modalities_are_a_fourth_axis(tmp_path: Path) -> None:
    decathlon(tmp_path, modality={str(i): f"m{i}" for i in range(9)})
    save_nifti(tmp_path / "imagesTr" / "c2.nii.gz", volume(space=(9, 3, 4, 5)))
    found = find_dataset(tmp_path)
    assert found.axes == "CZYX"
    assert load_case(found.pairs[0], found.labels, axes=found.axes).channels == 9


def test_a_table_of_name_to_value_and_one_without_background_are_understood(tmp_path: Path) -> None:
    found = find_dataset(decathlon(tmp_path, labels={"lesion": 2, "organ": 1}))
    assert found.labels == Labels(names=("background", "organ", "lesion"), values=(0, 1, 2))


def test_images_listed_without_their_channel_are_found_with_it(tmp_path: Path) -> None:
    decathlon(tmp_path)
    for name in ("c2", "c10"):
        image = tmp_path / "imagesTr" / f"{name}.nii.gz"
        for channel in range(2):
            save_nifti(image.with_name(f"{name}_{channel:04d}.nii.gz"), volume(channel))
        image.unlink()
    assert [len(pair.images) for pair in find_pairs(tmp_path)] == [2, 2]


def test_an_nnunet_set_gives_channels_in_order_and_classes(tmp_path: Path) -> None:
    found = find_dataset(nnunet(tmp_path))
    assert [pair.name for pair in found.pairs] == ["a_0001", "b_0000"]
    assert found.channel_names == ("T0", "T1")
    assert found.labels == Labels(names=("background", "cell", "core"), values=(0, 1, 2))
    case = load_case(found.pairs[0], found.labels)
    assert np.array_equal(case.image, np.stack([volume(0), volume(1)]))


def test_a_single_channel_is_told_by_its_number_too(tmp_path: Path) -> None:
    (first, _) = find_dataset(nnunet(tmp_path, channels=1)).pairs
    assert (first.name, first.image.name, first.channels) == ("a_0001", "a_0001_0000.nii.gz", ())


def test_regions_and_an_ignored_class_are_kept(tmp_path: Path) -> None:
    table = {"background": 0, "whole": [1, 2], "core": 2}
    regions = find_dataset(nnunet(tmp_path / "r", labels=table, regions_class_order=[1, 2])).labels
    assert regions is not None
    assert (regions.names, regions.regions, regions.values) == (
        ("background", "whole", "core"),
        ((1, 2), (2,)),
        (0, 1, 2),
    )
    ignoring = find_dataset(nnunet(tmp_path / "i", labels={"background": 0, "cell": 1, "ignore": 2})).labels
    assert ignoring == Labels(names=("background", "cell"), values=(0, 1), ignore=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None, "label": LABELS}, "unknown key 'label'; did you mean 'labels'"),
        ({"training": None, "trainning": []}, "unknown key 'trainning'; did you mean 'training'. correct its spelling"),
        ({"modality": None, "modalities": {"0": "a", "1": "b"}}, "unknown key 'modalities'; did you mean 'modality'"),
        ({"labels": None}, "expected the key labels, got modality, training, numTraining; correct its spelling"),
        ({"labels": ["a"]}, r"labels: expected an object, got \['a'\]"),
        ({"labels": {"background": 0, "a": "one"}}, "labels: expected whole numbers"),
        (
            {"labels": {"0": "background", "1": "a", "2": "a"}},
            "each name once, got 'a' for 1 and 2; rename all but one",
        ),
        ({"labels": {"a": 1, "b": 1}}, r"labels: values must differ, got 1 for a and b; correct the file"),
        ({"training": "all"}, "training: expected a list, got 'all'"),
        ({"training": ["a.nii.gz"]}, "training: entry 1: expected an object with image and label, got 'a.nii.gz'"),
        ({"training": [{"img": "i" * 99, "label": "l"}]}, "entry 1: .*, got 'img', 'label'; rename 'img' to 'image'"),
        ({"training": [{"image": "i"}]}, "entry 1: .*, got 'image'; add 'label'"),
        ({"training": [{"image": "gone.nii.gz", "label": "l"}]}, "got none for gone.nii.gz, l; put them back"),
        ({"training": None}, "expected the key training or channel_names, got labels, modality, numTraining"),
        ({"modality": {"first": "MRI"}}, "channels: expected numbers as keys, got first"),
        ({"training": []}, "expected images"),
    ],
)
def test_wrong_keys_and_values_are_refused_by_name(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    decathlon(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel_name": {"0": "T1"}, "channel_names": None}, "'channel_name'; did you mean 'channel_names'"),
        ({"file_ends": ".nii.gz", "file_ending": None}, "unknown key 'file_ends'; did you mean 'file_ending'"),
        ({"file_ending": ".nii.gzz"}, "file_ending: unknown ending '.nii.gzz'; did you mean '.nii.gz'"),
        ({"channel_names": {"0": "T1"}}, r"expected 1 channel \(T1\), got 2 files for a_0001; name them"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "expected the key regions_class_order"),
        ({"labels": {"whole": [1, 2], "ignore": 3}, "regions_class_order": [1]}, "without an ignore label"),
        ({"labels": {"whole": [1, 2]}, "regions_class_order": [1, 2]}, "one entry per class"),
    ],
)
def test_wrong_keys_of_nnunet_are_refused_by_name(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_dataset(nnunet(tmp_path, **changes))


def test_keys_that_nobody_reads_are_left_alone(tmp_path: Path) -> None:
    more = {"testing": [], "numTest": 0, "relase": "1.0", "tensorImageSize": "3D", "citation": "none"}
    assert len(find_pairs(decathlon(tmp_path / "d", channels=2, **more))) == 2
    assert len(find_pairs(nnunet(tmp_path / "n", modalities="MRI", **more))) == 2


def test_what_is_no_json_object_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path, ["training"])
    with pytest.raises(DataError, match=r"expected an object .*, got list"):
        find_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{\n"labels": {},\n}', encoding="utf-8")
    with pytest.raises(DataError, match=r"dataset\.json: expected a JSON file, got .*; correct the JSON at line 3"):
        find_dataset(tmp_path)


def test_a_case_listed_twice_and_a_missing_channel_are_refused(tmp_path: Path) -> None:
    twice = decathlon(tmp_path / "twice", names=("c1", "c1"))
    with pytest.raises(DataError, match=r"each case once, got c1 in 1 and 2 \(entries\); take"):
        find_dataset(twice)
    short = nnunet(tmp_path / "short")
    (short / "imagesTr" / "b_0000_0001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"got 1 file for b_0000; add b_0000_0001\.nii\.gz, or correct"):
        find_dataset(short)


def test_the_real_task_is_found_whole(data_root: Path) -> None:
    found = find_dataset(data_root / "Task04_Hippocampus")
    assert len(found.pairs) == 180
    assert found.labels is not None
    assert found.labels.names == ("background", "Anterior", "Posterior")
