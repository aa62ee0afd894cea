"""Class weights from the data set, recorded as numbers with their reason."""

from pathlib import Path

import pytest
from tests.train.tiny import TINY

from ushape.core.config import with_fields
from ushape.core.errors import ConfigError
from ushape.core.events import ignore_events
from ushape.losses.balance import weigh_classes
from ushape.losses.compose import Loss
from ushape.plan.balance import fill_class_weights
from ushape.plan.recipe import Recipe, list_settings, read_recipe
from ushape.workflows.design import FitRequest, design


@pytest.mark.parametrize("rule", ["inverse", "inverse_sqrt", "log"])
def test_a_rule_becomes_numbers_in_the_recipe_with_its_reason(blobs: Path, tmp_path: Path, rule: str) -> None:
    changes = {**TINY, "loss.class_weights": rule}
    designed = design(FitRequest(blobs, tmp_path / "run", None, changes), ignore_events)
    shares = designed.data.fingerprint.class_shares
    weights = designed.recipe.loss.class_weights
    assert weights == pytest.approx(weigh_classes(shares, rule), abs=1e-4)  # type: ignore[arg-type]
    assert weights[1] > weights[0]  # discs are rarer than their ground
    again = read_recipe(designed.text, "recipe")
    assert again.loss.class_weights == weights
    reasons = {name: reason for name, _, reason in list_settings(designed.text)}
    assert f"by rule '{rule}'" in reasons["loss.class_weights"]
    assert Loss(again.loss).class_weights.tolist() == pytest.approx(list(weights))


def test_numbers_and_none_stay_as_they_are() -> None:
    for weights in ((), (1.0, 3.0)):
        recipe = with_fields(Recipe(), {"loss.class_weights": weights})
        assert fill_class_weights(recipe, (0.9, 0.1)) == (recipe, {})


def test_a_loss_of_one_s_own_is_told_to_work_the_numbers_out() -> None:
    recipe = with_fields(Recipe(), {"loss.class_weights": "log"})
    with pytest.raises(ConfigError, match=r"expected numbers, got the rule 'log'; work them out"):
        Loss(recipe.loss)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"class_weights: .*'inverse', 'inverse_sqrt' or 'log'"):
        with_fields(Recipe(), {"loss.class_weights": "frequency"})
