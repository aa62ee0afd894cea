"""Encoders of timm, in the environment of their own that has it."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ushape.core.errors import ConfigError, MissingExtra, ModelFileError
from ushape.nets.cost import measure_cost
from ushape.nets.presets import build, preset
from ushape.nets.unet import UNet, UNetConfig
from ushape.nets.weights import adapt_channels

HAS_TIMM = importlib.util.find_spec("timm") is not None
if HAS_TIMM:  # the registry's torchvision is built for CUDA: beside a torch for CPUs its operators are missing
    operators = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
needs_timm = pytest.mark.skipif(not HAS_TIMM, reason="needs timm (make test-encoders)")
FAMILIES = {
    "mobilenetv3_small_050": (0, 16, 8, 16, 24, 288),
    "efficientnet_b0": (0, 16, 24, 40, 112, 320),
    "resnext50_32x4d": (0, 64, 256, 512, 1024, 2048),
    "swin_tiny_patch4_window7_224": (0, 0, 96, 192, 384, 768),
}


@pytest.mark.skipif(HAS_TIMM, reason="timm is installed")
def test_a_missing_timm_is_told_with_the_line_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r"encoder timm:resnet18 needs timm; pip install 'ushape\[encoders\]'"):
        UNet(preset("timm:resnet18"))


def narrow(name: str, **fields: Any) -> UNetConfig:
    """Make a net with a light decoder."""
    return preset(f"timm:{name}").model_copy(update={"widths": (4, 4, 8, 8, 8, 8), **fields})


@pytest.mark.encoders
@needs_timm
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_takes_any_channels_and_sizes_and_trains(name: str, channels: int) -> None:
    torch.manual_seed(0)
    net = UNet(narrow(name, in_channels=channels, skip="gate")).train()
    assert net.encoder.widths == FAMILIES[name]
    net(torch.randn(1, channels, 64, 96)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in net.decoder.parameters())
    assert any(parameter.grad.abs().max() > 0 for parameter in net.encoder.parameters() if parameter.grad is not None)
    with torch.no_grad():
        for size in ((1, 1), (33, 71)):
            assert net.eval()(torch.randn(1, channels, *size)).shape == (1, 2, *size)


@pytest.mark.encoders
@needs_timm
def test_fewer_widths_take_fewer_levels() -> None:
    net = UNet(narrow("resnet18", widths=(4, 8, 8, 16)))
    assert net.encoder.widths == (0, 64, 64, 128)
    assert not any("layer3" in name for name, _ in net.encoder.named_parameters())
    assert net(torch.randn(1, 1, 20, 30)).shape == (1, 2, 20, 30)


def save_timm(name: str, path: Path) -> dict[str, Tensor]:
    import timm

    weights: dict[str, Tensor] = timm.create_model(name, pretrained=False).state_dict()
    torch.save(weights, path)
    return weights


@pytest.mark.encoders
@needs_timm
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_weights_of_a_file_are_loaded_with_the_scale_of_the_first_convolution_kept(
    channels: int, tmp_path: Path
) -> None:
    weights = save_timm("resnet18", tmp_path / "resnet18.pth")
    net = build(narrow("resnet18", in_channels=channels, encoder_weights=str(tmp_path / "resnet18.pth")))
    assert torch.allclose(net.encoder.net.conv1.weight, adapt_channels(weights["conv1.weight"], channels))
    assert torch.equal(net.encoder.net.layer4[1].conv2.weight, weights["layer4.1.conv2.weight"])


@pytest.mark.encoders
@needs_timm
def test_weights_of_another_network_are_refused_with_their_keys(tmp_path: Path) -> None:
    save_timm("mobilenetv3_small_050", tmp_path / "mobilenet.pth")
    with pytest.raises(ModelFileError, match=r"mobilenet\.pth"):
        build(narrow("resnet18", encoder_weights=str(tmp_path / "mobilenet.pth")))
    weights = save_timm("resnet18", tmp_path / "part.pth")
    torch.save({key: value for key, value in weights.items() if "layer2" not in key}, tmp_path / "part.pth")
    with pytest.raises(ModelFileError, match=r"do not fit timm:resnet18; missing: layer2"):
        build(narrow("resnet18", encoder_weights=str(tmp_path / "part.pth")))


@pytest.mark.encoders
@needs_timm
def test_loading_weights_leaves_the_random_generator_alone(tmp_path: Path) -> None:
    save_timm("resnet18", tmp_path / "resnet18.pth")
    config = narrow("resnet18", encoder_weights=str(tmp_path / "resnet18.pth"))
    states = []
    for pretrained in (False, True):
        torch.manual_seed(3)
        build(config, pretrained=pretrained)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


@pytest.mark.encoders
@needs_timm
def test_a_frozen_encoder_keeps_its_norm_statistics_while_training() -> None:
    net = UNet(narrow("resnet18", freeze_encoder=True)).train()
    before = {key: value.clone() for key, value in net.encoder.state_dict().items()}
    net(torch.randn(2, 1, 64, 64)).square().mean().backward()
    assert all(torch.equal(value, before[key]) for key, value in net.encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in net.encoder.parameters())


@pytest.mark.encoders
@needs_timm
def test_names_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown timm encoder 'resnt18'; did you mean 'resnet18'"):
        UNet(narrow("resnt18"))
    with pytest.raises(ConfigError, match=r"vit_tiny_patch16_224: expected features 32 times coarser"):
        UNet(narrow("vit_tiny_patch16_224"))
    with pytest.raises(ConfigError, match=r"nest_tiny: expected a network for images of any size"):
        UNet(narrow("nest_tiny"))
    with pytest.raises(ConfigError, match="64 times coarser"):
        UNet(narrow("resnet18", widths=(4,) * 7))


@pytest.mark.encoders
@needs_timm
@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224"])
def test_the_layer_table_works_without_weights(name: str) -> None:
    config = narrow(name)
    cost = measure_cost(config, (64, 64))
    assert cost.parameters == sum(parameter.numel() for parameter in UNet(config).parameters())
    assert cost.rows[0].operation == f"timm {name}"


@pytest.mark.encoders
@needs_timm
@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("swin_tiny_patch4_window7_224", (64, 96)),
        ("tf_mobilenetv3_small_minimal_100", (64, 96)),
        ("mobilenetv3_small_050", ()),
    ],
)
def test_an_encoder_is_exported_at_any_size_but_where_its_layers_follow_the_size_at_the_recipe_s(
    name: str, only: tuple[int, ...], tmp_path: Path
) -> None:
    from tests.deploy.conftest import unchecked_shapes

    from ushape.core.model_file import ModelHeader, write_model
    from ushape.plan.recipe import Recipe, to_toml
    from ushape.predict.exported import read_export
    from ushape.workflows.export import ExportRequest, export
    from ushape.workflows.model import Model, load
    from ushape.workflows.runtime import Running
    from ushape.workflows.stored import read_model

    size: dict[str, Any] = {"size": (64, 96)}
    recipe = Recipe.model_validate({"net": narrow(name), "patches": size, "predict": {"window": size}})
    model = tmp_path / "model.safetensors"
    torch.manual_seed(0)
    write_model(model, UNet(recipe.net).state_dict(), ModelHeader(to_toml(recipe, {})))
    told: list[Any] = []
    with unchecked_shapes():
        path, facts = export(ExportRequest(model, "onnx"), told.append)
    assert facts.window == read_export(path)[1].window == only
    assert any(f"for windows of 64x96 only (encoder timm:{name}" in each.text for each in told) == bool(only)
    reference, image = read_model(model).reference(), np.random.default_rng(0).normal(size=(1, 100, 71))
    reference.window = only
    for engine in ("onnx", "openvino"):
        exported = load(path, engine=engine)
        want = Model(Running(exported.usage, reference), exported.config).predict(image).probabilities
        assert want.std() > 0.05
        assert np.abs(exported.predict(image).probabilities - want).max() < 1e-3
