"""Who has the last word: the plan, then the recipe file, then flags; and what the survey is told of labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import write_blobs
from tests.train.tiny import Heard

from ushape.core.errors import ConfigError, DataError
from ushape.core.events import Message, ignore_events
from ushape.io.images import read_mask
from ushape.workflows.design import Design, FitRequest, design


def designed(data: Path, text: str = "", *, foreground: bool = False, **changes: Any) -> Design:
    recipe = data.parent / "mine.toml"
    recipe.write_text(text, encoding="utf-8")
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return design(FitRequest(data, Path(), recipe if text else None, named, foreground), ignore_events)


def warnings_of(heard: Heard, word: str) -> list[str]:
    return [event.text for event in heard.of(Message) if event.level == "warning" and word in event.text]


def test_flags_go_before_the_recipe_and_the_recipe_before_the_plan(blobs: Path) -> None:
    plain = designed(blobs).recipe
    assert plain.patches.batch not in (31, 32)
    assert designed(blobs, "[patches]\nbatch = 31\n").recipe.patches.batch == 31
    assert designed(blobs, "[patches]\nbatch = 31\n", patches__batch=32).recipe.patches.batch == 32


def test_a_reason_stays_only_with_the_value_it_explains(blobs: Path) -> None:
    plain = designed(blobs)
    assert plain.reasons["patches.batch"]
    assert "patches.batch" not in designed(blobs, "[patches]\nbatch = 3\n").reasons
    assert designed(blobs, patches__batch=3).reasons["patches.batch"] == "set on the command line"
    assert designed(blobs, "[patches]\nbatch = 3\n").reasons["net.widths"] == plain.reasons["net.widths"]


def test_classes_get_the_names_that_the_recipe_gives(blobs: Path) -> None:
    named = designed(blobs, '[data.labels]\nnames = ["ground", "disc"]\n').recipe.data.labels
    assert (named.names, named.values) == (("ground", "disc"), (0, 255))


def test_label_values_can_be_named_where_the_masks_do_not_show_them_all(blobs: Path) -> None:
    text = '[data.labels]\nnames = ["ground", "disc", "ring"]\nvalues = [0, 255, 300]\n'
    assert designed(blobs, text).recipe.net.classes == 3
    changes = {"data__labels__values": [0, 255, 300], "data__labels__names": ["ground", "disc", "ring"]}
    assert designed(blobs, **changes).recipe.net.classes == 3


def test_a_value_can_be_ignored(blobs: Path) -> None:
    for path in (blobs / "masks").iterdir():
        mask = read_mask(path)
        mask[:3] = 77
        Image.fromarray(mask).save(path)
    text = "[data.labels]\nvalues = [0, 255]\nignore = 77\n"
    found = designed(blobs, text)
    assert found.recipe.data.labels.ignore == 77
    assert sum(found.data.fingerprint.class_shares) == pytest.approx(1)
    assert designed(blobs, data__labels__ignore=77).recipe.data.labels == found.recipe.data.labels
    assert designed(blobs).recipe.data.labels.values == (0, 77, 255)


def test_a_value_that_the_masks_suggest_or_a_data_set_names_no_class_for_can_be_ignored_too(blobs: Path) -> None:
    for path in (blobs / "masks").iterdir():
        mask = read_mask(path) // 255
        mask[:3], mask[-3:] = 255, 7
        Image.fromarray(mask).save(path)
    heard = Heard()
    assert design(FitRequest(blobs, Path()), heard).data.labels.values == (0, 1, 7, 255)
    (warning,) = warnings_of(heard, "255")
    assert warning.endswith("if it means 'ignore', --set data.labels.ignore=255")
    heard = Heard()
    found = design(FitRequest(blobs, Path(), changes={"data.labels.ignore": 255}), heard)
    assert (found.data.labels.values, found.recipe.data.labels.ignore) == ((0, 1, 7), 255)
    assert warnings_of(heard, "255") == []
    merged = designed(blobs, foreground=True, data__labels__ignore=255)
    assert (merged.data.labels.values, merged.data.labels.merge) == ((0, 1), "foreground")
    names = {"channel_names": {"0": "gray"}, "labels": {"background": 0, "disc": 1, "edge": 7}, "file_ending": ".png"}
    (blobs / "dataset.json").write_text(json.dumps(names), encoding="utf-8")
    assert designed(blobs, data__labels__ignore=255).recipe.data.labels.names == ("background", "disc", "edge")
    with pytest.raises(ConfigError, match="the ignored value cannot be a class as well"):
        designed(blobs, data__labels__ignore=7)


def test_a_table_with_patients_says_where_the_groups_come_from(blobs: Path) -> None:
    names = sorted(path.stem for path in (blobs / "images").iterdir())
    rows = [f"images/{name}.png,masks/{name}.png,{number // 2}" for number, name in enumerate(names)]
    (blobs / "dataset.csv").write_text("\n".join(["image,mask,patient", *rows]), encoding="utf-8")
    assert 'groups = "" # from the table\'s column patient' in designed(blobs).text
    assert "column patient" not in designed(blobs, '[data]\ngroups = "(.)"\n').text


def test_foreground_by_flag_or_by_recipe_is_the_same(tmp_path: Path) -> None:
    data = write_blobs(tmp_path / "blobs")
    for path in (data / "masks").iterdir():
        mask = read_mask(path)
        numbers = np.arange(mask.size).reshape(mask.shape) % 300 + 1
        Image.fromarray(np.where(mask > 0, numbers, 0).astype(np.uint16)).save(path)
    by_flag = designed(data, foreground=True)
    by_recipe = designed(data, '[data.labels]\nmerge = "foreground"\n')
    assert by_flag.recipe == by_recipe.recipe
    assert designed(data, by_flag.text, foreground=True).recipe == by_flag.recipe
    with pytest.raises(DataError, match="use ushape train --foreground"):
        designed(data)


def test_foreground_beside_named_values_is_a_contradiction(blobs: Path) -> None:
    with pytest.raises(ConfigError, match="--foreground: the recipe names the label values already"):
        designed(blobs, "[data.labels]\nvalues = [0, 255]\n", foreground=True)


def test_empty_masks_are_counted_and_told(blobs: Path) -> None:
    Image.fromarray(np.zeros((40, 48), dtype=np.uint8)).save(blobs / "masks" / "case2.png")
    heard = Heard()
    design(FitRequest(blobs, Path()), heard)
    warnings = [message.text for message in heard.of(Message) if message.level == "warning"]
    assert warnings == ["1 of 6 masks hold no foreground; they train as background"]


def test_a_plan_never_touches_the_data(blobs: Path) -> None:
    before = {path: path.read_bytes() for path in blobs.rglob("*.png")}
    designed(blobs)
    assert {path: path.read_bytes() for path in blobs.rglob("*") if path.is_file()} == before


def test_nothing_is_learnt_from_the_cases_that_a_table_keeps_for_a_test(blobs: Path) -> None:
    rows = [f"images/case{i}.png,masks/case{i}.png,{word}" for i, word in enumerate(("train", "val", "", "test"))]
    table = blobs / "dataset.csv"
    table.write_text("\n".join(["image,mask,split", *rows[:3]]), encoding="utf-8")
    without = designed(blobs).data
    values = read_mask(blobs / "masks" / "case3.png")
    Image.fromarray(np.where(values > 0, 7, 9).astype(np.uint8)).save(blobs / "masks" / "case3.png")
    Image.fromarray(np.full((99, 99), 255, np.uint8)).save(blobs / "images" / "case3.png")
    table.write_text("\n".join(["image,mask,split", *rows]), encoding="utf-8")
    found = designed(blobs).data
    assert found.fingerprint == without.fingerprint
    assert found.labels == without.labels


@pytest.mark.parametrize("named", [False, True])
def test_values_that_are_named_are_not_taken_for_objects(blobs: Path, named: bool) -> None:
    for number, path in enumerate(sorted((blobs / "masks").iterdir())):
        Image.fromarray((read_mask(path) > 0).astype(np.uint8) * np.uint8(1 + number % 2)).save(path)
    if named:
        listed = [{"image": f"images/case{i}.png", "label": f"masks/case{i}.png"} for i in range(6)]
        table = {"labels": {"0": "background", "1": "left", "2": "right"}, "training": listed}
        (blobs / "dataset.json").write_text(json.dumps(table), encoding="utf-8")
    heard = Heard()
    design(FitRequest(blobs, Path()), heard)
    assert any("count objects" in message.text for message in heard.of(Message)) is not named


def test_a_net_too_deep_for_its_patches_is_refused_before_training(blobs: Path) -> None:
    with pytest.raises(ConfigError) as told:
        designed(blobs, net__widths=[4] * 10, patches__size=[64, 600])
    assert str(told.value) == (
        "net.widths: expected at most 7 levels for patches of 64x600, got 10, whose deepest would be smaller than a "
        "voxel; name 7 widths, or --set patches.size=[512, 600]"
    )
    assert designed(blobs, net__widths=[4] * 7, patches__size=[64, 64]).recipe.net.level_strides[-1] == (2, 2)
    wide = [[1, 1], [1, 2], [1, 2], [1, 2]]  # per axis: never halved along the rows
    strided = {"net__widths": [4] * 4, "net__strides": wide, "net__kernels": [[3, 3]] * 4}
    assert designed(blobs, patches__size=[1, 8], **strided).recipe.patches.size == (1, 8)
    with pytest.raises(ConfigError, match=r"at most 3 levels for patches of 8x7, got 4, .*patches\.size=\[8, 8\]$"):
        designed(blobs, patches__size=[8, 7], **strided)
