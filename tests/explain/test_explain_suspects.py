"""Wrong labels that were planted stand out and are named for what they look like; sound ones are left alone."""

import numpy as np
import pytest

from ushape.explain.suspects import compare, explain_silence, find_suspects, name_difference

SOUND = {f"c{i}": 0.85 + 0.01 * i for i in range(9)}


def boxes(*places: tuple[int, int], value: int = 1) -> np.ndarray:
    """Squares of 10 x 10 on a ground of 60 x 60."""
    label = np.zeros((60, 60), dtype=np.int16)
    for row, column in places:
        label[row : row + 10, column : column + 10] = value
    return label


TRUE = boxes((5, 5), (5, 40), (40, 5))
WRONG = {
    "nothing is labelled": boxes(),
    "another image's mask": boxes((25, 25), (45, 45), (25, 45)),
    "is the label incomplete": boxes((5, 5)),
    "does the label hold too much": boxes((5, 5), (5, 40), (40, 5), (40, 40), (22, 22)),
    "are classes mixed up": boxes((5, 5), (5, 40), (40, 5), value=2),
    "is the mask shifted": np.roll(TRUE, (3, -3), (0, 1)),
}


@pytest.mark.parametrize(("words", "label"), WRONG.items(), ids=WRONG)
def test_a_planted_fault_is_named(words: str, label: np.ndarray) -> None:
    volume = np.stack([np.zeros_like(label), label])
    assert words in name_difference(compare(label, TRUE))
    assert words in name_difference(compare(volume, np.stack([np.zeros_like(TRUE), TRUE])))


def test_a_prediction_of_nothing_is_told_from_a_wrong_label() -> None:
    assert name_difference(compare(TRUE, boxes())) == "the prediction finds nothing of what is labelled"


def test_what_a_label_leaves_open_is_no_difference() -> None:
    assert compare(np.where(TRUE > 0, -1, 0), TRUE).differ == 0


def test_cases_far_below_the_others_stand_out_however_many_they_are() -> None:
    assert find_suspects(SOUND) == ()
    assert find_suspects({**SOUND, "wrong": 0.5, "worse": 0.0, "empty": float("nan")}) == ("worse", "wrong")
    many = {f"wrong{i}": 0.1 + 0.01 * i for i in range(8)}
    assert find_suspects({**SOUND, **many}) == tuple(many)


def test_small_differences_are_no_suspicion() -> None:
    alike = {f"c{i}": 0.95 for i in range(9)}
    assert find_suspects({**alike, "a": 0.86}) == ()
    assert find_suspects({**alike, "a": 0.84}) == ("a",)


def test_scattered_scores_excuse_a_poor_one() -> None:
    scattered = {f"c{i}": 0.55 + 0.05 * i for i in range(9)}
    assert find_suspects({**scattered, "low": 0.3}) == ()


def test_poor_or_few_predictions_accuse_nobody() -> None:
    poor = {f"c{i}": 0.4 for i in range(9)} | {"low": 0.0}
    assert (find_suspects(poor), "too poor" in explain_silence(poor)) == ((), True)
    few = {"a": 0.9, "b": 0.9, "low": 0.1}
    assert (find_suspects(few), "too few" in explain_silence(few)) == ((), True)
    assert explain_silence(SOUND) == ""
