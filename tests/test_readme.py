"""What the documents say is so: the README's code runs, and the files and functions that documents name exist."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ushape
from ushape.cli.app import main
from ushape.io.synthetic import write_nuclei
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.infer import predict_files

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ushape"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
AS_IN_THE_README = '{"train.minutes": 10}'
TINY = {
    "train.minutes": "none",
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.precision": "float32",
    "train.layout": "contiguous",
    "train.threads": 1,
    "net.widths": [4, 8],
    "patches.size": [32, 32],
    "predict.window.size": [32, 32],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a data set, a run, new images, predicted masks and true masks, named as in the README."""
    folder = tmp_path_factory.mktemp("readme")
    write_nuclei(folder / "cells", count=5, size=(40, 48))
    shutil.copytree(folder / "cells" / "images", folder / "new_images")
    shutil.copytree(folder / "cells" / "masks", folder / "true_masks")
    for name in ("new_images", "true_masks"):
        (folder / name / "nuclei_000.png").rename(folder / name / "a.png")
    model = ushape.train(folder / "cells", folder / "run", changes=TINY)
    predict_files(model, folder / "new_images", folder / "masks", OutputOptions())
    return folder


def test_the_readme_code_runs(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert AS_IN_THE_README in code
    monkeypatch.chdir(trained)
    names: dict[str, object] = {}
    exec(code.replace(AS_IN_THE_README, repr(TINY)), names)
    assert isinstance(names["model"], ushape.Model)
    assert isinstance(names["prediction"], ushape.Prediction)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(document: Path) -> None:
    words = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\(([^)#]+)", words)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_files_and_functions_in_documents_exist(document: Path) -> None:
    for path, name, arguments in find_mentions(document.read_text(encoding="utf-8")):
        file = next((folder / path for folder in (ROOT, PACKAGE) if (folder / path).is_file()), None)
        assert file, f"{path} is not there"
        if name:
            known = list_arguments(file, name)
            assert known is not None, f"{path} has no {name}"
            assert set(arguments) <= set(known), f"{path}: {name} takes {known}"


def find_mentions(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each `path.py`, `path.py: name` and `path.py: name(arguments)` in code marks."""
    for path, name, arguments in re.findall(r"`([\w/]+/\w+\.py)(?::\s+(\w+)(?:\(([\w, ]*)\))?)?`", text):
        yield path, name, [argument.strip() for argument in arguments.split(",") if argument.strip()]


def list_arguments(file: Path, name: str) -> list[str] | None:
    """List the arguments of a function or of a class's constructor; None if there is no such name in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields = [item.target.id for item in node.body if isinstance(item, ast.AnnAssign)]  # type: ignore[union-attr]
            inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
            return fields + [argument.arg for init in inits for argument in (*init.args.args, *init.args.kwonlyargs)]
    return None


VERBS = {
    "predict": "predict run cells -o out --json",
    "evaluate": "evaluate masks true_masks --json",
    "plan": "plan cells --json",
    "doctor of a run": "doctor run --json",
    "explain": "explain run new_images/a.png --json",
    "data check": "data check checked --json",
    "info": "info run/model.safetensors --json",
    "info of a run": "info run --json",
    "info of data": "info cells --json",
    "info of a preset": "info preset:tiny --json",
}


@pytest.mark.parametrize("line", VERBS.values(), ids=VERBS)
def test_every_field_of_json_output_is_documented(
    line: str, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "checked" in line:
        write_nuclei(trained / "checked", count=2, size=(40, 48))
        (trained / "checked" / "masks" / "nuclei_000.png").unlink()
    monkeypatch.chdir(trained)
    with pytest.raises(SystemExit):
        main(line.split())
    found = json.loads(capsys.readouterr().out)
    fields = set(found) if isinstance(found, dict) else {field for row in found for field in row}
    documented = set(re.findall(r"`([^`]+)`", (ROOT / "docs" / "json.md").read_text(encoding="utf-8")))
    assert fields
    assert fields <= documented


def test_every_field_of_training_events_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nuclei(tmp_path / "cells", count=3, size=(40, 48))
    changes = [f"--set={name}={json.dumps(value)}" for name, value in TINY.items()]
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "cells"), "-o", str(tmp_path / "run"), "--json", *changes])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    documented = set(re.findall(r"`([^`]+)`", (ROOT / "docs" / "json.md").read_text(encoding="utf-8")))
    assert {event["event"] for event in events} == {"message", "progress", "validation", "result"}
    assert {field for event in events for field in event} <= documented
