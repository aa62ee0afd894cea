"""Distillation: a small net learns from the label, from a large net's logits, and from where that net looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.losses.compose import Loss
from ushape.nets.grid import crop_to, resize_to
from ushape.nets.unet import UNet

TEMPERATURE = 2.0
"""By which logits are divided, so that what is unlikely is learnt too."""
LOGITS, MAPS = 1.0, 0.5
"""What the teacher's logits and maps weigh, beside 1 for the label."""


class Lesson:
    """What a student shows while it is trained, and what its teachers make of it.

    Copies share it: teachers are large, and never change.
    """

    def __init__(self, teachers: Sequence[nn.Module]) -> None:
        self.teachers = [teacher.eval().requires_grad_(False) for teacher in teachers]
        self.image: Tensor | None = None
        self.levels: dict[str, Tensor] = {}

    def __deepcopy__(self, _: Any) -> Lesson:
        """Return itself."""
        return self

    @contextmanager
    def watch(self, net: Any) -> Iterator[Mapping[str, Tensor]]:
        """Keep the image and the decoder's features of a net while it runs; yield the logits of its gates."""
        self.image = None

        def keep_image(_: nn.Module, inputs: tuple[Tensor]) -> None:
            self.image = inputs[0]

        hook = net.register_forward_pre_hook(keep_image)
        try:
            with UNet.watch_gates(net) as gates, watch_levels(net) as self.levels:
                yield gates
        finally:
            hook.remove()

    def teach(self) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Return the logits and the decoder's features of every teacher, for the image that the student has seen."""
        if self.image is None:
            raise RuntimeError("the student has not run under `watch`")
        logits, levels = [], []
        for teacher in self.teachers:
            teacher.to(self.image.device)
            with torch.no_grad(), watch_levels(teacher) as seen:
                logits.append(teacher(self.image).float())
            levels.append(seen)
        return logits, levels


class DistillationLoss(nn.Module):
    """The loss on the label, plus what the teachers' logits and attention maps say.

    Source: logits as in Hinton et al. 2015, arXiv:1503.02531; maps as in Zagoruyko and Komodakis 2017,
    arXiv:1612.03928, eq. 2, on the decoder's levels: they need no layers to match the widths.
    """

    def __init__(self, loss: Loss, lesson: Lesson) -> None:
        super().__init__()
        self.loss, self.lesson = loss, lesson

    def forward(
        self, logits: Tensor | Sequence[Tensor], label: Tensor, gate_logits: Sequence[Tensor] = ()
    ) -> Float[Tensor, ""]:
        """Compare logits with a label and with the teachers."""
        own = logits if isinstance(logits, Tensor) else logits[0]
        taught, levels = self.lesson.teach()
        value: Tensor = self.loss(logits, label, gate_logits)
        value = value + LOGITS * compare_logits(own, taught, softmax=self.loss.head == "softmax")
        maps = [compare_maps(self.lesson.levels, theirs) for theirs in levels]
        return value + MAPS * torch.stack(maps).mean()


@contextmanager
def watch_levels(net: Any) -> Iterator[dict[str, Tensor]]:
    """Collect the output of every decoder level of a net while it runs, the finest named "0"."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            seen[name] = output

        return hook

    hooks = [level.register_forward_hook(keep(name)) for name, level in net.decoder.named_children()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def compare_logits(own: Tensor, taught: Sequence[Tensor], *, softmax: bool) -> Float[Tensor, ""]:
    """Return the divergence of softened probabilities from the mean of the teachers', per voxel.

    Where unpadded convolutions make one of them smaller, the centre is compared.

    >>> logits = torch.tensor([[[2.0], [-1.0]]])
    >>> abs(compare_logits(logits, [logits], softmax=True).item()) < 1e-6
    True
    """
    space = [min(sizes) for sizes in zip(own.shape[2:], *(each.shape[2:] for each in taught), strict=True)]
    own = crop_to(own.float(), space, centred=True) / TEMPERATURE
    theirs = [crop_to(each, space, centred=True) / TEMPERATURE for each in taught]
    if softmax:
        mean = torch.stack([each.softmax(dim=1) for each in theirs]).mean(dim=0)
        divergence = F.kl_div(own.log_softmax(dim=1), mean, reduction="none").sum(dim=1)
    else:
        mean = torch.stack([each.sigmoid() for each in theirs]).mean(dim=0)
        plain = F.binary_cross_entropy_with_logits(own, mean, reduction="none")
        divergence = plain - F.binary_cross_entropy(mean, mean, reduction="none")
    return divergence.mean() * TEMPERATURE**2


def compare_maps(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """Return how far apart the nets look, on the levels that both decoders have."""
    parts = []
    for name in own.keys() & theirs.keys():
        mine, target = attention_map(own[name]), attention_map(theirs[name])
        mine = resize_to(mine, target.shape[2:])
        parts.append((F.normalize(mine.flatten(1)) - F.normalize(target.flatten(1))).square().sum(dim=1).mean())
    return torch.stack(parts).mean()


def attention_map(features: Float[Tensor, "b c *space"]) -> Float[Tensor, "b 1 *space"]:
    """Return the mean square of the channels: where a net is active."""
    return features.float().square().mean(dim=1, keepdim=True)
