"""Instance norm against torch's own, by every way that its speed may choose."""

import pytest
import torch
from torch.nn import functional as F

from ushape.nets.norm import InstanceNorm

LAYOUTS = {
    "contiguous": torch.contiguous_format,
    "channels last": torch.channels_last,
    "channels last, 3D": torch.channels_last_3d,
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_instance_norm_and_its_gradients_are_those_of_torch(layout: str, batch: int) -> None:
    torch.manual_seed(0)
    norm = InstanceNorm(4).double()
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    size = (5, 6, 7) if "3D" in layout else (5, 7)
    image = (3 + torch.randn(batch, 4, *size, dtype=torch.float64)).contiguous(memory_format=LAYOUTS[layout])
    image.requires_grad_()
    leaves = (image, norm.weight, norm.bias)
    weigh = torch.randn(image.shape, dtype=torch.float64)
    got, want = norm(image), F.instance_norm(image, weight=norm.weight, bias=norm.bias)
    assert torch.allclose(got, want, atol=1e-12)
    assert got.is_contiguous(memory_format=LAYOUTS[layout])
    for one, other in zip(*(torch.autograd.grad((out * weigh).sum(), leaves) for out in (got, want)), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_statistics_of_bf16_are_summed_in_float32(layout: str) -> None:
    image = (100 + torch.randn(2, 8, 64, 65)).bfloat16().contiguous(memory_format=LAYOUTS[layout])
    got = InstanceNorm(8)(image)
    assert got.dtype == torch.bfloat16
    want = F.instance_norm(image.double())
    assert (got - want).abs().max() < 0.02 * want.abs().max()


def test_a_view_that_is_no_layout_is_normed_too() -> None:
    image = torch.randn(2, 4, 9, 9)[:, :, 1:8, ::2]
    assert torch.allclose(InstanceNorm(4)(image), F.instance_norm(image), atol=1e-5)
