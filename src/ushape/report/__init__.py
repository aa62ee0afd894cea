"""Numbers to pictures: one HTML file that shows what a model was measured to do."""

from ushape.report.contents import Aggregate, Baseline, Overlay, ReportData, Row, Setting, notable_cases
from ushape.report.html import render_report, write_report

__all__ = [
    "Aggregate",
    "Baseline",
    "Overlay",
    "ReportData",
    "Row",
    "Setting",
    "notable_cases",
    "render_report",
    "write_report",
]
