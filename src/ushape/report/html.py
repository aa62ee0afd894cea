"""The report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from ushape.core.files import write_text
from ushape.measure.summary import WHOLE_CASE
from ushape.report.contents import (
    Aggregate,
    ReportData,
    Setting,
    dice_per_case,
    read_number,
    read_text,
    values_by_class,
)
from ushape.report.gallery import show_gallery
from ushape.report.insight import show_numbers
from ushape.report.markup import EMPTY, Html, definition_list, join, paragraphs, tag
from ushape.report.page import Section, render_page
from ushape.report.plots import (
    best_point,
    change_limits,
    plot_loss,
    plot_rate,
    plot_spread,
    plot_validation,
    read_curve,
    share_limits,
    size_limits,
)
from ushape.report.tables import MOST_ROWS, measure_columns, show_cases, show_classes, show_differences, show_objects
from ushape.report.words import (
    explain_scores,
    explain_versus,
    format_count,
    format_duration,
    format_interval,
    format_number,
    measure_heading,
)


def write_report(path: Path, data: ReportData) -> None:
    """Write the report as one file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
        DataError: a score or a curve holds text where a number belongs.
    """
    write_text(path, render_report(data))


def render_report(data: ReportData) -> str:
    """Return the whole page as text.

    >>> page = render_report(ReportData("Nuclei & more"))
    >>> "<h1>Nuclei &amp; more</h1>" in page, "<script" in page
    (True, False)
    """
    return render_page(data.title, data.summary, [build(data) for build in SECTIONS], kind="report")


def _result(data: ReportData) -> Section:
    items = [item for item in data.aggregates if item.measure == "dice"]
    absent = "Nothing was scored, because there was no truth to compare the predictions with."
    if not items:
        return Section("result", "Result", None, absent)
    sentences = explain_scores(items, list(dice_per_case(data.scores).values()), data.baseline)
    tiles = tag("div", *(_tile(item) for item in items), class_="tiles")
    body = tag("div", tiles, tag("div", paragraphs(sentences)), class_="verdict")
    return Section("result", "Result", body, absent)


def _tile(item: Aggregate) -> Html:
    interval = tag("span", format_interval(item.low, item.high), class_="whole")
    return tag(
        "div",
        tag("p", item.class_name, class_="name"),
        tag("p", format_number(item.mean), class_="value"),
        tag("p", f"mean {measure_heading(item.measure)} of {format_count(item.cases, 'case')}"),
        tag("div", _range_bar(item), class_="track"),
        tag("p", EMPTY if math.isnan(item.low) else "95 % interval ", interval),
        class_="tile",
    )


def _range_bar(item: Aggregate) -> Html:
    """Mark the mean on a line from 0 to 1, and its interval as a thicker stretch."""
    low, high = (item.mean, item.mean) if math.isnan(item.low) else (item.low, item.high)
    if math.isnan(item.mean):
        return EMPTY
    stretch = tag("i", class_="stretch", style=f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%")
    return join([stretch, tag("i", class_="mean", style=f"left:{100 * item.mean:.1f}%")])


def _pictures(data: ReportData) -> Section:
    absent = "No case was drawn."
    if not data.overlays:
        return Section("pictures", "Pictures", None, absent)
    return Section("pictures", "Pictures", show_gallery(data.overlays, data.classes), absent)


def _spread(data: ReportData) -> Section:
    title, absent = "Spread over the cases", "Fewer than two cases were scored, so there is no spread to draw."
    if len(dice_per_case(data.scores)) < 2:
        return Section("spread", title, None, absent)
    far = [name for name in measure_columns(data.scores) if name.startswith("hd95")]
    plots = [plot_spread(values_by_class(data.scores, "dice"), measure_heading("dice"), share_limits)]
    plots += [
        plot_spread(values_by_class(data.scores, name), measure_heading(name), size_limits, "distance") for name in far
    ]
    note = (
        "Each dot is one case; of four cases or more a box holds the middle half, and its line is the median. "
        "In brackets: the number of cases. The axis of Dice need not start at 0."
    )
    if far:
        note += " HD95: nearly all of either border lies within this distance of the other, so less is better."
    body = join([tag("div", *plots, class_="plots"), tag("p", note, class_="note")])
    return Section("spread", title, body, absent)


def _versus(data: ReportData) -> Section:
    if data.versus is None:
        return Section("versus", "", None, "")
    versus = data.versus
    title = f"{versus.name} beside {versus.other}"
    plot = plot_spread(versus.dices, f"Dice of {versus.name} minus Dice of {versus.other}", change_limits, "change")
    body = [plot, paragraphs(explain_versus(versus), class_="note"), show_differences(versus, data.definitions)]
    return Section("versus", title, join(body), "")


def _classes(data: ReportData) -> Section:
    absent = "No class has a score."
    objects = [item for item in data.aggregates if item.class_name == WHOLE_CASE]
    classes = [item for item in data.aggregates if item.class_name != WHOLE_CASE]
    tables = [show_classes(classes, data.definitions)] if classes else []
    tables += [show_objects(objects, data.definitions)] if objects else []
    notes = ["Means over the cases; below each its 95 % interval, from five cases on.", *data.left_out]
    body = join([*tables, paragraphs(notes, class_="note")]) if tables else None
    return Section("classes", "Scores per class", body, absent)


def _cases(data: ReportData) -> Section:
    title, absent = "Scores per case", "No case has a score."
    if not data.scores:
        return Section("cases", title, None, absent)
    note = "The worst cases come first. A dash: the class is in neither truth nor prediction, and means leave it out."
    if len(data.scores) > MOST_ROWS:
        note += f" Shown are the first {MOST_ROWS} of {len(data.scores):,} rows."
    body = join([tag("p", note, class_="note"), tag("div", show_cases(data.scores, data.definitions), class_="tall")])
    return Section("cases", title, body, absent)


def _curves(data: ReportData) -> Section:
    title, absent = "Learning curves", "There are none, because this report does not come from a training run."
    drawings = [plot(data) for plot in CURVES]
    shown = [drawing for drawing in drawings if drawing is not None]
    if not shown:
        return Section("curves", title, None, absent)
    body = join([tag("div", *shown, class_="plots"), paragraphs(_curve_notes(data), class_="note")])
    return Section("curves", title, body, absent)


def _gradients(data: ReportData) -> Section:
    if not data.gradients:
        return Section("gradients", "", None, "")
    note = (
        "What reached each layer in the last step that was looked at. Change: by which share of their own length that "
        "step moves the weights, at the highest rate; a fault is above 1 (exploding) and below 0.0000001 (vanishing), "
        "what lies between is none. Dead: channels of a ReLU that are 0 in the whole batch. All looks are in "
        "gradients.csv."
    )
    head = ("layer", "norm", "zeros", "weights", "change", "dead", "fault")
    rows = [[read_text(row, name) for name in head] for row in data.gradients]
    numbers = tag("div", show_numbers(head, rows, caption="Gradients"), class_="tall")
    body = join([tag("p", note, class_="note"), numbers])
    return Section("gradients", "Gradients", body, "")


def _loss_curve(data: ReportData) -> Html | None:
    return plot_loss(data.curves) if read_curve(data.curves, "train_loss")[0].size else None


def _validation_curve(data: ReportData) -> Html | None:
    return plot_validation(data.curves) if read_curve(data.curves, "val_dice")[0].size else None


def _rate_curve(data: ReportData) -> Html | None:
    return plot_rate(data.curves) if read_curve(data.curves, "lr")[0].size else None


CURVES: tuple[Callable[[ReportData], Html | None], ...] = (_loss_curve, _validation_curve, _rate_curve)


def _curve_notes(data: ReportData) -> list[str]:
    last = data.curves[-1]
    seconds, epoch = read_number(last, "seconds"), read_number(last, "epoch")
    notes = [] if math.isnan(seconds) else [f"Training took {format_duration(seconds)}."]
    if not math.isnan(epoch):
        notes = [f"{note} The last epoch was {epoch:.0f}." for note in notes]
    if best_point(data.curves) is None:
        notes.append("There was no validation, so nothing tells when the model stopped to improve on unseen cases.")
    return notes


def _next_steps(data: ReportData) -> Section:
    lines = [tag("span", line, class_="why" if line.startswith("#") else "command") for line in data.next_steps]
    body = tag("pre", tag("code", join(lines, "\n")), tabindex="0") if lines else None
    return Section("next", "What to do next", body, "No next step was suggested.")


def _settings(data: ReportData) -> Section:
    groups: dict[str, list[Setting]] = {}
    for setting in data.settings:
        groups.setdefault(setting.name.rpartition(".")[0], []).append(setting)
    blocks = [_setting_block(name, settings) for name, settings in groups.items()]
    body = tag("div", *blocks, class_="settings") if blocks else None
    return Section("settings", "Settings, and why", body, "No settings were recorded.")


def _setting_block(name: str, settings: Sequence[Setting]) -> Html:
    lines = [
        tag("div", tag("dt", item.name.rpartition(".")[2]), tag("dd", tag("code", item.value), tag("p", item.reason)))
        for item in settings
    ]
    return tag("div", tag("h3", name) if name else EMPTY, tag("dl", *lines))


def _definitions(data: ReportData) -> Section:
    lines = [
        tag("div", tag("dt", measure_heading(name)), tag("dd", text), id=f"measure-{name}")
        for name, text in data.definitions.items()
    ]
    return Section("measures", "What the measures mean", tag("dl", *lines) if lines else None, "No measure was used.")


def _versions(data: ReportData) -> Section:
    body = definition_list(data.environment.items()) if data.environment else None
    return Section("versions", "Versions and machine", body, "They were not recorded.")


SECTIONS: tuple[Callable[[ReportData], Section], ...] = (
    _result,
    _pictures,
    _versus,
    _spread,
    _classes,
    _cases,
    _curves,
    _gradients,
    _next_steps,
    _settings,
    _definitions,
    _versions,
)
