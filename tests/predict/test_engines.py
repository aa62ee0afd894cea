"""What engines share: logits become probabilities, as torch would make them."""

import numpy as np
import pytest
import torch

from ushape.predict.engines import to_probabilities
from ushape.predict.torch_engine import torch_probabilities


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("space", [(4, 3), (2, 3, 4)])
def test_arrays_of_logits_become_the_probabilities_that_torch_gives(outputs: int, space: tuple[int, ...]) -> None:
    logits = np.random.default_rng(0).normal(scale=30, size=(2, outputs, *space))
    expected = torch_probabilities(torch.nn.Identity(), torch.from_numpy(logits).float(), "float32").numpy()
    before = logits.copy()
    probabilities = to_probabilities(logits)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(logits, before)
