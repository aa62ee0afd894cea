"""What single choices of a recipe are worth: Dice on unseen images, with seeds and spread, and CPU seconds.

All trainings of a group have the same steps, patches and seeds; a variant changes fields of one recipe. What counts are
the differences between runs of one seed: within their spread they say nothing. Cheap by design: a small net, few steps,
one thread. Nothing is tuned. Every finished run is kept, so a second start goes on where the first one stopped.

Data: synthetic blood vessels (8 to 10 % foreground), and with `--data DIR` the membranes of ISBI 2012 in DIR/isbi2012,
of which the last 4 of 24 images are unseen.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
STORED = RESULTS / "ablations.json"
Changes = Mapping[str, Any]
COMMON: Changes = {
    "net.widths": [16, 32, 64],
    "net.strides": [],
    "net.kernels": [],
    "net.deep_supervision": False,
    "patches.size": [64, 64],
    "patches.batch": 4,
    "predict.window.size": [256, 256],
    "train.minutes": "none",
    "train.epochs": 1,
    "train.steps_per_epoch": 100,
    "train.optim.optimizer": "adamw",
    "train.optim.lr": 2e-3,
    "train.precision": "float32",
    "train.layout": "contiguous",
    "train.threads": 1,
    "data.fold": "none",
}
OFF = {f"augment.warp.{name}": 0.0 for name in ("rotation", "scale", "shear", "elastic", "grid_distortion")}
OFF |= {f"augment.shade.{name}": 0.0 for name in ("noise", "blur", "brightness", "contrast", "gamma", "low_resolution")}
BATCH_NORM = {"net.block.norm": "batch", "net.block.activation": "relu"}
SGD = {"train.optim.optimizer": "sgd", "train.optim.momentum": 0.9, "train.average": 0.0, "train.optim.warmup": 0.0}
SHORT = {"train.steps_per_epoch": 40}
FOUND = 0.3
"""The Dice from which a run of the clipping group counts as stable: it has learnt what a vessel is."""


@dataclass(frozen=True)
class Group:
    """Variants of one choice; the first is what the others are compared with.

    Attributes:
        question: in the words of the table.
        variants: the fields that each changes.
    """

    question: str
    variants: Mapping[str, Changes]
    data: tuple[str, ...] = ("vessels", "isbi2012")
    seeds: int = 3


def clip_variants() -> Iterator[tuple[str, Changes]]:
    """SGD at the rate of 0.01 and ten and a hundred times that, clipped at 1 and not."""
    for rate in (0.01, 0.1, 1.0):
        for name, clip in (("clipped at 1", 1.0), ("not clipped", 0.0)):
            yield f"rate {rate:g}, {name}", {**SGD, **SHORT, "train.optim.lr": rate, "train.clip": clip}


GROUPS: dict[str, Group] = {
    "schedule": Group(
        "learning-rate schedule",
        {
            "fixed": {"train.optim.schedule": "fixed"},
            "step": {"train.optim.schedule": "step"},
            "cosine": {},
            "cyclic": {"train.optim.schedule": {"name": "cyclic", "half_cycle": 20}},
        },
    ),
    "optimizer": Group(
        "optimiser",
        {"adamw": {}, "muon": {"train.optim.optimizer": "muon", "train.optim.lr": "auto"}},
    ),
    "upsampling": Group("upsampling", {up: {"net.up": up} for up in ("transpose", "linear", "nearest", "shuffle")}),
    "augmentation": Group(
        "augmentation",
        {
            "none": {**OFF, "augment.warp.flip": False, "augment.warp.rotate90": False},
            "mirrors and quarter turns": OFF,
            "all of the plan": {},
        },
    ),
    "attention": Group(
        "skip connection", {"concatenated": {}, "gated": {"net.skip": "gate"}, "added": {"net.skip": "add"}}
    ),
    "bias": Group(
        "bias before batch norm",
        {"without": {**BATCH_NORM, "net.block.bias": "off"}, "with": {**BATCH_NORM, "net.block.bias": "on"}},
    ),
    "precision": Group("precision", {"float32": {}, "bf16": {"train.precision": "bf16"}}),
    "clipping": Group("gradient clipping", dict(clip_variants()), ("vessels",), 5),
    "loss": Group(
        "loss",
        {
            "cross-entropy": {"loss.dice.weight": 0},
            "Dice": {"loss.ce.weight": 0},
            "both": {},
            "focal": {"loss.ce.weight": 0, "loss.dice.weight": 0, "loss.focal.weight": 1},
            "Tversky": {"loss.ce.weight": 0, "loss.dice.weight": 0, "loss.tversky.weight": 1},
        },
        ("vessels",),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds isbi2012/")
    parser.add_argument("--only", choices=list(GROUPS), nargs="+", help="these groups only")
    parser.add_argument("--table", action="store_true", help="train nothing, write the table of what is stored")
    options = parser.parse_args()
    if not options.table:
        train_all(options.data, options.only or list(GROUPS))
    text = as_table(read_record())
    (RESULTS / "ablations.md").write_text(text)
    print(text)


def train_all(data: Path | None, names: list[str]) -> None:
    """Make every run that is not stored yet, all variants of one seed before the next seed."""
    record = read_record()
    record |= {"settings": as_stored(COMMON), "machine": name_machine(), "load": round(os.getloadavg()[0], 1)}
    with tempfile.TemporaryDirectory() as folder:
        for set_name, changes, seed in wanted_runs(names, data):
            done = record["runs"].setdefault(set_name, {}).setdefault(key_of(changes), {})
            if str(seed) not in done:
                pictures = make_data(set_name, Path(folder), data)
                done[str(seed)] = train_once(pictures, {**COMMON, **changes, "train.seed": seed})
                STORED.write_text(json.dumps(record, indent=1) + "\n")
                print(set_name, dict(changes), seed, done[str(seed)], flush=True)


def wanted_runs(names: list[str], data: Path | None) -> Iterator[tuple[str, Changes, int]]:
    groups = [GROUPS[name] for name in names]
    for seed in range(max(group.seeds for group in groups)):
        for group in groups:
            for set_name in group.data:
                if seed < group.seeds and (data or set_name == "vessels"):
                    yield from ((set_name, changes, seed) for changes in group.variants.values())


def key_of(changes: Changes) -> str:
    """Name a run by what it changes, so that groups share the runs they have in common."""
    return json.dumps(changes, sort_keys=True)


def read_record() -> dict[str, Any]:
    """Read what was measured before; runs under other settings do not count."""
    if STORED.exists():
        record = json.loads(STORED.read_text())
        if record.get("settings") == as_stored(COMMON):
            return dict(record)
    return {"runs": {}}


def as_stored(changes: Changes) -> Any:
    """Return settings as they come back from a file."""
    return json.loads(json.dumps(changes))


def name_machine() -> str:
    from importlib.metadata import version

    from ushape.train.probe import machine_facts

    facts = machine_facts()
    return f"{facts.device_name}, {facts.cores} cores, torch {version('torch')}"


def make_data(name: str, folder: Path, data: Path | None) -> tuple[Path, Path]:
    """Return the folders of the images that are trained on, and of the unseen ones."""
    seen, unseen = folder / name / "seen", folder / name / "unseen"
    if not seen.exists():
        if name == "vessels":
            from ushape.io.vessels import write_vessels

            write_vessels(seen, count=12, seed=1)
            write_vessels(unseen, count=6, seed=2)
        else:
            assert data is not None
            copy_membranes(data / name, seen, unseen)
    return seen, unseen


def copy_membranes(source: Path, seen: Path, unseen: Path) -> None:
    """Make the membrane the foreground (255); of the last four images keep the upper left 256 x 256 as unseen."""
    import numpy as np
    from PIL import Image

    images = sorted((source / "images").iterdir())
    for path in images:
        image, mask = (np.asarray(Image.open(source / kind / path.name)) for kind in ("images", "masks"))
        target, side = (unseen, 256) if path in images[-4:] else (seen, None)
        for kind, pixels in (("images", image), ("masks", np.where(mask == 0, 255, 0).astype(np.uint8))):
            (target / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[:side, :side]).save(target / kind / path.name)


def train_once(pictures: tuple[Path, Path], changes: Changes) -> dict[str, Any]:
    """Train once; return the Dice on unseen images, 0 with the reason if training broke off, and CPU seconds."""
    import ushape

    seen, unseen = pictures
    cpu, found = time.process_time(), {"dice": 0.0}
    with tempfile.TemporaryDirectory() as place:
        try:
            model = ushape.train(seen, f"{place}/run", changes=changes)
            ushape.predict_folder(model, unseen, f"{place}/masks")
            found["dice"] = round(ushape.evaluate(f"{place}/masks", unseen).foreground_dice, 4)
        except ushape.UshapeError as error:
            found["broke_off"] = str(error).splitlines()[0]
    today = datetime.now(UTC).date().isoformat()
    return {**found, "cpu_seconds": round(time.process_time() - cpu, 1), "date": today}


def dice_of(record: Mapping[str, Any], group: str, set_name: str, variant: str) -> dict[str, float]:
    """Return the Dice of each seed that was run."""
    runs = record["runs"].get(set_name, {}).get(key_of(GROUPS[group].variants[variant]), {})
    return {seed: run["dice"] for seed, run in runs.items()}


def differences(record: Mapping[str, Any], group: str, set_name: str, variant: str) -> list[float]:
    """Return what a variant's Dice is above that of the group's first one, seed by seed."""
    first = dice_of(record, group, set_name, next(iter(GROUPS[group].variants)))
    other = dice_of(record, group, set_name, variant)
    return [other[seed] - first[seed] for seed in sorted(first.keys() & other.keys())]


def spread(numbers: list[float]) -> float:
    """Return the standard deviation, NaN of fewer than two."""
    return statistics.stdev(numbers) if len(numbers) > 1 else float("nan")


HEAD = """`python benchmarks/ablations.py --data DIR` on {machine}.
Dice on unseen images, mean (standard deviation over seeds); the difference to the first variant is taken seed by seed.
Steps of a run: 100, of the clipping group 40.

| data | choice | variant | Dice | difference to the first | seeds | CPU seconds |
|---|---|---|---|---|---:|---:|"""


def as_table(record: Mapping[str, Any]) -> str:
    lines = [
        HEAD.format(machine=f"{record['machine']}, load {record['load']:g}" if record["runs"] else "no machine yet")
    ]
    for name, group in GROUPS.items():
        for set_name in group.data:
            rows = [row for variant in group.variants for row in table_row(record, name, set_name, variant)]
            lines += rows if len(rows) > 1 else []  # one variant alone was run for another group
    return "\n".join(lines) + "\n"


def table_row(record: Mapping[str, Any], group: str, set_name: str, variant: str) -> Iterator[str]:
    dice = list(dice_of(record, group, set_name, variant).values())
    if dice:
        runs = record["runs"][set_name][key_of(GROUPS[group].variants[variant])].values()
        apart, cpu = differences(record, group, set_name, variant), statistics.mean(run["cpu_seconds"] for run in runs)
        first = variant == next(iter(GROUPS[group].variants))
        change = "" if first or not apart else f"{statistics.mean(apart):+.3f} ({spread(apart):.3f})"
        cells = f"{statistics.mean(dice):.3f} ({spread(dice):.3f}) | {change} | {len(dice)} | {cpu:.0f}"
        yield f"| {set_name} | {GROUPS[group].question} | {variant} | {cells} |"


if __name__ == "__main__":
    main()
