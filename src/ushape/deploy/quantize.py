"""Graphs in 8-bit integers, calibrated on real windows; layers that cost too much stay in floating point.

`quantize_dynamic` is not used: it leaves convolutions as they are, so a U-Net neither shrinks nor runs faster.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from ushape.core.errors import ExportError, require
from ushape.predict.runtimes import import_onnxruntime, import_openvino

LAYERS = ("Conv", "ConvTranspose")
"""What is quantised; what stands between them follows where the runtime can."""
_OPENVINO_LAYERS = ("Convolution", "ConvolutionBackpropData", "GroupConvolution")
_RANKING_WINDOWS = 2


@dataclass(frozen=True)
class Quantised:
    """A quantised graph.

    Attributes:
        layers: how many layers there are that could be quantised: all but the first.
        kept: those of them that stayed in floating point.
    """

    graph: Any
    layers: int
    kept: tuple[str, ...]


@dataclass(frozen=True)
class Promise:
    """What quantisation may cost.

    Attributes:
        before: the Dice of the graph as it is.
        lowest: the Dice that must be kept.
    """

    before: float
    lowest: float


Dice = Callable[[Any], float]
"""The mean Dice of an ONNX graph, or of a compiled model of OpenVINO."""


def quantise_onnx(graph: Any, windows: Sequence[ndarray], dice: Dice, promise: Promise) -> Quantised:
    """Quantise the convolutions of an ONNX graph per channel, with QDQ nodes; keep the worst as they are if need be.

    The first layer is kept in any case: images have a wider range than what norms make, and it costs next to nothing.
    Then the layers whose outputs are disturbed most are kept: none at first, then 1, 2, 4, ... of them, at most half.

    Raises:
        ExportError: half of the layers kept are not enough.
    """
    first, *others = [node.name for node in graph.graph.node if node.op_type in LAYERS]
    quantised = quantise_static(graph, windows, [first])
    if dice(quantised) >= promise.lowest:
        return Quantised(quantised, len(others), ())
    ranked = [name for name in rank_layers(graph, quantised, windows[:_RANKING_WINDOWS]) if name != first]
    count, found = 1, 0.0
    while count <= len(others) // 2:
        quantised = quantise_static(graph, windows, [first, *ranked[:count]])
        found = dice(quantised)
        if found >= promise.lowest:
            return Quantised(quantised, len(others), tuple(ranked[:count]))
        count *= 2
    raise ExportError(
        f"int8: with {count // 2} of {len(others)} layers left in float32 the Dice is {found:.4f}, below the promised "
        f"{promise.lowest:.4f}; nothing was written; give a larger --max-drop, more cases, or --to openvino"
    )


def quantise_static(graph: Any, windows: Sequence[ndarray], kept: Sequence[str]) -> Any:
    """Quantise the convolutions of an ONNX graph but for some."""
    import_onnxruntime("quantising")
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the runtime's own way to hand data over
        """Hand out the windows one by one."""

        def __init__(self) -> None:
            self.rest = iter(windows)

        def get_next(self) -> dict[str, ndarray] | None:
            """Return the next, or None."""
            window = next(self.rest, None)
            return None if window is None else {graph.graph.input[0].name: window}

    own = onnx.ModelProto()
    own.CopyFrom(graph)  # its weights are moved into a file
    with tempfile.TemporaryDirectory() as folder, quiet_quantiser():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            own,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(LAYERS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(kept),
            extra_options={"CalibMovingAverage": True},  # one odd image must not widen the range of all
        )
        return onnx.load(str(path))


def rank_layers(graph: Any, quantised: Any, windows: Sequence[ndarray]) -> list[str]:
    """Order the layers by how much their outputs are disturbed by quantisation, relative to their size: worst first."""
    made = {name: node.name for node in graph.graph.node if node.op_type in LAYERS for name in node.output}
    plain, disturbed = (_run_with_outputs(each, list(made), windows) for each in (graph, quantised))
    noise = {
        layer: float(np.square(disturbed[name] - plain[name]).mean() / max(np.square(plain[name]).mean(), 1e-12))
        for name, layer in made.items()
    }
    return sorted(noise, key=lambda layer: -noise[layer])


def _run_with_outputs(graph: Any, names: Sequence[str], windows: Sequence[ndarray]) -> dict[str, ndarray]:
    """Run a graph and return values within it, those of all windows in one line."""
    import onnx
    import onnxruntime

    model = onnx.ModelProto()
    model.CopyFrom(graph)
    present = {name for node in model.graph.node for name in node.output}
    wanted = {name: name if name in present else f"{name}_QuantizeLinear_Input" for name in names}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted.values())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = model.graph.input[0].name
    runs = [session.run(list(wanted.values()), {feed: window}) for window in windows]
    return {name: np.concatenate([run[i].ravel() for run in runs]) for i, name in enumerate(wanted)}


def quantise_openvino(model: Any, windows: Sequence[ndarray], dice: Dice, promise: Promise) -> Quantised:
    """Quantise a model of OpenVINO by nncf, with its control of accuracy: layers that cost Dice are put back.

    Args:
        dice: of compiled models.
    Raises:
        MissingExtra: nncf is not installed.
        ExportError: the Dice cannot be kept.
    """
    import_openvino("quantising")  # without its telemetry, and so without nncf's
    nncf = require("nncf", "deploy", "quantising for OpenVINO")
    nncf.set_log_level(logging.ERROR)
    first, *others = [node for node in model.get_ordered_ops() if node.get_type_name() in _OPENVINO_LAYERS]
    with quiet_quantiser():
        done = nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(list(windows)),
            nncf.Dataset([0]),  # `dice` has its cases
            validation_fn=lambda compiled, _: dice(compiled),
            max_drop=max(promise.before - promise.lowest, 0.0),
            subset_size=len(windows),
            ignored_scope=nncf.IgnoredScope(names=[first.get_friendly_name()]),
        )
    quantise_behind_pads(done)
    names = {node.get_friendly_name() for node in others}
    layers = [node for node in done.get_ordered_ops() if node.get_friendly_name() in names]
    kept = tuple(node.get_friendly_name() for node in layers if not _is_quantised(node))
    if len(kept) > len(layers) // 2:
        raise ExportError(
            f"int8: {len(kept)} of {len(layers)} layers had to stay in floating point for a Dice of "
            f"{promise.lowest:.4f}; nothing was written; give a larger --max-drop, or more cases to calibrate with"
        )
    return Quantised(done, len(others), kept)


def quantise_behind_pads(model: Any) -> None:
    """Move what quantises from before a padding with zeros to behind it; not a value changes, for zero stays zero.

    OpenVINO pads in floating point only. What follows, the concatenation with a skip and the large convolution that
    reads it, then stays in floating point too, unless the numbers are quantised again.
    """
    openvino = import_openvino("quantising")
    for pad in [node for node in model.get_ops() if node.get_type_name() == "Pad"]:
        quantiser, readers = pad.input_value(0).get_node(), pad.output(0).get_target_inputs()
        if quantiser.get_type_name() != "FakeQuantize":
            continue
        ranges, levels = [quantiser.input_value(index) for index in range(1, 5)], quantiser.get_levels()
        moved = openvino.opset13.fake_quantize(pad.output(0), *ranges, levels)
        for reader in readers:
            reader.replace_source_output(moved.output(0))
        pad.input(0).replace_source_output(quantiser.input_value(0))
    model.validate_nodes_and_infer_types()


def _is_quantised(layer: Any) -> bool:
    """Say whether the weights of a layer are integers: their constant stands behind what makes floats of them."""
    node = layer.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return bool(node.get_element_type().is_integral())


@contextlib.contextmanager
def quiet_quantiser() -> Iterator[None]:
    """Silence progress bars and advice: what matters is told by the workflow."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
