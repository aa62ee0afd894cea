"""The demo: make images, train on them, predict others, measure, report."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ushape.core.errors import OutputError
from ushape.core.events import Listener, Message
from ushape.core.labels import Labels
from ushape.io.layouts import find_pairs
from ushape.io.synthetic import is_synthetic, write_nuclei
from ushape.report.contents import Baseline
from ushape.train.run_folder import RunFolder
from ushape.workflows.assess import assess
from ushape.workflows.baseline import threshold_baseline
from ushape.workflows.deliver import OutputOptions
from ushape.workflows.design import FitRequest
from ushape.workflows.fit import fit
from ushape.workflows.infer import predict_files
from ushape.workflows.model import load
from ushape.workflows.publish import Story, publish
from ushape.workflows.review import tell_story

TRAINED, HELD_OUT = 24, 8


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        dice: mean Dice of the nuclei on images never seen in training.
        baseline: the same of Otsu's threshold.
    """

    dice: float
    baseline: float
    model: Path
    report: Path
    images: Path

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in self.__dict__.items()}

    @property
    def text(self) -> str:
        """The result, and three commands to try next."""
        return (
            f"Dice on {HELD_OUT} unseen images: {self.dice:.3f}; Otsu's threshold: {self.baseline:.3f}\n"
            f"report: {self.report}\n"
            "try next:\n"
            f"  ushape predict {self.model} {self.images} -o masks --overlays\n"
            f"  ushape info {self.model}\n"
            "  ushape train YOUR_FOLDER          # a folder with images/ and masks/"
        )


def run_demo(output: Path, minutes: float, seed: int, listener: Listener) -> DemoResult:
    """Run the whole flow on synthetic nuclei. A demo that is there already is replaced.

    Raises:
        OutputError: the folder holds something that is no demo.
    """
    _clear(output)
    write_nuclei(output / "train", count=TRAINED, seed=seed)
    write_nuclei(output / "unseen", count=HELD_OUT, seed=seed + 1000)
    listener(Message(f"made {TRAINED} images to train on and {HELD_OUT} unseen ones in {output}"))
    run = fit(
        FitRequest(output / "train", output / "run", changes={"train.minutes": minutes, "train.seed": seed}), listener
    )
    images, masks = output / "unseen" / "images", output / "masks"
    predict_files(load(run.model), images, masks, OutputOptions(overlays=True), listener)
    baseline = threshold_baseline(find_pairs(output / "unseen"), Labels())
    assessed = assess(masks, output / "unseen")
    report = publish(output, assessed.table, assessed.labels.names, assessed.draw, _story(run, baseline))
    return DemoResult(assessed.table.foreground_dice, baseline.dice, run.model, report, images)


def _story(run: RunFolder, baseline: Baseline) -> Story:
    scored = f"Scores are of {HELD_OUT} images that played no part in the training."
    story = tell_story(run, scored)
    return replace(story, title="Demo: synthetic cell nuclei", baseline=baseline)


def _clear(output: Path) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not is_synthetic(output / "train"):
        raise OutputError(f"{output}: already there and no earlier demo; choose another folder with -o")
    for name in ("train", "unseen", "run", "masks"):
        shutil.rmtree(output / name, ignore_errors=True)
