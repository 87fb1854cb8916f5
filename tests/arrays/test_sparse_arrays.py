"""Sparse auto-encoders and coders take arrays of other libraries, and give the numbers of numpy."""

from functools import partial

import numpy as np
import pytest
from common import assert_same_numbers, in_library, some_digits
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils import get_tags

from skae import SparseAutoEncoder, SparseCoder
from skae.sparse import _coder
from skae.sparse._dictionary import DictionarySolver

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little
OPTIONS = {"max_iter": 2, "random_state": 0}


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_sparse_features_of_other_libraries(library):
    """Codes are dense; reports are of numpy; a model wants the library of its fit."""
    X = some_digits("float64")
    (theirs,) = in_library(library, X)
    model = SparseAutoEncoder(48, activation="batch_topk", **OPTIONS)
    expected = clone(model).fit(X)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs)
        codes, thresholds = found.transform(theirs), found.thresholds_
        report, top = found.report(theirs), found.top_samples(theirs, 3)
        for method in ("transform", "reconstruct", "score_samples", "report"):
            with pytest.raises(ValueError, match=rf"SparseAutoEncoder.{method}\(\) must use"):
                getattr(found, method)(X)
            with pytest.raises(ValueError, match=rf"SparseAutoEncoder.{method}\(\) must use"):
                getattr(expected, method)(theirs)
    assert type(codes) is type(thresholds) is type(theirs)
    np.testing.assert_allclose(np.from_dlpack(codes), expected.transform(X).toarray(), rtol=1e-10)
    np.testing.assert_allclose(np.from_dlpack(thresholds), expected.thresholds_, rtol=1e-10)
    assert report.unexplained == pytest.approx(expected.report(X).unexplained, rel=1e-10)
    np.testing.assert_array_equal(top.indices, expected.top_samples(X, 3).indices)
    # Without the dispatch weights and codes are arrays of numpy.
    np.testing.assert_allclose(
        found.transform(X).toarray(), expected.transform(X).toarray(), rtol=1e-10
    )


CODES = {"algorithm": "fista", "alpha": 0.3, "gap_tol": 1e-3, "batch_size": 50, **OPTIONS}
CODERS = {
    "lasso": SparseCoder(8, **CODES),
    "positive": SparseCoder(8, positive=True, ridge=0.1, split_sign=True, **CODES),
    "ista": SparseCoder(8, early_stopping=True, **CODES | {"algorithm": "ista"}),
    "threshold": SparseCoder(8, transform_encoder="soft_threshold", sparse_output=True, **CODES),
    "least squares": SparseCoder(4, **CODES | {"alpha": 0.0, "max_inference_iter": 20}),
    "given atoms": SparseCoder(dictionary=np.eye(3, 64) + 0.01, **CODES),
}


CASES = [(name, each) for name in CODERS for each in ("float32", "float64")]


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_sparse_codes_are_those_of_numpy(name, dtype, library):
    model = CODERS[name]
    X, weights = some_digits(dtype)[:60], np.linspace(0.5, 2, 60, dtype=dtype)
    theirs, their_weights = in_library(library, X, weights)
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    if dtype == "float32":  # in which rounding may reset a momentum, or end some iterations earlier
        model = clone(model).set_params(gap_tol=1e-6, max_inference_iter=200)
        tolerance = {"rtol": 1e-4, "atol": 1e-4}
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        bare, gaps = found.infer(theirs)
        near, _ = found.infer(theirs, init=bare)
        pairs = [
            (found.components_, expected.components_),
            (codes, _dense(expected.transform(X))),
            (found.inverse_transform(codes), expected.reconstruct(X)),
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
            (gaps, expected.infer(X)[1]),
            (near, _dense(expected.infer(X, init=expected.infer(X)[0])[0])),
        ]
        score = found.score(theirs, sample_weight=their_weights)
    assert_same_numbers(pairs, theirs, **tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-4)
    if model.dictionary is None:
        curves = found.loss_curve_, expected.loss_curve_
        np.testing.assert_allclose(*curves, rtol=1e-5 if dtype == "float32" else 1e-10)


def _dense(codes):
    return codes.toarray() if issparse(codes) else codes


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_atoms_that_no_code_uses_are_replaced(library, monkeypatch):
    X = some_digits("float64")[:40]
    (theirs,) = in_library(library, X)
    model = SparseCoder(20, **CODES | {"alpha": 3.0, "batch_size": 10, "max_iter": 3})
    lasting = clone(model).fit(X)
    monkeypatch.setattr(_coder, "DictionarySolver", partial(DictionarySolver, patience=2))
    expected = clone(model).fit(X)
    assert np.abs(lasting.components_ - expected.components_).max() > 0.1
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs)
        steps = clone(model).partial_fit(theirs).partial_fit(theirs).partial_fit(theirs)
    for each in (found, steps):
        np.testing.assert_allclose(each.components_, expected.components_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("options", [{"algorithm": "auto"}, {"groups": [[0, 1], [2, 3]]}], ids=str)
def test_codes_of_other_algorithms_need_numpy(options):
    X = some_digits("float64")
    (theirs,) = in_library("torch", X)
    model = SparseCoder(4, **CODES)
    fitted = clone(model).fit(X).set_params(**options)
    model.set_params(**options)
    with config_context(array_api_dispatch=True):
        assert not get_tags(model).array_api_support
        for method in (model.fit, model.partial_fit, fitted.transform, fitted.infer):
            with pytest.raises(TypeError, match="numpy only: set algorithm='fista'"):
                method(theirs)
        fitted.set_params(algorithm="fista", groups=None)
        assert get_tags(fitted).array_api_support
        for method in ("transform", "infer", "reconstruct", "score_samples", "inverse_transform"):
            given = theirs if method != "inverse_transform" else theirs[:, :4]
            with pytest.raises(ValueError, match=rf"SparseCoder.{method}\(\) must use the same"):
                getattr(fitted, method)(given)
        fitted.fit(theirs)
        with pytest.raises(TypeError, match="init must be an array of the library"):
            fitted.infer(theirs, init=X[:, :4])
        with pytest.raises(TypeError, match="init must be an array of the library"):
            SparseCoder(4, **CODES).fit(X).infer(X, init=theirs[:, :4])
