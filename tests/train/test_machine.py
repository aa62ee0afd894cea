"""Devices, threads and time: what the machine offers and how it is measured."""

import pytest
import torch
from torch import nn

from ushape.core.cores import usable_cores
from ushape.core.errors import ConfigError
from ushape.core.layout import lay_out, memory_format
from ushape.train import probe
from ushape.train.probe import choose_device, machine_facts, probe_precision, use_threads


def pretend(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    monkeypatch.setattr(probe, "DEVICES", {name: lambda name=name: name in there for name in ("cuda", "mps", "cpu")})


@pytest.mark.parametrize(("there", "chosen"), [(("cuda", "cpu"), "cuda"), (("mps", "cpu"), "mps"), (("cpu",), "cpu")])
def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], chosen: str) -> None:
    pretend(monkeypatch, *there)
    assert choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


def test_a_missing_or_unknown_device_is_a_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "cpu")
    with pytest.raises(ConfigError, match="--device mps: expected a device that torch sees, got none"):
        choose_device("mps")
    with pytest.raises(ConfigError, match="unknown device 'cuda:0'; did you mean 'cuda'"):
        choose_device("cuda:0")


def test_the_facts_of_this_machine_are_plausible() -> None:
    facts = machine_facts("cpu")
    assert facts.device_name
    assert facts.cores == usable_cores() >= 1
    assert facts.memory_gb > 0.1


def test_zero_threads_means_every_usable_core() -> None:
    before = torch.get_num_threads()
    try:
        use_threads(0)
        assert torch.get_num_threads() == usable_cores()
        use_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_precisions_are_compared_and_the_fastest_comes_first() -> None:
    wanted = [("float32", False), ("bf16", True)]
    timings = probe_precision(lambda: nn.Conv2d(1, 2, 3), (1, 1, 16, 16), "cpu", wanted)
    assert {(timing.precision, timing.channels_last) for timing in timings} == set(wanted)
    assert 0 < timings[0].seconds <= timings[1].seconds


def test_what_is_far_behind_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {("float32", True): 6.0, ("bf16", True): 2.0, ("float32", False): 9.0, ("bf16", False): 2.5}
    tried: list[tuple[str, bool]] = []

    def make_trial(*_: object, channels_last: bool) -> tuple[bool, None]:
        return channels_last, None

    def timed_pass(channels_last: bool, _: None, precision: str) -> float:
        tried.append((precision, channels_last))
        return seconds[tried[-1]]

    monkeypatch.setattr(probe, "_make_trial", make_trial)
    monkeypatch.setattr(probe, "_timed_pass", timed_pass)
    timings = probe_precision(nn.Identity, (2, 1, 512, 512), "cpu", list(seconds))
    assert [(each.precision, each.channels_last) for each in timings] == [
        ("bf16", True),
        ("bf16", False),
        ("float32", True),
    ]
    assert tried.count(("float32", True)) == 1
    assert ("float32", False) not in tried
    assert tried.count(("bf16", True)) == tried.count(("bf16", False)) == 1 + probe.ROUNDS


@pytest.mark.parametrize(("ndim", "conv"), [(2, nn.Conv2d), (3, nn.Conv3d)])
def test_channels_last_is_named_by_the_number_of_axes(ndim: int, conv: type[nn.Module]) -> None:
    image = torch.zeros(1, 2, *[4] * ndim)
    layout = memory_format(image, True)
    assert image.contiguous(memory_format=layout).is_contiguous(memory_format=layout)
    net = lay_out(conv(2, 3, 3), ndim)
    assert net.weight.is_contiguous(memory_format=layout)
    assert memory_format(image, False) is torch.contiguous_format
