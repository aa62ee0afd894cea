"""One row of `engines.py`, in a process of its own: export a model, or time an engine and then score it."""

from __future__ import annotations

import json
import sys
import time
import tomllib
from pathlib import Path


def main(task: str, place: str, engine: str, precision: str, *rest: str) -> None:
    if task == "export":
        export_child(Path(place), engine, precision, Path(rest[0]), rest[1])
    else:
        measure_child(Path(place), engine, precision, *rest)


def export_child(place: Path, engine: str, precision: str, data: Path, drop: str) -> None:
    """Export a model by the product's own way; a random net, on which no Dice can be promised, is only quantised."""
    from ushape.core.events import Message
    from ushape.workflows.export import ExportRequest, export

    path = place / f"model-{precision}{'.onnx' if engine == 'onnx' else '.xml'}"
    if precision == "int8" and drop == "none":
        quantise_random(place, engine, path)
        return
    extra = {"calibrate": data, "max_drop": float(drop)} if precision == "int8" else {}
    request = ExportRequest(place / "model.safetensors", engine, precision, path, **extra)
    export(request, lambda event: print(event.text) if isinstance(event, Message) else None)


def quantise_random(place: Path, engine: str, path: Path) -> None:
    import numpy as np

    from ushape.core.exported import ExportFacts, export_text
    from ushape.deploy.quantize import Promise, quantise_onnx, quantise_openvino
    from ushape.workflows.formats import FORMATS, make_dynamic
    from ushape.workflows.stored import read_model

    stored, form, rng = read_model(place / "model.safetensors"), FORMATS[engine], np.random.default_rng(0)
    graph, _ = make_dynamic(form, stored, print)
    shape = (1, stored.recipe.data.channels, *stored.recipe.predict.window.size)
    windows = [rng.standard_normal(shape, dtype=np.float32) for _ in range(4)]
    quantise = quantise_onnx if engine == "onnx" else quantise_openvino
    done = quantise(graph, windows, lambda _: 1.0, Promise(1.0, 0.0))
    form.write(done.graph, export_text(stored.header, ExportFacts(engine, "int8")), path, "int8")


def measure_child(place: Path, engine: str, precision: str, *rest: str) -> None:
    """Time one row; torch is loaded only where it runs, or at the end to score."""
    from ushape.core.model_file import read_header

    sizes, seconds, many, data = json.loads(rest[0]), float(rest[1]), int(rest[2]), rest[3]
    recipe = tomllib.loads(read_header(place / "model.safetensors").recipe)
    sizes, channels = sizes or [recipe["predict"]["window"]["size"]], recipe["data"]["channels"]
    opened, bytes_ = open_torch(place, precision) if engine == "torch" else open_exported(place, engine, precision)
    found: dict = {"bytes": bytes_, "one": {}, "many": {}, "memory": {}}
    for size in sizes:
        found["one"]["x".join(map(str, size))] = passes(opened, (1, channels, *size), seconds)
        found["memory"]["x".join(map(str, size))] = peak_memory()
    for size in sizes if many else []:
        found["many"]["x".join(map(str, size))] = passes(
            opened, (many, channels, *size), 0, warm=precision == "compiled"
        )
    if data != "none":
        found["dice"] = score(place, opened, Path(data))
    print(json.dumps(found))


def passes(engine, shape: tuple[int, ...], seconds: float, *, warm: bool = True) -> list[float]:
    """Return the seconds of passes over noise until their time is up, one at least."""
    import numpy as np

    windows = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    if warm:
        engine(windows)
    times: list[float] = []
    while not times or sum(times) < seconds:
        started = time.perf_counter()
        engine(windows)
        times.append(time.perf_counter() - started)
    return times


def peak_memory() -> int:
    """Return the most bytes this process held; Linux counts from the start of the program, not of its parent."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


class Eager:
    """Run a net as torch does by itself; the engine of `predict` puts the channels innermost."""

    def __init__(self, engine) -> None:
        self.net, self.classes, self.margin, self.window = engine.net, engine.classes, engine.margin, engine.window

    def __call__(self, windows):
        """Return the probabilities of a batch of windows."""
        import torch

        from ushape.predict.torch_engine import torch_probabilities

        return torch_probabilities(self.net, torch.from_numpy(windows), "float32", self.classes).numpy()


def open_torch(place: Path, precision: str):
    from ushape.train.probe import use_threads
    from ushape.workflows.stored import read_model

    use_threads(0)
    engine = read_model(place / "model.safetensors").reference()
    if precision == "compiled":
        engine.net.compile(dynamic=False)
    elif precision == "eager":
        engine = Eager(engine)
    else:
        engine.precision = precision
    return engine, (place / "model.safetensors").stat().st_size


def open_exported(place: Path, engine: str, precision: str):
    from ushape.workflows.runtime import run_model

    path = place / f"model-{precision}{'.onnx' if engine == 'onnx' else '.xml'}"
    files = [path, *([path.with_suffix(".bin")] if path.suffix == ".xml" else [])]
    return run_model(path, engine, "cpu").engine, sum(file.stat().st_size for file in files)


def score(place: Path, engine, data: Path) -> float:
    from ushape.core.events import ignore_events
    from ushape.workflows.calibration import load_trials
    from ushape.workflows.stored import read_model

    return load_trials(data, read_model(place / "model.safetensors").recipe, ignore_events).score(engine)


if __name__ == "__main__":
    main(*sys.argv[1:])
