"""Faults that keep a training from learning are planted, and found and named in its run folder."""

from collections import defaultdict
from pathlib import Path

import pytest
import torch
from tests.train.tiny import Heard, fit_tiny, same_training

from ushape.core.errors import TrainingError
from ushape.core.events import Message
from ushape.core.files import read_csv
from ushape.nets.unet import UNet
from ushape.train.run_folder import RunFolder
from ushape.workflows import parts

PROBE = {"train.probe_gradients": True, "net.block.activation": "relu", "net.up": "transpose"}
ENCODER = {"encoder.levels.1.0.0", "encoder.levels.1.0.1"}
Plant = defaultdict[str, list[torch.Tensor]]


def faults(run: RunFolder) -> dict[int, dict[str, str]]:
    """Return the faults of every step that was looked at."""
    rows = read_csv(run.gradients)
    looks: dict[int, dict[str, str]] = {int(row["step"]): {} for row in rows}
    for row in rows:
        if row["fault"]:
            looks[int(row["step"])][row["layer"]] = row["fault"]
    return looks


def train_with_fault(data: Path, output: Path, plant: object) -> tuple[RunFolder, list[str]]:
    heard, build = Heard(), parts.build

    def spoil(*arguments: object, **options: object) -> UNet:
        net = build(*arguments, **options)  # type: ignore[arg-type]
        plant(net)  # type: ignore[operator]
        return net

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "build", spoil)
        run = fit_tiny(data, output, PROBE, heard)
    return run, [message.text for message in heard.of(Message)]


def test_a_sound_training_has_no_fault_and_is_the_same_as_without_the_probe(blobs: Path, tmp_path: Path) -> None:
    heard = Heard()
    probed = fit_tiny(blobs, tmp_path / "probed", PROBE, heard)
    plain = fit_tiny(blobs, tmp_path / "plain", PROBE | {"train.probe_gradients": False})
    assert same_training(probed, plain)
    assert faults(probed) == {1: {}, 4: {}, 8: {}}  # two epochs of four steps
    assert "Gradients, looked at in 3 steps: no layer has a fault." in [each.text for each in heard.of(Message)]
    assert "no layer has a fault" in probed.report.read_text(encoding="utf-8")
    assert not plain.gradients.exists()


def test_a_detached_branch_is_named(blobs: Path, tmp_path: Path) -> None:
    def detach(net: UNet) -> None:
        net.encoder.levels[1].register_forward_hook(lambda _, __, output: output.detach())

    run, said = train_with_fault(blobs, tmp_path / "run", detach)
    assert faults(run) == dict.fromkeys((1, 4, 8), dict.fromkeys(ENCODER, "missing"))
    assert sum("detached branch" in sentence for sentence in said) == 2
    page = run.report.read_text(encoding="utf-8")
    assert all(layer in page for layer in ENCODER)


def test_a_layer_that_starts_at_0_is_named_with_what_it_keeps_from_learning(blobs: Path, tmp_path: Path) -> None:
    run, _ = train_with_fault(blobs, tmp_path / "run", lambda net: torch.nn.init.zeros_(net.decoder[0].up[0].weight))
    first, *later = faults(run).values()
    assert first == {"decoder.0.up.0": "zero weights", **dict.fromkeys(ENCODER, "zero")}
    assert later == [{}, {}]  # it has moved


def test_a_rate_that_explodes_is_named_even_if_training_breaks(blobs: Path, tmp_path: Path) -> None:
    heard = Heard()
    try:
        fit_tiny(blobs, tmp_path / "run", PROBE | {"train.optim.lr": 1e6}, heard)
    except TrainingError as error:
        assert "lower the rate" in str(error)  # noqa: PT017 - whether it breaks is not the point
    looks = faults(RunFolder(tmp_path / "run"))
    assert "exploding" in looks[1].values()
    assert any("by more than its own size" in each.text for each in heard.of(Message))


def test_gradients_of_an_update_are_looked_at_whole(blobs: Path, tmp_path: Path) -> None:
    run = fit_tiny(blobs, tmp_path / "run", PROBE | {"train.accumulate": 2})
    assert list(faults(run)) == [2, 4, 8]


def test_dead_relus_are_named(blobs: Path, tmp_path: Path) -> None:
    def kill(net: UNet) -> None:
        unit = net.encoder.levels[0][0][0]
        torch.nn.init.constant_(unit.norm.bias, -100.0)

    run, said = train_with_fault(blobs, tmp_path / "run", kill)
    assert faults(run)[1]["encoder.levels.0.0.0.activation"] == "dead"
    assert any("most of its channels are 0" in sentence for sentence in said)
