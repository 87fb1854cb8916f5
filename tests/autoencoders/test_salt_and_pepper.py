"""Salt and pepper in the units of X: the ends of a column are not 0 and 1 in a table."""

import numpy as np
import pytest

from skae import AutoEncoder, DenoisingAE, RecurrentAE, StackedAE, StackedAERegressor
from skae.generative import sample_walkback
from skae.nn.corruption import SaltAndPepper

RNG = np.random.default_rng(0)
X = np.column_stack([1000 + 50 * RNG.random(80), -3 * RNG.random(80), RNG.random(80) > 0.5])
NOISE = {"corruption": "salt_and_pepper", "corruption_level": 1.0, "max_iter": 1, "random_state": 0}
LAYERS = [("low", AutoEncoder(4, max_iter=1))]
MODELS = [
    DenoisingAE(4, **NOISE),
    DenoisingAE(4, standardize=False, loss="gaussian", **NOISE),
    StackedAE(LAYERS, fine_tune="reconstruction", **NOISE),
    StackedAERegressor(LAYERS, **NOISE),
    RecurrentAE([*LAYERS, ("high", AutoEncoder(3, max_iter=1))], **NOISE),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS)
def test_they_are_the_ends_of_each_column(model, monkeypatch):
    corrupt, seen = SaltAndPepper.__call__, []

    def recording(self, rows, seed, out):
        corrupt(self, rows, seed, out)
        seen.append(out.copy())

    monkeypatch.setattr(SaltAndPepper, "__call__", recording)
    model.fit(X, X[:, 0])
    if isinstance(model, DenoisingAE):
        sample_walkback(model, X[:40], 1, random_state=0)
    for noisy in seen:
        for column, values in zip(X.T, model.model_.scaling.invert(noisy).T):
            ends = column.min(), column.max()
            np.testing.assert_allclose(np.unique(values.round(6)), np.round(ends, 6))
