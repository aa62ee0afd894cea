"""Weights from elsewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from ushape.core.errors import ConfigError, ModelFileError
from ushape.nets.presets import build, preset
from ushape.nets.unet import UNet
from ushape.nets.weights import adapt_channels, from_popular_port, load_foreign, load_weights, read_foreign


def pair(first: int, middle: int, last: int) -> nn.Module:
    """Two 3x3 convolutions with norm, under the port's name."""
    layers: list[nn.Module] = []
    for a, b in ((first, middle), (middle, last)):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return named(double_conv=nn.Sequential(*layers))


def named(**modules: nn.Module) -> nn.Module:
    return nn.ModuleDict(modules)


class Restated(nn.Module):
    """The popular port said again from its description, with its names for the weights."""

    def __init__(self, base: int, *, bilinear: bool) -> None:
        super().__init__()
        last = 8 * base if bilinear else 16 * base
        widths = [base, 2 * base, 4 * base, 8 * base, last]
        self.inc = pair(3, base, base)
        for level in range(1, 5):
            block = pair(widths[level - 1], widths[level], widths[level])
            self.add_module(f"down{level}", named(maxpool_conv=nn.Sequential(nn.MaxPool2d(2), block)))
        below = last
        for step, skip in enumerate(reversed(widths[:4]), start=1):
            out = max(skip // 2, base) if bilinear else skip
            joined = 2 * skip
            middle = joined // 2 if bilinear else out
            up = nn.Identity() if bilinear else nn.ConvTranspose2d(below, skip, 2, stride=2)
            self.add_module(f"up{step}", named(up=up, conv=pair(joined, middle, out)))
            below = out
        self.outc = named(conv=nn.Conv2d(base, 2, 1))
        self.bilinear = bilinear

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.inc["double_conv"](x)]
        for level in range(1, 5):
            pool, block = self.get_submodule(f"down{level}")["maxpool_conv"]
            skips.append(block["double_conv"](pool(skips[-1])))
        x = skips.pop()
        for step in range(1, 5):
            parts, skip = self.get_submodule(f"up{step}"), skips.pop()
            if self.bilinear:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = parts["up"](x)
            rows, cols = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, [cols // 2, cols - cols // 2, rows // 2, rows - rows // 2])
            x = parts["conv"]["double_conv"](torch.cat([skip, x], dim=1))
        return self.outc["conv"](x)


@pytest.mark.parametrize("bilinear", [False, True])
def test_the_popular_ports_weights_load_and_give_its_output(bilinear: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = Restated(8, bilinear=bilinear).train()
    theirs(torch.randn(2, 3, 64, 64))
    torch.save({**theirs.state_dict(), "mask_values": [0, 1]}, tmp_path / "port.pth")
    config = preset("unet-bn-bilinear" if bilinear else "unet-bn", in_channels=3)
    widths, decoder = (tuple(w // 8 for w in widths) for widths in (config.widths, config.decoder.widths))
    config = config.model_copy(
        update={"widths": widths, "decoder": config.decoder.model_copy(update={"widths": decoder})}
    )
    ours = UNet(config).eval()
    load_foreign(ours, tmp_path / "port.pth")
    image = torch.randn(1, 3, 53, 70)
    with torch.no_grad():
        assert torch.allclose(ours(image), theirs.eval()(image), atol=1e-5)


@pytest.mark.parametrize(("name", "bilinear"), [("unet-bn", False), ("unet-bn-bilinear", True)])
def test_the_preset_and_the_port_have_the_same_weights_in_full_size(name: str, bilinear: bool) -> None:
    with torch.device("meta"):
        theirs, ours = Restated(64, bilinear=bilinear).state_dict(), UNet(preset(name, in_channels=3)).state_dict()
    mapped = from_popular_port(theirs)
    assert {key: value.shape for key, value in mapped.items()} == {key: value.shape for key, value in ours.items()}


@pytest.mark.slow
def test_the_lines_on_the_page_load_the_port_in_full_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Restated(64, bilinear=False).eval()
    torch.save(theirs.state_dict(), tmp_path / "port.pth")
    page = (Path(__file__).parents[2] / "docs" / "networks" / "unet-bn.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(lines, found)
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        assert torch.allclose(found["net"].eval()(image), theirs(image), atol=1e-5)


def test_our_own_weights_load_from_a_file_as_they_are(tmp_path: Path) -> None:
    config = preset("tiny")
    torch.save(UNet(config).state_dict(), tmp_path / "ours.pth")
    net = UNet(config)
    load_foreign(net, tmp_path / "ours.pth")
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in read_foreign(tmp_path / "ours.pth").items())


def test_a_foreign_key_is_named() -> None:
    with pytest.raises(ModelFileError, match=r"down1\.attention\.weight: not a key of the popular"):
        from_popular_port({"down1.attention.weight": torch.zeros(1)})


def test_weights_that_do_not_fit_are_refused_with_their_keys() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    weights = {
        "0.weight": torch.zeros(3, 2),
        "0.bias": torch.zeros(4),
        "1.weight": torch.zeros(2, 3),
        "2.bias": torch.zeros(1),
    }
    with pytest.raises(ModelFileError) as caught:
        load_weights(net, weights, "net.pth")
    assert str(caught.value) == (
        "net.pth: the weights do not fit this network; missing: 1.bias; unknown: 2.bias; "
        "of another shape: 0.bias (4,), expected (3,)"
    )


def test_wrappers_prefixes_and_what_is_no_tensor_are_dropped(tmp_path: Path) -> None:
    state = {"module._orig_mod.conv.weight": torch.ones(2), "mask_values": [0, 255]}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "wrapped.pth")
    assert list(read_foreign(tmp_path / "wrapped.pth")) == ["conv.weight"]


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    save_file({"conv.weight": torch.ones(2)}, tmp_path / "weights.safetensors")
    assert read_foreign(tmp_path / "weights.safetensors")["conv.weight"].tolist() == [1, 1]


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(ModelFileError, match="cannot be read as a file of weights"):
        read_foreign(tmp_path / "harmful.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"\x80\x02]q\x00."])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_damaged_or_other_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=name):
        read_foreign(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nowhere\.pth"):
        read_foreign(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_an_adapted_first_convolution_keeps_the_scale_of_a_grey_image(channels: int) -> None:
    weight, grey = torch.randn(4, 3, 3, 3).abs(), torch.ones(1, 1, 8, 8)
    expected = F.conv2d(grey.expand(1, 3, 8, 8), weight)
    got = F.conv2d(grey.expand(1, channels, 8, 8), adapt_channels(weight, channels))
    assert got.mean() == pytest.approx(expected.mean().item(), rel=0.35 if channels % 3 else 1e-5)
    assert channels not in (1, 3) or torch.allclose(got, expected, atol=1e-4)


VGG16_SHAPES = dict(
    zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256)] + [(512, 512)] * 5,
        strict=True,
    )
)  # positions and channels of the convolutions in torchvision's `vgg16().features`
VGG16_BN_CONVS = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)


def torchvision_vgg16(*, norm: bool = False) -> dict[str, Tensor]:
    """Make weights under torchvision's keys."""
    weights: dict[str, Tensor] = {"classifier.0.weight": torch.zeros(2, 2), "classifier.0.bias": torch.zeros(2)}
    for index, (position, (out, into)) in enumerate(VGG16_SHAPES.items()):
        at = VGG16_BN_CONVS[index] if norm else position
        weights |= {f"features.{at}.weight": torch.randn(out, into, 3, 3), f"features.{at}.bias": torch.randn(out)}
        if norm:
            names = ("weight", "bias", "running_mean", "running_var")
            weights |= {f"features.{at + 1}.{name}": torch.rand(out) for name in names}
            weights[f"features.{at + 1}.num_batches_tracked"] = torch.tensor(1)
    return weights


@pytest.mark.parametrize("norm", [False, True])
def test_the_vgg_encoder_has_torchvisions_names_and_shapes(norm: bool) -> None:
    config = preset("vgg16", in_channels=3).model_copy(update={"encoder": "vgg16_bn" if norm else "vgg16"})
    with torch.device("meta"):
        encoder = UNet(config).encoder
    expected = {key: value.shape for key, value in torchvision_vgg16(norm=norm).items() if key.startswith("features")}
    assert {key: value.shape for key, value in encoder.state_dict().items()} == expected
    assert [len(list(encoder.features)), encoder.widths] == [43 if norm else 30, (64, 128, 256, 512, 512)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_torchvisions_vgg_weights_are_loaded_and_not_overwritten(channels: int, tmp_path: Path) -> None:
    weights = torchvision_vgg16()
    torch.save(weights, tmp_path / "vgg16.pth")
    config = preset("vgg16", in_channels=channels).model_copy(
        update={"encoder_weights": str(tmp_path / "vgg16.pth"), "widths": (8, 8, 8, 8), "freeze_encoder": True}
    )
    net = build(config)
    first = net.encoder.features[0].weight
    assert torch.equal(first, adapt_channels(weights["features.0.weight"], channels))
    assert torch.equal(net.encoder.features[19].weight, weights["features.19.weight"])
    assert not first.requires_grad
    assert not torch.equal(build(config, pretrained=False).encoder.features[19].weight, weights["features.19.weight"])


def test_weights_of_another_vgg_are_refused_with_their_keys(tmp_path: Path) -> None:
    torch.save(torchvision_vgg16(norm=True), tmp_path / "vgg16_bn.pth")
    config = preset("vgg16", in_channels=3).model_copy(update={"encoder_weights": str(tmp_path / "vgg16_bn.pth")})
    with pytest.raises(ModelFileError, match=r"vgg16_bn\.pth: the weights do not fit .* missing: features"):
        build(config)


def test_vgg_weights_cannot_be_downloaded() -> None:
    config = preset("vgg16", in_channels=3).model_copy(update={"encoder_weights": "pretrained"})
    with pytest.raises(ConfigError, match="encoder_weights 'pretrained': expected a file"):
        build(config)
