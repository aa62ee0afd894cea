"""Small text files: JSON and tables come back as they were, and what was left half written is swept away."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.errors import DataError
from ushape.core.files import append_text, format_csv, read_csv, read_json, sweep, write_json, write_text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]))


@given(st.lists(st.fixed_dictionaries({"name": CELLS, "value": CELLS}), min_size=1, max_size=5))
def test_a_table_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    write_text(path, format_csv(rows))
    assert read_csv(path) == rows


def test_rows_added_one_by_one_are_the_table_written_at_once(tmp_path: Path) -> None:
    rows = [{"step": number, "loss": number / 7} for number in range(3)]
    for row in rows:
        append_text(tmp_path / "rows.csv", format_csv([row], head=not (tmp_path / "rows.csv").exists()))
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == format_csv(rows)


def test_no_table_has_no_rows(tmp_path: Path) -> None:
    assert read_csv(tmp_path / "none.csv") == []
    assert format_csv([]) == ""


def test_json_comes_back_and_what_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path) == {"a": [1, 2.5, None]}
    path.write_text("{", encoding="utf-8")
    for broken in (path, tmp_path / "none.json"):
        with pytest.raises(DataError, match=rf"{broken.name}: expected a JSON file"):
            read_json(broken)
    write_text(tmp_path / "twice.json", '{"0": {"liver": 1, "vein": 2, "liver": 3}}')
    with pytest.raises(DataError, match=r"twice\.json: .*, got 'liver' twice in one object; correct it$"):
        read_json(tmp_path / "twice.json")
    write_text(tmp_path / "twice.json", '{\n"liver": 1,\n"vein": 2, "liver": 3}')
    with pytest.raises(DataError, match=r"got 'liver' twice in one object \(lines 2 and 3\); correct it$"):
        read_json(tmp_path / "twice.json")


def test_only_temporary_files_are_swept_away(tmp_path: Path) -> None:
    kept = ["last.ckpt", ".hidden", ".last-0123.ckpt", "last-0123abcd.ckpt"]
    for name in [*kept, ".last-0123abcd.ckpt", ".metrics-deadbeef.csv"]:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
