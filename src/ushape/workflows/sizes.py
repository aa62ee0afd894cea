"""What a model costs and how well it does, in one line: before and after it was made smaller."""

from __future__ import annotations

from dataclasses import dataclass

from ushape.core.events import count
from ushape.core.exported import Cost
from ushape.nets.cost import measure_cost
from ushape.nets.memory import Numerics, prediction_peak
from ushape.nets.unet import UNet
from ushape.predict.timing import usual_milliseconds
from ushape.workflows.calibration import Trials
from ushape.workflows.stored import StoredModel


@dataclass(frozen=True)
class Size:
    """What a model costs, for one window in float32 by torch.

    Attributes:
        macs: multiplications with accumulation.
        bytes: of the file.
        memory: bytes of weights and activations at the peak, computed.
        milliseconds: the median of some passes.
        dice: mean foreground Dice on held-out cases.
    """

    name: str
    parameters: int
    macs: int
    bytes: int
    memory: int
    milliseconds: float
    dice: float


def measure_size(name: str, stored: StoredModel, trials: Trials) -> Size:
    """Measure a model; of an ensemble, its first network."""
    net, window = stored.recipe.net, stored.recipe.predict.window.size
    cost, engine = measure_cost(net, window), stored.reference()
    return Size(
        name=name,
        parameters=cost.parameters,
        macs=cost.macs,
        bytes=stored.file.stat().st_size,
        memory=prediction_peak(net, (1, net.in_channels, *window), UNet.forward, Numerics(channels_last=True)).tensors,
        milliseconds=usual_milliseconds(engine, (1, net.in_channels, *window)),
        dice=trials.score(engine),
    )


def tell_size(size: Size, first: Size, cases: int) -> str:
    """Write one line of the table."""
    dice = f"Dice {size.dice:.4f} ({(size.dice - first.dice) * 100:+.2f} points, {count(cases, 'case')})"
    return (
        f"{size.name:7} {size.parameters / 1e6:8.3f} M parameters {size.macs / 1e9:8.2f} G MACs "
        f"{size.bytes / 1e6:8.2f} MB file {size.memory / 1e6:8.1f} MB memory {size.milliseconds:8.1f} ms  {dice}"
    )


def tell_cost(cost: Cost, first: Cost, cases: int) -> str:
    """Write one line of the table of an export."""
    against = f"{cost.bytes / first.bytes:.2f} x, {first.milliseconds / cost.milliseconds:.1f} x as fast"
    dice = f"Dice {cost.dice:.4f} ({(cost.dice - first.dice) * 100:+.2f} points, {count(cases, 'case')})"
    return f"{cost.name:14} {cost.bytes / 1e6:8.2f} MB {cost.milliseconds:8.2f} ms a window  {dice}  {against}"
