"""Splits are seeded, disjoint, and keep patients together."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ushape.core.errors import ConfigError, DataError
from ushape.io.splits import fold_cases, read_splits, split_cases

NAMES = st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True).map(
    lambda numbers: [f"p{number % 7}_{number}" for number in numbers]
)
PATIENT = "^p[0-9]"


def patients(names: Sequence[str]) -> set[str]:
    return {name[:2] for name in names}


@given(names=NAMES, share=st.floats(0.01, 0.99), seed=st.integers(0, 9), groups=st.sampled_from(["", PATIENT]))
def test_a_split_is_a_partition_in_which_both_sides_have_cases(
    names: list[str], share: float, seed: int, groups: str
) -> None:
    train, validation = split_cases(names, share, seed, groups=groups)
    assert sorted(train + validation) == sorted(names)
    assert train
    assert bool(validation) == (len(patients(names) if groups else names) > 1)


@given(names=NAMES, seed=st.integers(0, 9))
def test_no_patient_is_on_both_sides(names: list[str], seed: int) -> None:
    train, validation = split_cases(names, 0.3, seed, groups=PATIENT)
    assert not patients(train) & patients(validation)


@given(names=NAMES, seed=st.integers(0, 9), data=st.data())
def test_the_order_of_the_names_does_not_matter(names: list[str], seed: int, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(names))
    assert split_cases(names, 0.2, seed) == split_cases(shuffled, 0.2, seed)


@given(names=NAMES.filter(lambda names: len(names) >= 5), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_over_all_folds_each_case_validates_once_and_folds_are_even(names: list[str], folds: int, seed: int) -> None:
    splits = [fold_cases(names, folds, fold, seed) for fold in range(folds)]
    assert sorted(name for _, validation in splits for name in validation) == sorted(names)
    sizes = [len(validation) for _, validation in splits]
    assert max(sizes) - min(sizes) <= 1
    assert all(sorted(train + validation) == sorted(names) for train, validation in splits)


def test_folds_keep_patients_together() -> None:
    names = [f"p{patient}_{slice_}" for patient in range(6) for slice_ in range(patient + 1)]
    for fold in range(3):
        train, validation = fold_cases(names, 3, fold, 0, groups=PATIENT)
        assert not patients(train) & patients(validation)


def test_the_share_is_kept_and_the_seed_changes_who() -> None:
    names = [str(number) for number in range(50)]
    held_out = [split_cases(names, 0.2, seed)[1] for seed in range(5)]
    assert all(len(validation) == 10 for validation in held_out)
    assert len({tuple(validation) for validation in held_out}) == 5


def test_a_patient_larger_than_the_share_leaves_room_for_smaller_ones() -> None:
    names = ["p0_1", "p1_1", *(f"p2_{i}" for i in range(30))]
    for seed in range(10):
        assert "p2" not in patients(split_cases(names, 0.1, seed, groups=PATIENT)[1])


def test_a_group_in_the_expression_is_the_patient() -> None:
    train, validation = split_cases(["x1_a", "y1_b", "x2_a", "y2_b"], 0.5, 0, groups="_(.)$")
    assert {name[-1] for name in train}.isdisjoint(name[-1] for name in validation)


def test_a_table_names_the_patients_and_others_are_their_own() -> None:
    table = {"a": "1", "b": "1", "c": "2", "d": ""}
    for seed in range(10):
        train, validation = split_cases(["a", "b", "c", "d", "e"], 0.4, seed, groups=table)
        assert ("a" in train) == ("b" in train)
        assert validation
    assert sorted(fold_cases(list("abcde"), 4, 0, 0, groups=table)[1]) in (["a", "b"], ["c"], ["d"], ["e"])


def test_wrong_shares_folds_and_expressions_are_refused() -> None:
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            split_cases(["a", "b"], share, 0)
    with pytest.raises(ConfigError, match="folds count from 0"):
        fold_cases(["a", "b"], 2, 2, 0)
    with pytest.raises(DataError, match="lower --folds"):
        fold_cases(["a", "b"], 5, 0, 0)
    with pytest.raises(ConfigError, match="regular expression"):
        split_cases(["a", "b"], 0.5, 0, groups="(")
    with pytest.raises(DataError, match="b: expected a patient"):
        split_cases(["a1", "b"], 0.5, 0, groups="[0-9]")
    with pytest.raises(DataError, match="each once"):
        split_cases(["a", "a"], 0.5, 0)


def test_a_table_decides_who_validates_and_keeps_its_test_cases_out() -> None:
    listed = {"c10": "Val", "c2": "validation", "c3": "test", "c4": "train"}
    for seed in range(3):
        assert split_cases(["c10", "c2", "c3", "c4", "c5"], 0.2, seed, listed=listed) == (["c4", "c5"], ["c2", "c10"])
    train, validation = split_cases(["a", "b", "c", "d"], 0.3, 0, listed={"a": "train", "d": "test"})
    assert sorted(train + validation) == ["a", "b", "c"]
    assert len(validation) == 1
    with pytest.raises(DataError, match="a: expected train, val or test in column split, got 'trian'; correct it"):
        read_splits(["a"], {"a": "trian"})
    with pytest.raises(DataError, match="expected some cases to train on"):
        read_splits(["a"], {"a": "val"})


def test_a_patient_whom_a_table_puts_on_both_sides_is_refused() -> None:
    listed, patients = {"a": "train", "b": "val", "c": "train"}, {"a": "1", "b": "1", "c": "2"}
    with pytest.raises(DataError, match=r"b: expected a patient on one side .* got a of the same one"):
        split_cases(["a", "b", "c"], 0.2, seed=0, groups=patients, listed=listed)
