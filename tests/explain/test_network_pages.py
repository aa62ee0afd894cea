"""The pages about networks are what their script makes of them, and their TOML makes the networks."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from ushape.nets.config import UNetConfig
from ushape.nets.presets import PRESETS, preset

PAGES = Path(__file__).parents[2] / "docs" / "networks"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("network_pages", PAGES / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_making_the_pages_again_changes_nothing(script: ModuleType, tmp_path: Path) -> None:
    script.main(tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir() if path.suffix in {".md", ".svg"}}
    assert sorted(made) == sorted(kept)
    assert [name for name in made if made[name] != kept[name]] == [], "python docs/networks/make.py"


@pytest.mark.parametrize("name", ["unet-2015", "tiny", "attention-3d"])
def test_one_page_made_again_is_the_same(script: ModuleType, tmp_path: Path, name: str) -> None:
    page = tmp_path / f"{name}.md"
    page.write_text((PAGES / page.name).read_text(encoding="utf-8"), encoding="utf-8")
    row = script.write_page(name, tmp_path)
    assert page.read_text(encoding="utf-8") == (PAGES / page.name).read_text(encoding="utf-8")
    assert (tmp_path / f"{name}.svg").read_text("utf-8") == (PAGES / f"{name}.svg").read_text("utf-8")
    assert row in (PAGES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PRESETS)
def test_the_toml_of_a_page_makes_its_network(name: str) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (PAGES / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL)
    assert UNetConfig(**tomllib.loads(text)["net"]) == preset(name)


@pytest.mark.parametrize("name", PRESETS)
def test_the_assignments_of_a_page_are_fields_of_the_network(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    fields = re.findall(r"--set net\.([\w.]+)=", text)
    assert fields
    for field in fields:
        node: object = UNetConfig()
        for part in field.split("."):
            node = getattr(node, part)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_cites_its_source_and_its_page_cites_the_same(name: str) -> None:
    _, source, cited = (PRESETS[name].make.__doc__ or "").partition("Source: ")
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert source
    assert re.findall(r"(?:arXiv|doi):[\w./-]*\w", cited) == re.findall(r"\[((?:arXiv|doi):[\w./-]+)\]", page)


def test_a_page_without_its_marks_is_refused(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# page", encoding="utf-8")
    with pytest.raises(SystemExit, match="expected the marks <!-- facts -->"):
        script.fill(tmp_path / "page.md", "facts", "")
