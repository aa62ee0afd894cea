"""The ledger: numbers that well-known guides to U-Net quote, and what this project measures for each.

Writes docs/claims.md. Weights, memory, sizes and layers are computed afresh each time, in seconds. With `--measure`
the times are taken first, and the runs of `ablations.py` that are not stored yet are made; without, rows on times and
Dice say what is stored in results/.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import ablations
from ledger import counting, layers, memory, timing, training
from ledger.claim import Claim, Finding, Record, unmeasurable

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "claims.md"
RESULTS = ROOT / "benchmarks" / "results"
TIMES = RESULTS / "claims_times.json"
NO_DATA = (
    unmeasurable(
        "One team's whole solution lifted the Dice of tumours from 0.72 to 0.89",
        "neither its images nor its settings were published: there is nothing to train on, and nothing to repeat",
    ),
    unmeasurable(
        "Three of the top five of the Data Science Bowl 2018 were U-Nets",
        "a matter of record, not of measurement: it needs the leader board and the winners' write-ups",
    ),
    unmeasurable(
        "Attention gates gain 8.3 % of Dice on the pancreas",
        "the CT set is not among the data here; what gates do elsewhere stands among the rows on Dice",
    ),
)
SECTIONS: dict[str, tuple[Claim, ...]] = {
    "Weights": counting.CLAIMS,
    "Memory": memory.CLAIMS,
    "Layers and export": layers.CLAIMS,
    "Time": timing.CLAIMS,
    "Dice": training.CLAIMS,
    "What nothing here can tell": NO_DATA,
}
HEAD = """# What guides to U-Net claim, and what we measured

<!-- made by `python benchmarks/claims.py`; change that, not this page -->

Numbers are repeated from guide to guide. Each row is one of them in our own words, what this project measures for it,
and a verdict: it *holds*, *does not hold*, or *depends* on something that the row names. Where only a short
experiment was possible, *no difference* or *the opposite* was seen *here*, and no more is said; where none was,
it *cannot be measured here*, and the row says why.

- Weights, memory, layers: computed by the script, on any machine; the tests do so again. GB are 10^9 bytes, MiB 2^20.
- Time: ratios of calls timed in turn{timed}. Another machine gives others.
- Dice: a small network (16 to 64 channels), 100 steps of AdamW, 3 seeds, on unseen images; all else as planned by
  default, a moving average of the weights among it. `vessels` are synthetic (8 to 10 % foreground), `isbi2012` are the
  membranes of ISBI 2012. Both sides share seeds and batches, and differences are taken seed by seed; where their mean
  is below their spread (standard deviation), no difference was seen *here*. Verdicts are on such short trainings:
  longer ones and other data may turn them. All runs{trained}: `benchmarks/results/ablations.md`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="take the times, and train what is missing (15 min)")
    parser.add_argument("--data", type=Path, help="folder that holds isbi2012/, for --measure")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page has other verdicts")
    options = parser.parse_args()
    if options.measure:
        TIMES.write_text(json.dumps(timing.measure_times(), indent=1) + "\n")
        ablations.train_all(options.data, list(ablations.GROUPS))
        (RESULTS / "ablations.md").write_text(ablations.as_table(ablations.read_record()))
    page = write_page()
    if options.check:
        stale = stale_rows(PAGE.read_text(encoding="utf-8"), page)
        sys.exit("\n".join([f"{PAGE.name}: run `python benchmarks/claims.py`", *stale]) if stale else 0)
    PAGE.write_text(page, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


def stale_rows(kept: str, made: str) -> list[str]:
    """Return the rows of which claim or verdict differ between two pages; figures of another machine may."""
    return [f"kept {old}, found {new}" for old, new in zip_longest(verdicts(kept), verdicts(made)) if old != new]


def verdicts(page: str) -> list[tuple[str, str]]:
    """Return claim and verdict of each row."""
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.endswith("** |")]
    return [(claim, verdict) for claim, _, verdict in rows]


def write_page() -> str:
    head = HEAD.format(timed=say_when(read_stored()["timed"]["times"]), trained=say_when(read_stored()["trained"]))
    return "\n".join([head, *(line for title in SECTIONS for line in write_section(title))]).rstrip() + "\n"


def say_when(record: Record) -> str:
    """Say on which machine and when what is stored was measured."""
    if "machine" not in record:
        return ""
    dates = sorted(set(re.findall(r"\d{4}-\d\d-\d\d", json.dumps(record))))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    beside = f", load {record['load']:g}" if "load" in record else ""
    return f" ({record['machine']}, {when}{beside})"


def write_section(title: str) -> Iterator[str]:
    yield from (f"## {title}", "", "| claim | measured here | verdict |", "|---|---|---|")
    for claim, finding in measure_section(title):
        yield f"| {claim.words} | {finding.measured} | **{finding.verdict}** |"
    yield ""


def measure_section(title: str) -> Iterator[tuple[Claim, Finding]]:
    stored = read_stored()
    yield from ((claim, claim.measure(stored[claim.kind])) for claim in SECTIONS[title])


def read_stored() -> dict[str, Record]:
    """Read what each kind of claim may look at."""
    times = json.loads(TIMES.read_text()) if TIMES.exists() else {}
    precision = json.loads((RESULTS / "precision.json").read_text())
    return {"computed": {}, "timed": {"times": times, "precision": precision}, "trained": ablations.read_record()}


if __name__ == "__main__":
    main()
