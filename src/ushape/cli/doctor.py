"""`ushape doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ushape.cli.show import print_json
from ushape.core.errors import ConfigError

if TYPE_CHECKING:
    from ushape.workflows.checkup import Checkup
    from ushape.workflows.suspects import LabelCheck

Flag = typer.Option
TITLES = {"training_step": "training step of a small net, by precision and memory layout", "extras": "optional parts"}
"""What a section is called where its name alone would not say it."""


def doctor(
    run: Annotated[Path | None, typer.Argument(help="A run folder; without, the machine is looked at.")] = None,
    output: Annotated[Path | None, Flag("-o", "--output", help="Draw the labels to check into this folder.")] = None,
    as_json: Annotated[bool, Flag("--json", help="Print the facts as JSON.")] = False,
) -> None:
    """Say what is wrong with a run or its labels, and what to try; or look at versions, devices, precision, extras."""
    if run is not None:
        examine_run(run, output, as_json=as_json)
        return
    if output:
        raise ConfigError(f"-o {output}: expected a run folder with it, got none; name the run first")
    print_machine(as_json=as_json)


def print_machine(*, as_json: bool) -> None:
    """Print what was found out about the machine, section by section."""
    from ushape.workflows.diagnose import diagnose

    facts = diagnose()
    if as_json:
        print_json(facts)
        return
    for section, values in facts.items():
        typer.echo(f"{TITLES.get(section, section)}:")
        for name, value in values.items():
            typer.echo(f"  {name}: {value}")


def examine_run(run: Path, output: Path | None, *, as_json: bool) -> None:
    """Print what stands out in a run, fold by fold if it has some, and which labels to check; draw them if asked to."""
    from ushape.workflows.accuse import write_suspects
    from ushape.workflows.checkup import check_run

    found = check_run(run)
    page = write_suspects(output, run.resolve().name, found.labels) if output and found.labels.suspects else None
    if as_json:
        print_json({"run": str(run), "page": str(page) if page else None, **to_json(found)})
        return
    for name, several in found.findings.items():
        for each in several:
            typer.echo(f"{name}: {each.name}: {each.says}.\n  Try: {each.remedy}.")
        if not several:
            typer.echo(f"{name}: nothing stands out")
    print_labels(found.labels, run, page)


def print_labels(check: LabelCheck, run: Path, page: Path | None) -> None:
    """Print which labels are to be checked, and where they are drawn."""
    from ushape.workflows.suspects import tell_check

    typer.echo(tell_check(check))
    for each in check.suspects:
        fold = f", {each.run.path.name}" if each.run.home else ""
        typer.echo(f"  {each.case} (Dice {each.dice:.2f}{fold}): {each.differs}")
    if check.suspects:
        see = f"see {page}" if page else f"see them with: ushape doctor {run} -o FOLDER"
        typer.echo(f"  Try: {see}. Mend or leave out wrong labels; where they are right, add cases of their kind.")


def to_json(found: Checkup) -> dict[str, object]:
    """Return a checkup as JSON."""
    from dataclasses import asdict

    suspects = [
        {"case": each.case, "folder": each.run.path.name, "dice": each.dice, "differs": each.differs}
        for each in found.labels.suspects
    ]
    return {
        "findings": [{"folder": name, **asdict(each)} for name, several in found.findings.items() for each in several],
        "judged": found.labels.judged,
        "cases": found.labels.cases,
        "suspects": suspects,
    }
