"""What a step will take is said before the first, with what would take less."""

import re

import pytest

from ushape.core.config import parse_assignment, with_fields
from ushape.nets.cost import measure_cost
from ushape.plan.recipe import Recipe
from ushape.train.probe import MachineFacts
from ushape.workflows.foretell import RESERVE, foretell_memory
from ushape.workflows.memory import GIB, estimate_prediction, estimate_step

RECIPE = with_fields(Recipe(), {"patches.size": [64, 64], "patches.batch": 4, "train.precision": "float32"})


def machine(memory_gb: float) -> MachineFacts:
    return MachineFacts("cpu", "a CPU", 2, memory_gb)


def test_the_estimate_holds_the_activations_of_the_batch_and_four_numbers_per_weight() -> None:
    cost = measure_cost(RECIPE.net, (64, 64))
    least = 4 * cost.activation_bytes + 16 * cost.parameters
    assert least < estimate_step(RECIPE, "cpu").total < 2 * least


@pytest.mark.parametrize(
    "change",
    [
        {"net.deep_supervision": True, "loss.class_weights": [0.5, 2.0]},
        {"net.skip": "gate", "loss.gates.weight": 0.3},
        {"train.optim.optimizer": "sgd", "train.accumulate": 2},
        {"head": "sigmoid", "net.classes": 1, "loss": {"bce": {}, "dice": {}}},
        {
            "data.labels": {"names": ["background", "a", "b"], "values": [0, 1, 2], "overlap": "files"},
            "head": "sigmoid",
            "net.classes": 2,
            "loss": {"bce": {}, "dice": {}},
            "predict.threshold": [0.5, 0.5],
        },
    ],
    ids=str,
)
def test_every_kind_of_recipe_has_an_estimate(change: dict[str, object]) -> None:
    assert estimate_step(with_fields(RECIPE, change), "cpu").total > 0


def test_a_step_on_a_gpu_has_no_workspaces_of_a_cpu() -> None:
    assert estimate_step(RECIPE, "cuda").total < estimate_step(RECIPE, "cpu").total


def test_prediction_takes_less_than_training_and_the_more_the_larger_the_batch() -> None:
    one, four = (estimate_prediction(RECIPE, (batch, 1, 64, 64), "cpu", "float32").total for batch in (1, 4))
    assert one < four < estimate_step(RECIPE, "cpu").total


@pytest.mark.parametrize(
    "change",
    [{"patches.batch": 2}, {"patches.size": [32, 32]}, {"net.checkpointing": True}, {"train.precision": "bf16"}],
    ids=str,
)
def test_what_is_advised_takes_less(change: dict[str, object]) -> None:
    assert estimate_step(with_fields(RECIPE, change), "cpu").total < estimate_step(RECIPE, "cpu").total


def test_enough_memory_is_no_reason_to_warn() -> None:
    message = foretell_memory(RECIPE, machine(64.0))
    assert (message.level, message.text[:6]) == ("info", "about ")


CHANGES = ({"patches.batch": 2}, {"patches.size": [32, 32]}, {"net.checkpointing": True}, {"train.precision": "bf16"})


def taken(changes: dict[str, object]) -> float:
    return estimate_step(with_fields(RECIPE, changes), "cpu").total / GIB


def advised(text: str) -> list[tuple[dict[str, object], float]]:
    """Read the changes and what they take out of a warning."""
    parts = re.findall(r"((?:--set \S+ )+)(?:together )?takes? ([\d.]+)", text)
    return [
        (dict(parse_assignment(one) for one in words.split() if one != "--set"), float(size)) for words, size in parts
    ]


def test_too_little_memory_names_every_change_that_fits_and_no_other() -> None:
    each = sorted(map(taken, CHANGES))
    memory = 1.001 * each[2] / RESERVE
    message = foretell_memory(RECIPE, machine(memory))
    assert message.level == "warning"
    found = advised(message.text)
    assert len(found) == 3
    for changes, size in found:
        assert taken(changes) <= RESERVE * memory
        assert taken(changes) == pytest.approx(size, rel=0.06)


def test_changes_are_put_together_where_none_is_enough_by_itself() -> None:
    memory = 0.98 * min(map(taken, CHANGES)) / RESERVE
    ((changes, size),) = advised(foretell_memory(RECIPE, machine(memory)).text)
    assert len(changes) > 1
    assert taken(changes) <= RESERVE * memory
    assert taken(changes) == pytest.approx(size, rel=0.06)


def test_what_cannot_fit_is_said_so() -> None:
    said = foretell_memory(RECIPE, machine(0.001)).text
    assert re.search(r"has 0.001: even --set patches.batch=2 .* together take 0\.\d+; choose a smaller net", said)
    single = with_fields(RECIPE, {"patches.batch": 1, "net.checkpointing": True})
    assert "patches.batch" not in foretell_memory(single, machine(0.001)).text


def test_hundreds_are_whole_numbers() -> None:
    large = with_fields(RECIPE, {"patches.size": [2048, 2048], "patches.batch": 64})
    assert re.match(r"about \d{3,} GB .*: even --set", foretell_memory(large, machine(1.0)).text)
