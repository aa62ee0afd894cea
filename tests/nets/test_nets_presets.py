"""The named networks have the sizes of their papers."""

import tomllib

import pytest
import tomlkit
import torch

from ushape.core.errors import ConfigError
from ushape.nets.blocks import BlockConfig
from ushape.nets.decoder import Decode
from ushape.nets.presets import PRESETS, build, nnunet, preset
from ushape.nets.unet import UNet, UNetConfig

ALL = [(name, ndim) for name, entry in PRESETS.items() for ndim in entry.dims]
DEMANDED = {
    *("unet-2015", "unet-bn", "unet-bn-bilinear", "attention-2d", "attention-3d", "unet-3d", "vgg16", "deep"),
    *("nnunet-2d", "nnunet-3d", "resenc-m", "se", "cbam", "transunet", "fusion", "tiny"),
}


def count(config: UNetConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in UNet(config).parameters())


@pytest.mark.parametrize(
    ("name", "in_channels", "parameters"),
    [
        ("unet-2015", 1, 31_030_658),
        ("unet-bn", 3, 31_037_698),
        ("unet-bn-bilinear", 3, 17_263_042),
        ("nnunet-2d", 1, 46_324_558),
        ("nnunet-3d", 1, 31_195_594),
        ("resenc-m", 1, 102_349_770),
    ],
)
def test_a_published_network_has_its_number_of_parameters(name: str, in_channels: int, parameters: int) -> None:
    assert count(preset(name, in_channels=in_channels, classes=2)) == parameters


@pytest.mark.parametrize(("ndim", "parameters"), [(3, 5_603_177), (2, 1_928_489)])
def test_a_planned_topology_of_four_stages_has_its_number_of_parameters(ndim: int, parameters: int) -> None:
    assert count(nnunet(ndim, (32, 64, 128, 256)).model_copy(update={"classes": 3})) == parameters


def test_the_original_networks_halves_have_the_parameters_that_arithmetic_gives() -> None:
    with torch.device("meta"):
        net = UNet(preset("unet-2015"))
    encoder = sum(parameter.numel() for parameter in net.encoder.parameters())
    assert round(encoder / 1e6, 2) == 18.84
    assert round((31_030_658 - encoder) / 1e6, 2) == 12.19


def test_the_first_3d_network_has_the_parameters_of_its_paper_without_norms_and_up_biases() -> None:
    block = BlockConfig(norm="none", middle="half_out")
    config = preset("unet-3d", in_channels=3, classes=3).model_copy(update={"block": block})
    with torch.device("meta"):
        net = UNet(config)
    biases = sum(step.up[0].bias.numel() for step in net.decoder if isinstance(step, Decode))
    assert sum(parameter.numel() for parameter in net.parameters()) - biases == 19_069_955


@pytest.mark.parametrize(("name", "ndim"), ALL)
def test_a_preset_survives_toml_and_takes_channels_and_classes(name: str, ndim: int) -> None:
    config = preset(name, in_channels=4, classes=5, ndim=ndim)
    assert (config.in_channels, config.classes, config.ndim) == (4, 5, ndim)
    assert UNetConfig.model_validate(tomllib.loads(tomlkit.dumps(config.model_dump(mode="json")))) == config


@pytest.mark.parametrize(("name", "ndim"), ALL)
def test_a_preset_builds_and_gives_logits(name: str, ndim: int) -> None:
    with torch.device("meta"):
        net = build(preset(name, classes=3, ndim=ndim)).eval()
        image = torch.zeros(2, 1, *([188] if name == "unet-2015" else [64]) * ndim)
        logits = net(image)
    assert logits.shape[:2] == (2, 3)
    assert name == "unet-2015" or logits.shape[2:] == image.shape[2:]


def test_every_preset_asked_for_exists() -> None:
    assert PRESETS.keys() >= DEMANDED


def test_a_preset_is_known_for_a_dimension_and_refused_in_others() -> None:
    assert preset("attention-3d").ndim == 3
    assert preset("unet-bn").ndim == 2
    with pytest.raises(ConfigError, match="preset attention-3d: expected ndim 3, got 2"):
        preset("attention-3d", ndim=2)
    with pytest.raises(ConfigError, match="preset timm:resnet18: expected ndim 2, got 3"):
        preset("timm:resnet18", ndim=3)


def test_a_preset_without_channels_or_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"preset tiny\.in_channels: .*got 0"):
        preset("tiny", in_channels=0)


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'transnet'; did you mean 'transunet'"):
        preset("transnet")


def test_a_timm_preset_is_a_config_without_timm() -> None:
    config = preset("timm:resnet18", in_channels=3)
    assert config.encoder == "timm:resnet18"
    assert len(config.widths) == 6
