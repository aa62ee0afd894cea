"""The guide: what its code prints stands below it, both languages say the same, and figures are the program's."""

import importlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]
GUIDE, FIGURES = ROOT / "docs" / "guide", ROOT / "docs" / "images" / "guide"
PAGES = sorted(path.name for path in (GUIDE / "en").glob("*.md"))
LONGEST_BLOCK, LARGEST_FIGURE, ALL_FIGURES = 15, 100_000, 1_000_000
GOES_ON = ("12-", "13-")
STARTS = [name for name in PAGES if not name.startswith(GOES_ON)]
SLOW = "11-training.md"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Find the guide's scripts as one does beside them, on one thread."""
    monkeypatch.syspath_prepend(str(GUIDE))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def read(name: str, language: str = "en") -> str:
    return (GUIDE / language / name).read_text(encoding="utf-8")


def words(text: str) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```\w+\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """Return a page without its blocks and without the targets of links."""
    return re.sub(r"\]\([^)]*\)", "]", words(text))


def numbers(text: str) -> set[str]:
    """Return the numbers of three digits or more, without the commas between thousands."""
    found = re.findall(r"(?<![\w.])\d[\d,_]*(?:\.\d+)?(?!\w)", text, flags=re.ASCII)
    return {re.sub("[,_]", "", each) for each in found if len(re.sub(r"\D", "", each)) >= 3}


def targets(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]*)\)", words(text))


def shape(text: str) -> list[str]:
    """Return what a page is made of, line by line: headings, blocks, figures, items."""
    signs = {"#": "heading", "##": "heading", "-": "item"}
    lines = [line.split(" ")[0] for line in text.splitlines()]
    return [signs.get(start, start[:2]) for start in lines if start in signs or start.startswith(("```", "!["))]


@pytest.mark.parametrize(
    "first", [pytest.param(name, marks=pytest.mark.slow) if name == SLOW else name for name in STARTS]
)
def test_code_prints_what_stands_below_it(first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = load("pages")
    assert pages.GOES_ON == GOES_ON
    chains = pages.chain_pages()
    (chain,) = [chain for chain in chains if chain[0].name == first]
    assert sum(len(each) for each in chains) == len(PAGES) >= 10
    monkeypatch.chdir(tmp_path)
    for page in chain:
        shown = pages.find_blocks(page.read_text(encoding="utf-8"))
        for now, then in zip(pages.run_blocks(shown), shown, strict=True):
            assert str(now) == str(then), f"python docs/guide/pages.py {first[:2]}"


def test_code_that_prints_unseen_is_refused() -> None:
    pages = load("pages")
    block = pages.Block("python", "print(1)\n")
    for blocks in ([block], [block, pages.Block("python", "pass\n")]):
        with pytest.raises(SystemExit, match="no block of text follows"):
            pages.run_blocks(blocks)
    assert pages.run_blocks([block, pages.Block("text", "2\n")])[1].body == "1\n"


@pytest.mark.parametrize("name", PAGES)
def test_the_languages_share_code_figures_and_numbers(name: str) -> None:
    pages, english, chinese = load("pages"), read(name), read(name, "zh")
    assert pages.find_blocks(chinese) == pages.find_blocks(english)
    assert targets(chinese) == targets(english)
    assert shape(chinese) == shape(english)
    assert numbers(prose(chinese)) == numbers(prose(english))
    assert len(re.findall("[\N{CJK UNIFIED IDEOGRAPH-4E00}-\N{CJK UNIFIED IDEOGRAPH-9FFF}]", chinese)) > 300


@pytest.mark.parametrize("name", PAGES)
def test_numbers_in_words_are_numbers_of_code(name: str) -> None:
    text = read(name)
    shown = "".join(str(block) for block in load("pages").find_blocks(text))
    results = [GUIDE / "en" / target for target in targets(text) if "benchmarks/results" in target]
    known = numbers(re.sub(r"[-(),\[\]=:+]", " ", shown)) | numbers(shown)
    known |= {number for path in results for number in numbers(path.read_text(encoding="utf-8"))}
    assert numbers(prose(text)) - known == set()


@pytest.mark.parametrize("name", PAGES)
def test_code_is_short_and_of_a_kind_that_runs(name: str) -> None:
    text, blocks = read(name), load("pages").find_blocks(read(name))
    assert {block.language for block in blocks} <= {"python", "text", "console", "sh"}
    assert text.count("```") == 2 * len(blocks)
    assert re.findall(r"^    .*", words(text), re.MULTILINE) == []
    code = [block.body for block in blocks if block.language == "python"]
    assert code
    assert [body for body in code if body.count("\n") > LONGEST_BLOCK] == []


def test_the_index_and_the_pages_lead_through_the_guide() -> None:
    index = targets((GUIDE / "README.md").read_text(encoding="utf-8"))
    assert [path for path in index if path.endswith(tuple(PAGES))] == [
        f"{language}/{name}" for name in PAGES for language in ("en", "zh")
    ]
    for name, after in pairwise(PAGES):
        assert targets(read(name))[-1] == after


def test_figures_are_few_small_and_all_shown() -> None:
    figures = load("figures")
    made = {*figures.COMPUTED, *figures.TRAINED}
    assert {path.name for path in FIGURES.iterdir()} == made
    shown = {Path(path).name for name in PAGES for path in targets(read(name)) if "images/guide" in path}
    assert shown == made
    sizes = {path.name: path.stat().st_size for path in FIGURES.iterdir()}
    assert max(sizes.values()) < LARGEST_FIGURE, sizes
    assert sum(sizes.values()) < ALL_FIGURES


def test_figures_made_again_are_the_same(tmp_path: Path) -> None:
    """Drawings byte by byte; pictures up to what other processors round otherwise."""
    for name, make in load("figures").COMPUTED.items():
        make(tmp_path / name)
        if name.endswith(".svg"):
            assert (tmp_path / name).read_text("utf-8") == (FIGURES / name).read_text("utf-8"), name
        else:
            now, then = (
                np.asarray(Image.open(folder / name).convert("RGB"), dtype=float) for folder in (tmp_path, FIGURES)
            )
            assert now.shape == then.shape
            assert np.abs(now - then).mean() < 2, name
