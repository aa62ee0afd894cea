"""Export: a model file as a file for another runtime, written only if it does what the model does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.core.config import choose
from ushape.core.errors import ConfigError, ExportError
from ushape.core.events import Listener, Message, ignore_events
from ushape.core.exported import ExportFacts, ExportPrecision, export_text
from ushape.core.files import atomic_path
from ushape.deploy.parity import check_parity, compare, describe_parity, trial_sizes
from ushape.io.layouts import show_size
from ushape.workflows.calibration import load_trials
from ushape.workflows.formats import FORMATS, Format, Graph, make_dynamic
from ushape.workflows.quantise import Quantiser
from ushape.workflows.source import model_path
from ushape.workflows.stored import StoredModel, read_model


@dataclass(frozen=True)
class ExportRequest:
    """What a user asks of an export.

    Attributes:
        model: a model file or a run folder.
        output: the file to write; None puts it beside the model.
        calibrate: for int8, a data set with masks.
        max_drop: for int8, the points of Dice that it may lose.
    """

    model: Path
    to: str
    precision: ExportPrecision = "fp32"
    output: Path | None = None
    calibrate: Path | None = None
    max_drop: float = 0.3


def export(request: ExportRequest, listener: Listener = ignore_events) -> tuple[Path, ExportFacts]:
    """Write a model as a file for another runtime.

    Returns:
        The file, and what it says of itself.
    Raises:
        UshapeError: the request cannot be met, or the file would not do what the model does; nothing is written then.
    """
    form = choose(request.to, FORMATS, "format")
    _check(request, form)
    stored = read_model(model_path(request.model))
    if len(stored.nets) > 1:
        raise ExportError(
            f"{request.model}: expected one network, got an ensemble of {len(stored.nets)}; make one of it: "
            f"ushape compress {request.model} distil --data DATA"
        )
    name = stored.file.stem + ("" if request.precision == "fp32" else f"-{request.precision}") + form.suffix
    path = request.output or stored.file.with_name(name)
    trials = load_trials(request.calibrate, stored.recipe, listener) if request.calibrate is not None else None
    graph, dynamic = make_dynamic(form, stored, listener)
    window = () if dynamic else stored.recipe.predict.window.size
    facts = ExportFacts(form.name, request.precision, window)
    if trials is not None:
        graph, facts = Quantiser(stored, form, trials, request.max_drop).run(graph, facts, listener)
    facts = _write(graph, form, stored, facts, path)
    for each in facts.parity:
        listener(Message(f"against torch, {each.batch} x {show_size(each.size)}: {describe_parity(each)}"))
    return path, facts


def _write(graph: Graph, form: Format, stored: StoredModel, facts: ExportFacts, path: Path) -> ExportFacts:
    """Write the file under a temporary name, compare it with torch, and only then give it its name."""
    trials = trial_sizes(stored.recipe.net, stored.recipe.predict.window.size, dynamic=not facts.window)
    with atomic_path(path) as temporary:
        try:
            form.write(graph, export_text(stored.header, facts), temporary, facts.precision)
            engine = form.open(temporary, stored, facts.precision)
            facts = replace(facts, parity=compare(engine, stored.reference(), trials, stored.recipe.data.channels))
            check_parity(facts.parity, facts.precision)
            form.write(graph, export_text(stored.header, facts), temporary, facts.precision)
            if form.weights:
                temporary.with_suffix(form.weights).replace(path.with_suffix(form.weights))
        finally:
            if form.weights:
                with suppress(OSError):
                    temporary.with_suffix(form.weights).unlink()
    return facts


def _check(request: ExportRequest, form: Format) -> None:
    if request.precision not in form.precisions:
        raise ConfigError(
            f"--precision {request.precision}: {form.refusal}; choose one of: {', '.join(form.precisions)}"
        )
    if (request.precision == "int8") != (request.calibrate is not None):
        raise ConfigError("--precision int8 and --calibrate DATA: expected both or neither; INT8 needs real cases")
    if request.output is not None and request.output.suffix != form.suffix:
        raise ConfigError(f"-o {request.output}: expected a name that ends in {form.suffix}; correct it")
