"""Quantise: calibrate on some real cases, judge by the Dice of others, and tell what it cost and gained."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ushape.core.errors import ExportError
from ushape.core.events import Listener, Message, count
from ushape.core.exported import Cost, ExportFacts
from ushape.deploy.quantize import Promise, Quantised, quantise_onnx, quantise_openvino
from ushape.predict.engines import Engine
from ushape.predict.graph_engine import GraphEngine
from ushape.predict.openvino_engine import OpenVinoGraph
from ushape.predict.timing import usual_milliseconds
from ushape.workflows.calibration import Trials
from ushape.workflows.engine import window_margin
from ushape.workflows.formats import Format, Graph
from ushape.workflows.sizes import tell_cost
from ushape.workflows.stored import StoredModel


class Quantiser:
    """Quantises one model for one format, and keeps the Dice that was promised.

    Args:
        max_drop: points of Dice that may be lost, against torch in float32.
    """

    def __init__(self, stored: StoredModel, form: Format, trials: Trials, max_drop: float) -> None:
        self.stored, self.form, self.trials, self.max_drop = stored, form, trials, max_drop

    def run(self, graph: Graph, facts: ExportFacts, listener: Listener) -> tuple[Graph, ExportFacts]:
        """Return the graph in INT8, and what is to be said of it.

        Raises:
            ExportError: the promise cannot be kept.
        """
        name, reference = self.form.name, self.stored.reference()
        torch_cost = self._measure("torch float32", reference, self.stored.file.stat().st_size)
        plain = self._measure_graph(f"{name} fp32", graph, replace(facts, precision="fp32"))
        lowest = torch_cost.dice - self.max_drop / 100
        listener(
            Message(f"quantising on {count(len(self.trials.calibrating), 'case')}; Dice must stay at {lowest:.4f}")
        )
        done = QUANTISERS[name](self, graph, Promise(plain.dice, lowest))
        costs = (torch_cost, plain, self._measure_graph(f"{name} int8", done.graph, facts))
        kept = f"{len(done.kept)} of {done.layers} layers stay in floating point"
        if costs[-1].dice < lowest:
            raise ExportError(
                f"int8: Dice {costs[-1].dice:.4f} is below the promised {lowest:.4f}, though {kept}; nothing was "
                "written; give a larger --max-drop"
            )
        cases = len(self.trials.scoring)
        for cost in costs:
            listener(Message(tell_cost(cost, torch_cost, cases)))
        if done.kept:
            listener(Message(f"{kept}: {', '.join(done.kept)}"))
        return done.graph, replace(facts, costs=costs, scored_cases=cases, kept=done.kept)

    def in_onnx(self, graph: Graph, promise: Promise) -> Quantised:
        """Quantise for ONNX Runtime."""

        def dice(quantised: Any) -> float:
            return self._with_engine(quantised, "int8", lambda engine, _: self.trials.score(engine))

        return quantise_onnx(graph, self.trials.windows(self.stored.reference()), dice, promise)

    def in_openvino(self, graph: Graph, promise: Promise) -> Quantised:
        """Quantise for OpenVINO."""
        margin, classes = window_margin(self.stored.recipe), self.stored.recipe.data.labels.count

        def dice(compiled: Any) -> float:
            return self.trials.score(GraphEngine(OpenVinoGraph(compiled, lambda _: compiled), classes, margin=margin))

        return quantise_openvino(graph, self.trials.windows(self.stored.reference()), dice, promise)

    def _measure_graph(self, name: str, graph: Graph, facts: ExportFacts) -> Cost:
        return self._with_engine(graph, facts.precision, lambda engine, size: self._measure(name, engine, size))

    def _with_engine(self, graph: Graph, precision: Any, use: Callable[[Engine, int], Any]) -> Any:
        """Write a graph to a temporary file, open it, and use the engine; the size of the file is told too."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{self.form.suffix}"
            self.form.write(graph, {}, path, precision)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            return use(self.form.open(path, self.stored, precision), size)

    def _measure(self, name: str, engine: Engine, size: int) -> Cost:
        shape = (1, self.stored.recipe.data.channels, *self.stored.recipe.predict.window.size)
        return Cost(name, size, usual_milliseconds(engine, shape), self.trials.score(engine))


QUANTISERS: dict[str, Callable[[Quantiser, Graph, Promise], Quantised]] = {
    "onnx": Quantiser.in_onnx,
    "openvino": Quantiser.in_openvino,
}
