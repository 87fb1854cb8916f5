"""Rows of a later call that are far from those in which the scale of the columns was found."""

import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skae import PSD, RBM, AutoEncoder, ContractiveAE, SparseAutoEncoder, SparseCoder
from skae.generative import EnergyAE
from skae.images import ConvolutionalPSD

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)) * [1, 10, 1000, 1] + [0, 1000, 5, 0]
X[:, 3] = 3
SHORT = {"max_iter": 2, "random_state": 0}
MODELS = [
    AutoEncoder(3, **SHORT),
    AutoEncoder(3, loss="gaussian", standardize="columns", **SHORT),
    ContractiveAE(100, **SHORT),  # whose inputs have another variance than 1
    SparseAutoEncoder(4, k=2, **SHORT),
    RBM(3, **SHORT),
    EnergyAE(3, **SHORT),
]
FAR = X + np.array([0, 150, 0, 0])
VARIED = X + np.array([0, 0, 0, 0.5]) * RNG.random((60, 1))
SPARSE = csr_matrix(VARIED)


def _warned(call, *args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **options)
    return [str(each.message) for each in caught if "its scale was found" in str(each.message)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_rows_far_from_those_of_the_scale_are_told(model, method):
    def go_on():
        return getattr(clone(model).set_params(warm_start=True).fit(X), method)

    for close in (X, X[::-1], X[:5], X + [0, 40, 0, 0], np.where(X > 1020, 1300, X)):
        assert not _warned(go_on(), close)
    (far,) = _warned(go_on(), FAR)
    assert "Column 1 has drifted: its mean is 11" in far and "standardize=False" in far
    for rows in (VARIED, SPARSE):
        (new,) = _warned(go_on(), rows)
        assert "Column 3 was always 3" in new and "is left out" in new


CODERS = [SparseCoder(5, **SHORT), PSD(5, **SHORT), ConvolutionalPSD(3, patch_size=3, **SHORT)]
of_coders = pytest.mark.parametrize("model", CODERS, ids=lambda model: type(model).__name__)


def _rows_for(model):
    shape = (20, 5, 5) if isinstance(model, ConvolutionalPSD) else (60, 4)
    return RNG.standard_normal(shape)


@of_coders
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_coders_tell_rows_of_another_scale(model, method):
    rows = _rows_for(model)
    fitted = clone(model).set_params(warm_start=True, alpha=0.3).fit(rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for close in (rows, 5 * rows, rows / 5, 0 * rows):
            getattr(fitted, method)(close)
    assert not [each for each in caught if "root mean square" in str(each.message)]
    for factor in (100, 0.01):
        go_on = getattr(deepcopy(fitted), method)
        now = np.sqrt(np.mean((factor * rows) ** 2))
        sparsity = "less" if factor > 1 else "more"
        message = (
            f"root mean square of X is {now:.4g} in .*, and was .* alpha=0.3 .* {sparsity} sparse"
        )
        with pytest.warns(UserWarning, match=message) as told:
            go_on(factor * rows)
        (where,) = [each.filename for each in told if "root mean square" in str(each.message)]
        assert where == __file__


@of_coders
def test_the_first_part_of_coders_is_told_what_fit_tells(model):
    rows = _rows_for(model)
    with pytest.warns(UserWarning, match="are 0 on the training data: lower alpha=100") as told:
        clone(model).set_params(alpha=100).partial_fit(rows)
    assert told[0].filename == __file__
    if not isinstance(model, ConvolutionalPSD):
        with pytest.warns(UserWarning, match="Column 1 has a standard deviation") as told:
            clone(model).partial_fit(rows * [1, 1000, 1, 1])
        assert told[0].filename == __file__


@pytest.mark.parametrize("model", [*MODELS, *CODERS], ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_drift_is_told_once_until_a_fit_starts_anew(model, method):
    rows, far = (X, FAR) if model in MODELS else (_rows_for(model), 100 * _rows_for(model))
    go_on = getattr(clone(model).set_params(warm_start=True).fit(rows), method)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                go_on(far)
        assert (
            len([each for each in caught if "found" in str(each) or "root mean" in str(each)]) == 1
        )
        go_on.__self__.set_params(warm_start=False).fit(rows).set_params(warm_start=True)


def test_values_beyond_probabilities_are_told_once():
    bits = RNG.integers(0, 2, (60, 4))
    model = AutoEncoder(3, **SHORT).partial_fit(bits)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for factor in (5, 6, 7):
            model.partial_fit(factor * bits)
    assert len([each for each in caught if "chose bernoulli" in str(each.message)]) == 1


@pytest.mark.parametrize("model", [AutoEncoder(3, **SHORT), RBM(3, **SHORT)], ids=["AE", "RBM"])
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_rows_of_several_categories_are_told_once(model, form):
    """The first rows have one category each, by chance."""
    first = np.column_stack([np.eye(3)[[0, 1, 2, 0]], RNG.random((4, 2)) * [1, 9]])
    kinds = {"several": [1, 1, 0], "other numbers": [0, 0, 7], "negative": [-1, 1, 1]}
    for rest in ([0, 0, 0], [0.5, 0.5, 0], *kinds.values()):
        model.fit(first)
        rows = form(np.vstack([first, [[*rest, 0.5, 3]]]))
        wrong = rest in kinds.values()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.score(rows)
            assert sum("chose multinomial" in str(each.message) for each in caught) == wrong
            model.partial_fit(rows).partial_fit(rows)
        told = [str(each.message) for each in caught if "chose multinomial" in str(each.message)]
        assert len(told) == 2 * wrong
        assert all("Columns 0 to 2" in each and "in 1 of these rows" in each for each in told)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("first", [X[:1], X[[3, 3, 3]]])
def test_first_rows_that_say_nothing_of_the_scale_are_told(model, first):
    with pytest.warns(UserWarning, match="rows of the first call are all the same.*standardize=F"):
        clone(model).partial_fit(first)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The rows of the first call")
        fitted = clone(model).partial_fit(X[:3]).partial_fit(first)
        fitted.set_params(warm_start=True).fit(first)
        clone(model).set_params(standardize=False).partial_fit(first)


def test_columns_that_drift_are_named_and_counted():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = AutoEncoder(3, **SHORT).partial_fit(frame)
    frame[["a", "b"]] += [40, 900]
    (far,) = _warned(model.partial_fit, frame)
    assert "Column 'b' (like 1 other column) has drifted" in far


def test_missing_values_and_weights_do_not_drift():
    model = AutoEncoder(3, **SHORT).partial_fit(X)
    holes = X.copy()
    holes[:, 1], holes[::2, 3] = np.nan, np.nan
    assert not _warned(model.partial_fit, holes)
    both = np.vstack([X, FAR])
    assert not _warned(model.partial_fit, both, sample_weight=np.repeat([1, 0], 60))
    assert _warned(model.partial_fit, both, sample_weight=np.repeat([1, 3], 60))


def test_who_scales_rows_oneself_is_told_nothing():
    model = AutoEncoder(3, standardize=False, **SHORT).partial_fit(
        StandardScaler().fit_transform(X)
    )
    assert not _warned(model.partial_fit, StandardScaler().fit(X).transform(FAR))
