"""Which cases train and which validate: seeded, and never two of one patient on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ushape.core.errors import ConfigError, DataError
from ushape.io.listing import natural_key

Split = tuple[list[str], list[str]]
"""(training names, validation names), both in natural order."""


Groups = str | Mapping[str, str]
"""Who the patient of a case is: an expression that finds it in the case's name ("" makes each case its own), or a table
of case to patient; a case that is not in the table is its own."""


_TRAINING, _VALIDATION, _TEST = ("", "train", "training"), ("val", "valid", "validation"), ("test", "testing")


def read_splits(names: Sequence[str], listed: Mapping[str, str]) -> Split:
    """Split as a table says; a case that it says nothing of trains, and one that is kept for a test is on neither side.

    Args:
        listed: case to train, val or test.
    Raises:
        DataError: a case is given to something else, or none is left to train on.

    >>> read_splits(["a", "b", "c", "d"], {"a": "val", "b": "train", "d": "test"})
    (['b', 'c'], ['a'])
    """
    said = {name: listed.get(name, "").lower() for name in names}
    strangers = [name for name in names if said[name] not in (*_TRAINING, *_VALIDATION, *_TEST)]
    if strangers:
        raise DataError(
            f"{strangers[0]}: expected train, val or test in column split, got {listed[strangers[0]]!r}; correct it"
        )
    training, held_out = ([name for name in names if said[name] in words] for words in (_TRAINING, _VALIDATION))
    if names and not training:
        raise DataError("column split: expected some cases to train on, got none; write train for some")
    return _sorted_split([*training, *held_out], held_out)


def split_cases(
    names: Sequence[str], share: float, seed: int, *, groups: Groups = "", listed: Mapping[str, str] | None = None
) -> Split:
    """Split off a share of the cases for validation, at least one and never all; or those that a table names.

    The split depends on the set of names and the seed, not on the order of the names. A single case, or a single
    patient, has no validation.

    Args:
        share: of the cases, in (0, 1); whole patients are taken while they fit.
        groups: patients; of an expression its first group, or the whole match.
        listed: see `read_splits`; if it holds none out, the share decides.
    Raises:
        ConfigError: `share` is outside (0, 1), or `groups` is no regular expression.
        DataError: a name holds no match, or occurs twice; a patient is listed on both sides; or as `read_splits`.

    >>> split_cases(["a1", "a2", "b1", "b2", "c1"], 0.4, seed=0, groups="^[a-z]")[1]
    ['c1']
    """
    if not 0 < share < 1:
        raise ConfigError(f"validation share: expected a number between 0 and 1, got {share}; 0.2 is usual")
    training, held_out = read_splits(names, listed or {})
    if held_out:
        _refuse_leaks(training, held_out, groups)
        return training, held_out
    patients = _shuffled_patients(training, seed, groups)
    if len(patients) < 2:
        return _sorted_split(training, [])
    room = max(1, round(share * len(training)))
    chosen: list[str] = []
    for patient in patients[:-1]:
        if len(chosen) + len(patient) <= room:
            chosen += patient
    return _sorted_split(training, chosen or min(patients, key=len))


def fold_cases(names: Sequence[str], folds: int, fold: int, seed: int, *, groups: Groups = "") -> Split:
    """Return one fold of a cross-validation: over all folds each case validates once.

    Patients are dealt to the smallest fold, the largest patients first, so that folds differ little in size.

    Args:
        fold: which one, from 0.
        groups: as in `split_cases`.
    Raises:
        ConfigError: there are fewer than two folds, or `fold` is none of them.
        DataError: there are fewer patients than folds.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise ConfigError(
            f"--fold {fold} of {folds} folds: expected 0..{max(folds, 2) - 1}, got {fold}; folds count from 0"
        )
    patients = _shuffled_patients(names, seed, groups)
    if len(patients) < folds:
        raise DataError(
            f"{folds} folds: expected at least as many cases or patients, got {len(patients)}; lower --folds"
        )
    dealt: list[list[str]] = [[] for _ in range(folds)]
    for patient in sorted(patients, key=len, reverse=True):
        min(dealt, key=len).extend(patient)
    return _sorted_split(names, dealt[fold])


def _shuffled_patients(names: Sequence[str], seed: int, groups: Groups) -> list[list[str]]:
    """Return the names of each patient, patients in an order that the seed decides."""
    if len(set(names)) < len(names):
        raise DataError(f"case names: expected each once, got {len(names) - len(set(names))} twice; rename the files")
    patients: dict[str, list[str]] = {}
    for name in sorted(names, key=natural_key):
        patients.setdefault(_patient_of(name, groups), []).append(name)
    keys = list(patients)
    return [patients[keys[i]] for i in np.random.default_rng(seed).permutation(len(keys))]


def _refuse_leaks(training: Sequence[str], held_out: Sequence[str], groups: Groups) -> None:
    trained = {_patient_of(name, groups): name for name in training}
    for name in held_out:
        if (other := trained.get(_patient_of(name, groups))) is not None:
            raise DataError(
                f"{name}: expected a patient on one side of column split, got {other} of the same one in training; "
                "give both the same side"
            )


def _patient_of(name: str, groups: Groups) -> str:
    if not groups:
        return name
    if not isinstance(groups, str):
        return f"patient {groups[name]}" if groups.get(name) else name
    try:
        match = re.search(groups, name)
    except re.error as error:
        raise ConfigError(f"groups: expected a regular expression, got {groups!r} ({error}); try '^[^_]+'") from error
    if match is None:
        raise DataError(f"{name}: expected a patient by {groups!r}, got no match; widen the expression")
    return match.group(1) if match.re.groups else match.group(0)


def _sorted_split(names: Sequence[str], validation: Sequence[str]) -> Split:
    held_out = set(validation)
    ordered = sorted(names, key=natural_key)
    return [name for name in ordered if name not in held_out], [name for name in ordered if name in held_out]
