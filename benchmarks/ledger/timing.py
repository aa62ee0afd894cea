"""Claims on speed: ratios of calls that were timed in turn, kept with the machine and its load."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ledger.claim import Claim, Finding, Record, Verdict

ROUNDS = 15
UPSAMPLINGS = ("transpose", "linear", "nearest")


def measure_times() -> Record:
    """Time each upsampling in turn, forward and backward, as a layer and in a network: ratios to the transposed one."""
    import torch
    from ablations import name_machine

    torch.set_num_threads(1)
    today = datetime.now(UTC).date().isoformat()
    record: Record = {"machine": name_machine(), "date": today, "load": round(os.getloadavg()[0], 1)}
    for name, make in (("layer", make_layer), ("network", make_network)):
        calls = {up: make(up) for up in UPSAMPLINGS}
        seconds = time_in_turn(calls)
        record[name] = {
            up: [round(own / base, 3) for own, base in zip(seconds[up], seconds["transpose"], strict=True)]
            for up in UPSAMPLINGS
        }
        record[f"{name}_ms"] = {up: round(1000 * statistics.median(each), 2) for up, each in seconds.items()}
    return record


def time_in_turn(calls: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Run all calls once per round, so that other work hits all alike; CPU seconds, the first round dropped."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    return {name: each[1:] for name, each in seconds.items()}


def make_layer(up: str) -> Callable[[], None]:
    import torch

    from ushape.nets.join import UPS, UpSpec

    return step_of(UPS[up](UpSpec(64, 32, (2, 2))), torch.randn(1, 64, 64, 64, requires_grad=True))


def make_network(up: str) -> Callable[[], None]:
    import torch

    from ushape.core.config import with_fields
    from ushape.nets.config import UNetConfig
    from ushape.nets.unet import UNet

    return step_of(UNet(with_fields(UNetConfig(widths=(16, 32, 64, 128)), {"up": up})), torch.randn(1, 1, 128, 128))


def step_of(net, image) -> Callable[[], None]:
    return lambda: net(image).square().mean().backward()


def upsampling_claim(words: str, up: str, claimed: float) -> Claim:
    def measure(record: Record) -> Finding:
        if "layer" not in record["times"]:
            return Finding("not timed yet, `make claims`", "not measured yet")
        times = record["times"]
        cells = [f"{name} {describe(times[name][up])}" for name in ("layer", "network")]
        text = f"of the transposed one's CPU time, forward and backward: {', '.join(cells)}"
        return Finding(text, judge(times["layer"][up], claimed))

    return Claim(words, measure, "timed")


def describe(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{statistics.median(ratios):.2f} (middle half {low:.2f} to {high:.2f})"


def judge(ratios: list[float], claimed: float) -> Verdict:
    """Judge a claimed ratio below 1: holds if the middle half of the rounds is below 1 and the median near.

    >>> judge([0.7, 0.8, 0.8, 0.9], 0.8), judge([1.2, 1.3, 1.3, 1.4], 0.8), judge([0.8, 0.9, 1.1, 1.2], 0.8)
    ('holds', 'does not hold', 'no difference seen here')
    """
    low, middle, high = statistics.quantiles(ratios, n=4)
    if low > 1:
        return "does not hold"
    if high >= 1:
        return "no difference seen here"
    return "holds" if abs(middle - claimed) < 0.25 * claimed else "depends"


def mixed_speed(record: Record) -> Finding:
    """Read what `precision.py` measured, and compare the faster layouts of both precisions."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for name, each in record["precision"].items():
        net, precision, _layout = name.split(" | ")
        times = each["seconds"] if isinstance(each, dict) else each  # results from before it kept the memory too
        seconds.setdefault((net.split(",")[0], precision), []).append(statistics.median(times))
    ratios = {net: min(seconds[net, "float32"]) / min(seconds[net, "bf16"]) for net, _ in seconds}
    text = ", ".join(f"{net} {ratio:.1f} times" for net, ratio in ratios.items())
    verdict: Verdict = "holds" if min(ratios.values()) >= 1.35 else "depends"
    return Finding(f"{text} on a CPU that has bf16 instructions (`benchmarks/precision.py`)", verdict)


CLAIMS = (
    upsampling_claim("Bilinear upsampling takes 9.8 ms where transposed takes 12.3 (0.80)", "linear", 9.8 / 12.3),
    upsampling_claim("Nearest upsampling takes 8.5 ms where transposed takes 12.3 (0.69)", "nearest", 8.5 / 12.3),
    Claim("Mixed precision trains 1.5 times faster", mixed_speed, "timed"),
)
