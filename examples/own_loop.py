"""A preset, a loss with a term of one's own, and a plain torch loop: python own_loop.py [STEPS]."""

import sys

import numpy as np
import torch

import ushape
from ushape.io.synthetic import make_nuclei
from ushape.losses.compose import Loss, LossConfig


def make_batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [make_nuclei(np.random.default_rng((step, i)), (64, 64)) for i in range(4)]
    images = torch.tensor(np.stack([image for image, _ in pairs]) / 255, dtype=torch.float32)
    return images.unsqueeze(1), torch.tensor(np.stack([instances > 0 for _, instances in pairs])).long()


def roughness(logits: torch.Tensor) -> torch.Tensor:
    return logits.softmax(dim=1)[:, 1].diff(dim=1).abs().mean()


def main(steps: str = "60") -> None:
    torch.manual_seed(0)
    net, loss = ushape.UNet(ushape.preset("tiny", in_channels=1, classes=2)), Loss(LossConfig())
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for step in range(int(steps)):
        images, labels = make_batch(step)
        logits = net(images)
        value = loss(logits, labels) + 0.1 * roughness(logits)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        print(f"step {step} loss {value.item():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
