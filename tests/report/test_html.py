"""Laws of the report's page."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import ushape.report
from ushape.core.case import Geometry
from ushape.measure.compare import PairedComparison, PairedDifference
from ushape.report import Aggregate, Baseline, Overlay, ReportData, Setting, notable_cases, render_report, write_report
from ushape.report.contents import Versus
from ushape.report.tables import MOST_ROWS, measure_columns, worst_first

SCORES = [
    {"case": f"case_{number}", "class": "nuclei", "dice": dice, "iou": dice / (2 - dice), "hd95_px": 3.0, "note": ""}
    for number, dice in enumerate([0.91, 0.42, 0.87])
]
CURVES = [
    {"step": 10 * epoch, "epoch": epoch, "train_loss": 1 / epoch, "val_dice": 0.5, "lr": 1e-3, "seconds": 31.4 * epoch}
    for epoch in range(1, 5)
]


def disc(size: int, shift: int, ndim: int = 2) -> np.ndarray:
    squares = sum((axis - size // 2 - shift) ** 2 for axis in np.indices((size,) * ndim))
    return (squares < (size // 4) ** 2).astype(np.int16)


def overlay(case: str = "case_1", *, size: int = 32, ndim: int = 2, truth: bool = True) -> Overlay:
    image = np.random.default_rng(0).normal(size=(1, *(size,) * ndim))
    return Overlay(case, "Worst of 3", image, disc(size, 2, ndim), disc(size, 0, ndim) if truth else None, 0.42)


FULL = ReportData(
    title="Nuclei",
    summary=["Trained on 12 images."],
    settings=[Setting("net.widths", "[8, 16]", "it fits"), Setting("train.lr", "0.001"), Setting("net.up", "linear")],
    curves=CURVES,
    gradients=[{"layer": "heads.0", "norm": "0.25", "fault": "zero weights"}],
    classes=("background", "nuclei"),
    scores=SCORES,
    aggregates=[Aggregate("nuclei", "dice", 0.733, 0.42, 0.91, 3), Aggregate("nuclei", "iou", 0.62, 0.3, 0.8, 3)],
    overlays=[overlay()],
    baseline=Baseline("Otsu's threshold", 0.6),
    environment={"ushape": "0.1.0"},
    next_steps=["# look closer", "ushape explain model.safetensors image.png"],
    definitions={"dice": "twice the shared area over the sum of both areas"},
)


class Page(HTMLParser):
    """Collects what a page holds, and refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        self._note(dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._note(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def _note(self, attributes: dict[str, str | None]) -> None:
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        self.references += [attributes[key] or "" for key in ("href", "src", "xlink:href") if key in attributes]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(data: ReportData) -> Page:
    return Page(render_report(data))


def test_the_page_is_well_formed_and_its_ids_are_unique() -> None:
    page = read(FULL)
    assert len(page.ids) == len(set(page.ids))


def test_every_inner_link_has_a_target_and_there_are_no_outer_ones() -> None:
    page = read(FULL)
    for reference in page.references:
        assert reference.startswith("data:image/") or reference.removeprefix("#") in page.ids
    text = render_report(FULL)
    assert "http" not in text.replace("http-equiv", "")
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text


def test_the_page_runs_no_script_and_forbids_the_network() -> None:
    assert "script" not in read(FULL).tags
    assert "default-src &#x27;none&#x27;" in render_report(FULL)


def test_the_result_is_said_in_words() -> None:
    text = read(FULL).text
    assert "nuclei 0.733 mean Dice of 3 cases 95 % interval 0.420 to 0.910" in text
    assert "The 3 cases reach from 0.420 to 0.910." in text
    assert "Otsu's threshold has a mean Dice of 0.600 on the same cases; the model is 0.133 better." in text
    assert "1 is perfect, 0 means that they do not overlap." in text


def test_everything_handed_in_is_on_the_page() -> None:
    text = read(FULL).text
    for piece in (
        "Trained on 12 images.",
        "it fits",
        "0.1.0",
        "ushape explain model.safetensors",
        "twice the shared",
        "zero weights",
    ):
        assert piece in text
    assert "Training took 2 min 6 s. The last epoch was 4." in text
    assert "Not in this report" not in text


def test_other_predictions_stand_beside_with_their_differences_and_what_was_left_out() -> None:
    one = PairedDifference("nuclei", "hd95_px", 3.0, 5.0, -2.0, -3.5, -0.5, 0.0004, 9, 7, 2, 0)
    versus = Versus("new", "old", PairedComparison((one,), ("a", "b"), only_second=("c",)), {"nuclei": [0.1, -0.2]})
    text = read(replace(FULL, versus=versus, definitions={"hd95_px": "farthest, nearly"})).text
    for piece in ("new beside old", "HD95 (px)", "-2.000", "-3.500 to -0.500", "< 0.001", "7 / 2", "Only old has c"):
        assert piece in text
    assert "beside old" not in read(FULL).text


def test_settings_of_one_part_stand_together() -> None:
    text = read(FULL).text
    assert text.index("widths") < text.index("linear") < text.index("train lr")


def test_the_worst_case_comes_first() -> None:
    text = read(FULL).text
    table = text[text.index("The worst cases come first") :]
    assert table.index("case_1") < table.index("case_2") < table.index("case_0")
    assert [row["case"] for row in worst_first(SCORES)] == ["case_1", "case_2", "case_0"]


def test_columns_without_a_number_are_left_out() -> None:
    assert measure_columns(SCORES) == ["dice", "iou", "hd95_px"]


def test_a_case_without_a_score_is_last_and_has_a_dash() -> None:
    empty = {"case": "blank", "class": "nuclei", "dice": math.nan, "iou": math.nan, "hd95_px": math.nan}
    assert worst_first([empty, *SCORES])[-1]["case"] == "blank"
    assert "blank nuclei - - -" in read(replace(FULL, scores=[empty, *SCORES])).text


def test_a_long_table_is_cut_and_says_so() -> None:
    scores = [{"case": f"c{number}", "class": "nuclei", "dice": number / 1000} for number in range(MOST_ROWS + 50)]
    text = read(replace(FULL, scores=scores)).text
    assert f"Shown are the first {MOST_ROWS} of {MOST_ROWS + 50} rows." in text
    assert f"c{MOST_ROWS + 1}" not in text


def test_everything_is_escaped() -> None:
    evil = '<script>alert("1")</script>&'
    data = ReportData(
        title=evil,
        summary=[evil],
        settings=[Setting(f"{evil}.{evil}", evil, evil)],
        classes=("background", evil),
        scores=[{"case": evil + str(number), "class": evil, "dice": 0.5, evil: 1.0} for number in range(3)],
        aggregates=[Aggregate(evil, "dice", 0.5, 0.4, 0.6, 3), Aggregate(evil, evil, 0.5, 0.4, 0.6, 3)],
        overlays=[replace(overlay(), case=evil, caption=evil)],
        baseline=Baseline(evil, 0.5),
        environment={evil: evil},
        next_steps=[evil],
        definitions={evil: evil},
    )
    page = read(data)
    assert "script" not in page.tags
    assert evil in page.text


def test_an_empty_report_says_what_is_missing() -> None:
    page = read(ReportData("Nothing yet"))
    assert "Nothing was scored, because there was no truth to compare the predictions with." in page.text
    assert "There are none, because this report does not come from a training run." in page.text
    assert page.text.count("Not in this report") == 1


@pytest.mark.parametrize(
    "part", ["settings", "curves", "scores", "aggregates", "overlays", "environment", "next_steps", "definitions"]
)
def test_any_part_may_be_missing(part: str) -> None:
    empty = {} if part in {"environment", "definitions"} else ()
    page = read(replace(FULL, **{part: empty}))
    assert "Not in this report" in page.text
    assert len(page.ids) == len(set(page.ids))


def test_one_case_has_no_interval_and_no_spread() -> None:
    data = replace(FULL, scores=SCORES[:1], aggregates=[Aggregate("nuclei", "dice", 0.91, math.nan, math.nan, 1)])
    text = read(data).text
    assert "mean Dice of 1 case no interval" in text
    assert "Only one case was scored" in text
    assert "Fewer than two cases were scored, so there is no spread to draw." in text


def test_training_without_validation_is_said() -> None:
    curves = [{key: cell for key, cell in row.items() if key != "val_dice"} for row in CURVES]
    assert "There was no validation" in read(replace(FULL, curves=curves)).text


def test_a_case_without_truth_shows_its_prediction_only() -> None:
    text = read(replace(FULL, overlays=[overlay(truth=False)])).text
    assert "Image Prediction Spread" in text
    assert "Prediction against truth" not in text


def test_a_volume_is_shown_in_three_planes() -> None:
    volume = replace(overlay(ndim=3), geometry=None)
    text = read(replace(FULL, overlays=[volume])).text
    assert all(f"Image, {axis} slice" in text for axis in "zyx")
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    scan = replace(volume, geometry=Geometry((3.0, 1.0, 1.0), "mm", (0.0, 0.0, 0.0), axes))
    page = render_report(replace(FULL, overlays=[scan]))
    assert all(f"Image, {name} slice" in page for name in ("axial", "coronal", "sagittal"))
    assert 'viewBox="0 0 160 480"' in page, "three times as high as wide, as the voxels are"


def test_several_classes_get_a_picture_of_the_prediction_and_a_legend() -> None:
    label = disc(32, 0)
    pair = replace(overlay(), label=label, prediction=label * np.int16(2))
    text = read(replace(FULL, classes=("background", "anterior", "posterior"), overlays=[pair])).text
    assert "Outlines: anterior posterior" in text
    assert "right place, another class" in text
    assert "Image Truth Prediction Prediction against truth" in text


def test_six_pictures_of_noise_stay_below_two_megabytes(tmp_path: Path) -> None:
    pictures = [overlay(f"case_{number}", size=600) for number in range(6)]
    write_report(tmp_path / "report.html", replace(FULL, overlays=pictures))
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


def test_a_report_is_one_file(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "report.html", FULL)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_the_notable_cases_are_those_of_the_table() -> None:
    assert list(notable_cases(SCORES, each=1)) == ["case_0", "case_2", "case_1"]


def test_the_public_names_are_sorted_and_exist() -> None:
    assert list(ushape.report.__all__) == sorted(ushape.report.__all__)
    assert all(hasattr(ushape.report, name) for name in ushape.report.__all__)
