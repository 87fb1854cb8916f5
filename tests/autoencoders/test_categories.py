"""The one-hot columns of a category stay one value, or none, whatever noise does."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

from skae import (
    AutoEncoder,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import DBM, RBM, BoltzmannClassifier
from skae.nn.corruption import InputDropout, Masking, Swap, make_corruption

RNG = np.random.default_rng(0)
N = 300
COLOR, SIZE = RNG.integers(0, 3, N), RNG.integers(0, 4, N)
DATA = np.hstack(
    [np.eye(3)[COLOR], RNG.standard_normal((N, 2)), np.eye(4)[SIZE], RNG.integers(0, 2, (N, 1))]
)
GROUPS = np.array([0, 0, 0, 3, 4, 5, 5, 5, 5, 9])
CATEGORIES = [slice(0, 3), slice(5, 9)]
FAST = {"batch_size": 60, "max_iter": 2, "random_state": 0}


def _drawn(corruption, data=DATA):
    """Return several draws of the noise, one below the other."""
    out = np.empty((8, *data.shape))
    for seed, rows in enumerate(out):
        corruption(data, seed, rows)
    return out.reshape(-1, data.shape[1])


def _assert_valid(rows, values=(0.0, 1.0)):
    """Each category of each row has one 1 or none, and nothing between."""
    sums = []
    for columns in CATEGORIES:
        part = rows[:, columns]
        assert np.isin(part, values).all()
        assert ((part != 0).sum(axis=1) <= 1).all()
        sums.append((part != 0).sum(axis=1))
    return np.array(sums)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_masking_takes_whole_categories(level):
    filled = _assert_valid(_drawn(Masking(level, GROUPS)))
    np.testing.assert_allclose(filled.mean(axis=1), 1 - level, atol=0.04)
    kept = _drawn(Masking(level, GROUPS))[:, 3:5] != 0
    np.testing.assert_allclose(kept.mean(axis=0), 1 - level, atol=0.04)
    assert abs(np.corrcoef(kept.T)[0, 1]) < 0.06 and abs(np.corrcoef(filled)[0, 1]) < 0.06


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_swap_takes_whole_categories_of_other_rows(level):
    rows = _drawn(Swap(level, GROUPS))
    assert (_assert_valid(rows) == 1).all()
    changed = (rows[:, :3] != np.tile(DATA[:, :3], (8, 1))).any(axis=1).mean()
    other = 1 - np.sum(np.bincount(COLOR) * (np.bincount(COLOR) - 1)) / (N * (N - 1))
    assert changed == pytest.approx(level * other, abs=0.04)
    # Without groups a category falls apart.
    assert (_drawn(Swap(level))[:, :3].sum(axis=1) != 1).any()


def test_input_dropout_scales_whole_categories():
    rows = _drawn(InputDropout(0.3, GROUPS))
    filled = _assert_valid(rows, (0.0, 1 / 0.7))
    np.testing.assert_allclose(filled.mean(axis=1), 0.7, atol=0.04)
    np.testing.assert_allclose(rows.mean(axis=0)[:3], DATA.mean(axis=0)[:3], atol=0.04)


def test_emphasis_is_on_the_cells_that_were_changed():
    corruption = Masking(0.5, GROUPS)
    ones, out, weights = 1 + np.abs(DATA), np.empty_like(DATA), np.empty_like(DATA)
    corruption(ones, 7, out)
    corruption.emphasize(ones, 7, 3.0, 0.5, weights)
    np.testing.assert_array_equal(weights, np.where(out == 0, 3.0, 0.5))


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_groups_are_those_of_the_losses(form):
    model = DenoisingAE(4, **FAST).fit(form(DATA))
    np.testing.assert_array_equal(model._units.groups, GROUPS)
    constant = np.insert(DATA, 0, 5.0, axis=1)
    np.testing.assert_array_equal(DenoisingAE(4, **FAST).fit(form(constant))._units.groups, GROUPS)
    named = [("multinomial", {"color": [0, 1, 2], "size": [5, 6, 7, 8]})]
    named += [("gaussian", [3, 4]), ("bernoulli", [9])]
    np.testing.assert_array_equal(
        DenoisingAE(4, loss=named, **FAST).fit(DATA)._units.groups, GROUPS
    )
    assert DenoisingAE(4, **FAST).fit(load_digits().data[:90])._units.groups is None
    # The words of a document are no one-hot group.
    words = RNG.poisson(1.0, (50, 6)).astype(float)
    assert DenoisingAE(4, loss="multinomial", **FAST).fit(words)._units.groups is None


LAYERS = [("low", AutoEncoder(6, **FAST)), ("high", AutoEncoder(4, **FAST))]
MACHINES = [("low", RBM(6, **FAST)), ("high", RBM(4, **FAST))]
MODELS = {
    "denoising": DenoisingAE(6, **FAST),
    "tuned": StackedAE(LAYERS, fine_tune="reconstruction", **FAST),
    "predicting": StackedAE(LAYERS, fine_tune="supervised", **FAST),
    "recurrent": RecurrentAE(LAYERS, **FAST),
    "classifier": StackedAEClassifier(LAYERS, **FAST),
    "regressor": StackedAERegressor(LAYERS, **FAST),
    "tangents": ManifoldTangentClassifier(LAYERS[0][1], **FAST),
    "machine": BoltzmannClassifier(RBM(6, **FAST), **FAST),
    "deep machine": BoltzmannClassifier(DBM(MACHINES, max_iter=1, random_state=0), **FAST),
}


@pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("corruption", ["masking", "swap"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_training_takes_categories_together(kind, corruption, monkeypatch):
    seen = []
    for Noise in (Masking, Swap):
        call = Noise.__call__

        def watched(self, X, seed, out, call=call):
            call(self, X, seed, out)
            seen.append(out[:, :10].copy())

        monkeypatch.setattr(Noise, "__call__", watched)
    model = MODELS[kind].set_params(corruption=corruption, corruption_level=0.5)
    model.fit(DATA, (COLOR > 0).astype(int))
    filled = _assert_valid(np.vstack(seen))
    assert seen and (filled.mean() < 0.6 if corruption == "masking" else (filled == 1).all())


def test_noise_that_changes_values_knows_no_groups():
    for name in ("gaussian", "salt_and_pepper"):
        assert getattr(make_corruption(name, 0.3, GROUPS), "groups", None) is None
