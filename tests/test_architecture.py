"""The rules of the house that no other tool checks: borders, sizes, names, start-up cost, and the map in the README."""

import ast
import importlib
import json
import re
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import ushape

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "ushape"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 300
LONGEST_WORKFLOW = 100
MOST_PUBLIC_NAMES = 30
LAYER_NAMES = re.compile(r"(Conv|ConvTranspose|MaxPool|AvgPool|BatchNorm|InstanceNorm)[123]d")
HOMES = re.compile(rb"(?<![\w.])/(?:root|home|Users|work|mnt|opt)/\w|[A-Za-z]:\\\\?Users\\")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def run_python(code: str, *arguments: str, folder: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_room_imports_only_what_the_contracts_allow() -> None:
    run_python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_logo=True))")


def test_no_file_is_longer_than_300_lines() -> None:
    files = [path for folder in ("src", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")]
    assert longer_than(LONGEST_FILE, files) == {}


def test_a_workflow_reads_like_a_paragraph() -> None:
    assert longer_than(LONGEST_WORKFLOW, (PACKAGE / "workflows").glob("*.py")) == {}


def longer_than(most: int, files: Iterable[Path]) -> dict[str, int]:
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    return {name: length for name, length in lengths.items() if length > most}


def test_one_file_only_names_layers_by_their_number_of_axes() -> None:
    naming = {module_name(path) for path in SOURCES if any(map(LAYER_NAMES.fullmatch, names_in(path)))}
    assert naming <= {"ushape.nets.ndim"}


def test_only_the_command_line_prints() -> None:
    printing = {module_name(path) for path in SOURCES if {"print", "stdout", "stderr"} & set(names_in(path))}
    assert {name for name in printing if not name.startswith("ushape.cli")} == set()


def test_no_file_reads_environment_variables() -> None:
    reading = {module_name(path) for path in SOURCES if {"environ", "getenv", "putenv"} & set(names_in(path))}
    # they only set some: torch's threads, before torch is loaded; what keeps ONNX Runtime and MLflow from sending
    # anything; and what lets newer versions of MLflow write to a folder
    assert reading == {"ushape.cli.app", "ushape.predict.runtimes", "ushape.train.track"}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_file_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert re.search(r"\w{3}", docstring), f"{path.relative_to(ROOT)} needs a docstring"


def test_every_list_of_public_names_is_sorted_short_and_true() -> None:
    listing = [module_name(path) for path in SOURCES if "__all__" in names_in(path)]
    assert "ushape" in listing
    for name in listing:
        module = importlib.import_module(name)
        assert list(module.__all__) == sorted(module.__all__), name
        assert len(module.__all__) <= MOST_PUBLIC_NAMES, name
        assert [public for public in module.__all__ if not hasattr(module, public)] == [], name


def test_no_public_name_is_hidden_by_a_room_of_its_name() -> None:
    for room in package_rooms():
        importlib.import_module(f"ushape.{room}")
    assert [name for name in ushape.__all__ if isinstance(getattr(ushape, name), ModuleType)] == []


def test_an_unknown_public_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        ushape.nonsense  # noqa: B018 - reading it is the test


def test_the_readme_map_is_the_tree() -> None:
    assert readme_rooms() == package_rooms()
    assert sorted(readme_rooms()) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def readme_rooms() -> list[str]:
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("<!-- map -->")[1].split("<!-- /map -->")[0]
    return re.findall(r"^[|`]- (\w+)/", block, re.MULTILINE)


def package_rooms() -> list[str]:
    """Return the rooms in the order in which the package's docstring draws them."""
    block = (ushape.__doc__ or "").split("```")[3]
    return re.findall(r"^(\w+) {2,}", block, re.MULTILINE)


def test_import_ushape_is_cheap() -> None:
    loaded = run_python("import sys, ushape; print(*sys.modules)").split()
    assert {"torch", "pydantic", "numpy", "lightning"} & set(loaded) == set()


WITHOUT_TORCH = """
import sys
from ushape.cli.app import main
for line in sys.argv[1:]:
    try:
        main(line.split())
    except SystemExit as stop:
        assert not stop.code, f"{line}: exit code {stop.code}"
    assert "torch" not in sys.modules, line
"""


def test_help_and_info_never_import_torch(tmp_path: Path) -> None:
    metadata = {"format": "ushape", "format_version": "1", "recipe": "version = 1", "members": "1"}
    header = json.dumps({"__metadata__": metadata}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text("version = 1", encoding="utf-8")
    lines = ["--help", "train --help", "predict --help", "info model.safetensors", "info run", "info run --json"]
    run_python(WITHOUT_TORCH, *lines, folder=tmp_path)


def test_nothing_that_is_kept_names_a_place_on_someones_machine() -> None:
    found = {name for name in kept_files() for line in (ROOT / name).read_bytes().splitlines() if HOMES.search(line)}
    assert found == set()


def kept_files() -> list[str]:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listing, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a checkout")
    return [name for name in done.stdout.split("\0") if (ROOT / name).is_file() and not name.endswith(".png")]


def test_every_exception_from_a_lint_rule_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = text.split("\nignore = [\n")[1].split("\n]")[0].splitlines()
    per_file = text.split("[tool.ruff.lint.per-file-ignores]\n")[1].split("\n\n")[0].splitlines()
    assert [line for line in ignored + per_file if "#" not in line] == []
    assert len(tomllib.loads(text)["tool"]["ruff"]["lint"]["ignore"]) == len(ignored)


def test_every_silenced_warning_in_the_code_has_its_reason() -> None:
    silenced = re.compile(r"# noqa(?!: [A-Z0-9, ]+ - \w)")
    lines = {
        f"{module_name(path)}: {line.strip()}" for path in SOURCES for line in path.read_text("utf-8").splitlines()
    }
    assert {line for line in lines if silenced.search(line)} == set()
