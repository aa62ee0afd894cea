"""What a network costs, without building it: the layer table, its totals, and the memory of a training step.

The network runs on torch's meta device, where tensors have shapes and no values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from itertools import repeat
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from ushape.nets.blocks import Stage
from ushape.nets.config import UNetConfig
from ushape.nets.describe import ROWS, SILENT, describe
from ushape.nets.field import RULES, Field, Rule, see_itself, unchanged
from ushape.nets.join import ShuffleUp
from ushape.nets.shapes import ShapesOnly
from ushape.nets.unet import UNet

FLOPS: Mapping[Any, Callable[..., int]] = flop_registry


@dataclass(frozen=True)
class Row:
    """One line of the layer table.

    Attributes:
        stage: name of the module in the network.
        macs: multiplications with accumulation, for one image.
        receptive_field: how many voxels of the image one output voxel sees, per axis; inf where it sees all of them.
            Norms over the image are not counted as seeing.
    """

    stage: str
    operation: str
    shape: tuple[int, ...]
    parameters: int
    trainable: int
    macs: int
    receptive_field: tuple[float, ...]


@dataclass(frozen=True)
class Cost:
    """The layer table of a network and what follows from it.

    Attributes:
        space: the size that was computed: that of the image, or a larger one to which the net pads it.
        activation_bytes: what a training step keeps for its backward pass, per image, in float32.
    """

    rows: tuple[Row, ...]
    activation_bytes: int
    space: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """All weights."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """The weights that training changes."""
        return sum(row.trainable for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiplications with accumulation, for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def receptive_field(self) -> tuple[float, ...]:
        """How many voxels of the image one voxel of the logits can see, per axis."""
        return tuple(max(sizes) for sizes in zip(*(row.receptive_field for row in self.rows), strict=True))


def measure_cost(config: UNetConfig, space: Sequence[int]) -> Cost:
    """Work out the cost of a network for one image of a size.

    Raises:
        ShapeError: the network does not take this size.

    >>> cost = measure_cost(UNetConfig(widths=(4, 8)), (32, 32))
    >>> cost.rows[0].operation, cost.rows[0].macs
    ('conv 3x3, instance norm, leaky ReLU', 36864)
    """
    with torch.device("meta"), ShapesOnly():  # type: ignore[no-untyped-call]
        net = UNet(config)
        image = torch.zeros(1, config.in_channels, *space)
        padded = tuple(net.padded_space(space))
        return Cost(trace_rows(net, image), count_activations(net, image), padded)


def trace_rows(net: UNet, image: Tensor) -> tuple[Row, ...]:
    """Run the network and note what happens in each of its rows."""
    tracer = Tracer(net, image)
    with torch.no_grad(), tracer.follow_modules(), tracer:
        net(image)
    owned = {name: list(own_parameters(net, name, tracer.rows)) for name in tracer.rows}
    return tuple(
        Row(
            stage=name,
            operation=describe(module),
            shape=tracer.shapes[name],
            parameters=sum(each.numel() for each in owned[name]),
            trainable=sum(each.numel() for each in owned[name] if each.requires_grad),
            macs=tracer.macs[name],
            receptive_field=tracer.fields[name].size,
        )
        for name, module in tracer.rows.items()
        if name in tracer.shapes and (owned[name] or not isinstance(module, SILENT))
    )


def own_parameters(net: nn.Module, name: str, rows: Mapping[str, nn.Module]) -> Iterator[Tensor]:
    """Yield the parameters of a row that do not belong to a row within it."""
    for path, parameter in net.get_submodule(name).named_parameters(prefix=name):
        owners = [row for row in rows if path.startswith(f"{row}.")]
        if max(owners, key=len) == name:
            yield parameter


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watch every operation of a forward pass: which row it belongs to, its MACs, and what its result has seen.

    Attributes:
        rows: the modules that are lines of the table, in the order they run.
    """

    def __init__(self, net: nn.Module, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.net = net
        weak_dictionary: Callable[[], MutableMapping[Tensor, Field]] = WeakTensorKeyDictionary
        self.seen = weak_dictionary()
        self.seen[image] = see_itself(image.ndim - 2)
        self.rows: dict[str, nn.Module] = {}
        self.inside: list[str] = []
        self.macs: Counter[str] = Counter()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.fields: dict[str, Field] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled: torch need not import its compiler, for a second, to leave this class out."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and note it."""
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in FLOPS:
            row = self.inside[-1] if self.inside else ""
            self.macs[row] += FLOPS[func.overloadpacket](*args, out_val=out) // 2
        results = out if isinstance(out, (list, tuple)) else [out]
        for result in results:
            if isinstance(result, Tensor):
                self._look(func.overloadpacket, args, result)
        return out

    def _look(self, operation: Any, args: Any, result: Tensor) -> None:
        inputs = args[0] if args and isinstance(args[0], (list, tuple)) else args
        fields = [self.seen[each] for each in inputs if isinstance(each, Tensor) and each in self.seen]
        if fields:
            rule: Rule = RULES.get(operation, unchanged)
            self.seen[result] = rule(reduce(Field.merge, fields), args, result)

    @contextmanager
    def follow_modules(self) -> Iterator[None]:
        """Know, while the network runs, in which row it is."""
        hooks = []
        for name, module in find_rows(self.net).items():
            hooks.append(module.register_forward_pre_hook(partial(self._enter, name)))
            hooks.append(module.register_forward_hook(partial(self._leave, name)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _enter(self, name: str, *_: object) -> None:
        self.inside.append(name)

    def _leave(self, name: str, module: nn.Module, _: object, output: Tensor | list[Tensor]) -> None:
        self.inside.pop()
        result = output[-1] if isinstance(output, list) else output
        if isinstance(module, ShuffleUp):
            self.seen[result] = self.seen[result].grow(map(float, module.factors), repeat(1))
        self.rows[name], self.shapes[name], self.fields[name] = module, tuple(result.shape), self.seen[result]


def find_rows(net: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that are lines of the table: known ones, and layers that stand in none of them."""
    rows = {name: module for name, module in net.named_modules() if isinstance(module, ROWS)}
    for name, module in net.named_modules():
        parents = {name[:end] for end, letter in enumerate(name) if letter == "."}
        if not list(module.children()) and not parents & rows.keys():
            rows[name] = module
    return rows


def count_activations(net: UNet, image: Tensor) -> int:
    """Return the bytes that a training step keeps from the forward to the backward pass.

    What checkpointing computes again is left out, and the inputs from which it does so are counted.
    """
    identify: Callable[[object], Hashable] = StorageWeakRef
    own = {identify(each.untyped_storage()) for each in (*net.parameters(), *net.buffers())}
    kept: dict[Hashable, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        key = identify(tensor.untyped_storage())
        if key not in own:
            kept[key] = tensor.untyped_storage().nbytes()
        return tensor

    def keep_input(_: nn.Module, inputs: tuple[Tensor]) -> None:
        keep(inputs[0])

    stages = [each for each in net.modules() if isinstance(each, Stage) and each.recompute]
    hooks = [stage.register_forward_pre_hook(keep_input) for stage in stages]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = net(image)  # kept until all is counted: the storages must not be reused
    for hook in hooks:
        hook.remove()
    del output
    return sum(kept.values())
