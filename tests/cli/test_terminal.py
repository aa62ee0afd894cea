"""What a person sees: sentences, a table and a bar on a terminal, and start-up without the heavy packages."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.calling import TINY_OPTIONS

from ushape.cli import show
from ushape.cli.app import main
from ushape.core.events import Message, Progress, Validation

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROW = Validation(3, 60, 0.5, {"foreground": 0.75, "ring": float("nan")}, 0.75, is_best=True, lr=1e-3, seconds=75.0)

pty = pytest.importorskip("pty", reason="needs a terminal")


def run_on_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the program in a folder, on a pseudo-terminal of 110 columns, and return what it drew."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", COLUMNS="110", LINES="40")
        os.execv(sys.executable, [sys.executable, "-m", "ushape", *arguments])
    drawn = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        drawn += part
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn.decode()


@pytest.mark.slow
def test_training_on_a_terminal_shows_sentences_then_a_table_and_a_bar(blobs: Path, tmp_path: Path) -> None:
    code, drawn = run_on_terminal(tmp_path, "train", "blobs", "-o", "run", *TINY_OPTIONS)
    assert code == 0
    assert "\x1b[" in drawn
    text = CONTROL.sub("", drawn)
    assert re.search(r"6 images with masks.*net: 2D.*training +━", text, re.DOTALL)
    last = text[text.rindex("epoch  step") :]
    for part in (
        "Dice foreground",
        "best",
        "preparing",
        "6/6",
        "training",
        "8/8",
        "predicting",
        "1/1",
        "model: ",
        "next: ",
    ):
        assert part in last
    assert re.search(r"^ +2 +8 +\d\.\d{4} +\d\.\d{4}", last, re.MULTILINE)
    assert max(len(line) for line in text.splitlines() if "━" in line) <= 110


def test_on_a_terminal_warnings_are_coloured_and_brackets_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = show.Terminal()
    with terminal.live:
        terminal(Message("[bold]plain[/bold]"))
        terminal(Message("beware", "warning"))
        for done in (1, 2):
            terminal(Progress("train", done, 2, {"loss": 0.25}))
        terminal(ROW)
    out = capsys.readouterr().out
    assert "[bold]plain[/bold]" in out
    assert "\x1b[33mbeware" in out
    assert "loss 0.2500" in out


def test_in_a_pipe_every_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    listener = show.PlainLines()
    for event in (Message("beware", "warning"), Progress("train", 2, 2), ROW):
        listener(event)
    assert capsys.readouterr().out.splitlines() == [
        "warning: beware",
        "training 2/2",
        "epoch 3 step 60 loss 0.5000 val_dice 0.7500 (foreground 0.7500 ring -) best 1:15",
    ]


def test_in_a_pipe_progress_is_told_at_most_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    listener = show.PlainLines()
    for done in range(1, 101):
        listener(Progress("train", done, 100))
    assert capsys.readouterr().out.splitlines() == ["training 1/100", "training 100/100"]


def test_what_is_not_finite_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    show.JsonLines()(ROW)
    assert '"ring": null' in capsys.readouterr().out


def test_looking_at_a_model_a_run_or_data_does_not_import_torch(finished: Path) -> None:
    code = "import sys; from ushape.cli.app import main\nfor what in sys.argv[1:]:\n    try: main(['info', what])\n"
    code += "    except SystemExit as stop: assert not stop.code\nassert 'torch' not in sys.modules\n"
    places = [finished / "run" / "model.safetensors", finished / "run", finished / "blobs"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, places)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_predicting_does_not_import_lightning(finished: Path, tmp_path: Path) -> None:
    code = "import sys; from ushape.workflows import infer, model; assert 'lightning' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("verb", "said"),
    [("predict", "reading the model nothing"), ("evaluate", "comparing the masks of nothing with those of here")],
)
def test_what_takes_seconds_is_told_first_on_a_terminal_and_nowhere_else(
    verb: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    screen, pipe = Screen(), io.StringIO()
    for stream in (screen, pipe):
        monkeypatch.setattr(sys, "stderr", stream)
        with pytest.raises(SystemExit):
            main([verb, "nothing", "here", "-o", "out"])
    told, failed = screen.getvalue().splitlines()
    assert told == said
    assert f"{failed}\n" == pipe.getvalue()
    assert failed.startswith("error: ")
