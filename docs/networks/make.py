"""Draw every network of these pages, and write what can be computed into them: python docs/networks/make.py [FOLDER].

Each page keeps its own words; only what stands between marks is written here. The table in README.md is made of the
pages.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import tomlkit

from ushape.explain.diagram import draw_network
from ushape.nets.config import UNetConfig
from ushape.nets.cost import measure_cost
from ushape.nets.presets import PRESETS, preset

HERE = Path(__file__).parent
SIZES = {"unet-2015": (572, 572), "nnunet-2d": (512, 512), "nnunet-3d": (128, 128, 128), "resenc-m": (128, 128, 128)}
OF_THE_DATA = {"in_channels", "classes"}
HEAD = "| network | axes | parameters | what it adds | source |\n|---|---|---:|---|---|\n"


def main(folder: Path = HERE) -> None:
    """Bring all figures and pages in a folder up to date; another than this one first gets a copy of the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder != HERE:
        for page in HERE.glob("*.md"):
            shutil.copy(page, folder)
    rows = [write_page(name, folder) for name in PRESETS]
    fill(folder / "README.md", "table", HEAD + "\n".join(rows))


def write_page(name: str, folder: Path) -> str:
    """Draw one network, fill its page, and return its row of the table."""
    config = preset(name)
    space = SIZES.get(name, ((256,) if config.ndim == 2 else (64,)) * config.ndim)
    (folder / f"{name}.svg").write_text(draw_network(config, space, title=name), encoding="utf-8", newline="\n")
    page, parameters = folder / f"{name}.md", measure_cost(config, space).parameters
    axes = " and ".join(f"{dim}D" for dim in PRESETS[name].dims)
    facts = f"{axes}; {parameters:,} parameters with 1 channel and 2 classes in {config.ndim}D."
    fill(page, "facts", f"![The levels of {name} as bars, from the image to the logits]({name}.svg)\n\n{facts}")
    fill(page, "config", f"```toml\n{list_fields(config)}```")
    _, summary, source = page.read_text(encoding="utf-8").split("\n\n")[:3]
    cells = (f"[{name}]({name}.md)", axes, f"{parameters:,}", summary, source.removeprefix("Source: ").rstrip("."))
    return "| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |"


def list_fields(config: UNetConfig) -> str:
    """Write as TOML the fields that a recipe needs for a network, without those that the data decide."""
    fields = config.model_dump(mode="json", exclude_defaults=True, exclude=OF_THE_DATA)
    return tomlkit.dumps({"net": fields})


def fill(page: Path, mark: str, text: str) -> None:
    """Replace what stands between two marks of a page."""
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(f"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    if not pattern.search(before):
        sys.exit(
            f"{page}: expected the marks <!-- {mark} --> and <!-- /{mark} -->; put them where the {mark} should stand"
        )
    after = pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before)
    page.write_text(after, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
