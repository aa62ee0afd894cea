"""Events are handed on, said in one line, and written down."""

from pathlib import Path

import pytest

from ushape.core.errors import OutputError
from ushape.core.events import Event, Log, Message, Progress, Validation, describe, format_duration

ROW = Validation(2, 40, 0.5, {}, float("nan"), is_best=False, lr=1e-3, seconds=3.2)


def test_a_log_hands_on_every_event_and_writes_down_all_but_progress(tmp_path: Path) -> None:
    heard: list[Event] = []
    log = Log(heard.append)
    log(Message("before there was a file"))
    log.open(tmp_path / "log.txt")
    for event in (Progress("train", 1, 2), ROW, Message("careful", "warning")):
        log(event)
    log.note("only for the file")
    assert len(heard) == 4
    assert (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines() == [
        "before there was a file",
        "epoch 2 step 40 loss 0.5000 0:03",
        "warning: careful",
        "only for the file",
    ]


def test_a_log_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    log = Log(lambda event: None)
    with pytest.raises(OutputError, match=r"log\.txt: cannot be written"):
        log.open(tmp_path / "nowhere" / "log.txt")
        log(Message("lost"))


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (75, "1:15"), (3671, "61:11")])
def test_a_duration_is_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(float(seconds)) == text


def test_progress_without_values_is_short() -> None:
    assert describe(Progress("prepare", 3, 9)) == "preparing 3/9"
