"""Muon, against the iteration as it was published, and against torch's Adam for what is no matrix."""

import pytest
import torch
from torch import Tensor, nn, optim

from ushape.train.muon import ADAM_SIZE, NEWTON_SCHULZ, ROUNDS, Muon, orthogonal


def published(matrix: Tensor) -> Tensor:
    """The iteration on the whole matrix, as Jordan et al. 2024 write it."""
    a, b, c = NEWTON_SCHULZ
    x = matrix / matrix.norm()
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


@pytest.mark.parametrize("shape", [(8, 8), (8, 72), (72, 8)])
def test_rounds_on_the_gram_matrix_are_those_on_the_whole(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonal(matrix), published(matrix))


def test_float32_is_enough_for_a_matrix_of_few_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(64, 3, generator=generator) @ torch.randn(3, 500, generator=generator)
    torch.testing.assert_close(orthogonal(matrix), orthogonal(matrix.double()).float(), atol=1e-4, rtol=0)


def test_a_gradient_of_zeros_changes_nothing() -> None:
    assert not orthogonal(torch.zeros(8, 9)).any()


def test_an_update_of_a_convolution_is_orthogonal_and_as_large_as_adams() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 32, 3, bias=False)
    before = conv.weight.detach().clone()
    conv(torch.randn(2, 16, 9, 9)).square().mean().backward()
    Muon([{"params": [conv.weight]}], lr=0.1).step()
    change = (before - conv.weight).detach().flatten(1) / 0.1
    size = ADAM_SIZE * 144**0.5
    values = torch.linalg.svdvals(change) / size
    assert 0.3 < values.min() < values.max() < 1.3
    assert change.square().mean().sqrt() == pytest.approx(ADAM_SIZE, rel=0.3)


def test_what_is_no_matrix_is_changed_as_by_adamw() -> None:
    ours, theirs = (nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(16, 2, 1)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    settings = {"lr": 0.01, "weight_decay": 0.1}
    steps = Muon([{"params": list(ours.parameters()), **settings}], 0.01), optim.AdamW(theirs.parameters(), **settings)
    for step in range(4):
        image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        for net, optimizer in zip((ours, theirs), steps, strict=True):
            optimizer.zero_grad()
            net(image).square().mean().backward()
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_it_goes_on_from_its_state_bit_by_bit() -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(8, 8, 3, 3) for _ in range(4)]

    def follow(weight: nn.Parameter, optimizer: Muon, some: list[Tensor]) -> None:
        for gradient in some:
            weight.grad = gradient
            optimizer.step()

    whole, halves = nn.Parameter(torch.ones(8, 8, 3, 3)), nn.Parameter(torch.ones(8, 8, 3, 3))
    follow(whole, Muon([whole], 0.1), gradients)
    first, second = Muon([halves], 0.1), Muon([halves], 0.1)
    follow(halves, first, gradients[:2])
    second.load_state_dict(first.state_dict())
    follow(halves, second, gradients[2:])
    assert torch.equal(whole, halves)
