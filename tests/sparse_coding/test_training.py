"""What sparse coders have from the training that all estimators share."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from skae import PSD, SparseCoder

X = load_digits().data[:300] / 16
CODERS = [SparseCoder, PSD]
STEADY = {"n_components": 20, "alpha": 0.1, "tol": 0, "n_iter_no_change": 100, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _new(Coder, *args, **options):
    """Return a coder; the steps of PSD are constant, so that its loss tells when to stop."""
    steps = {"learning_rate": "constant", "learning_rate_init": 1e-3} if Coder is PSD else {}
    return Coder(*args, **{**steps, **options})


def _held_out(n_samples, share):
    """Return which rows a fit with ``random_state=0`` leaves out."""
    seed = check_random_state(0).randint(np.iinfo(np.int32).max)
    rows = np.arange(n_samples)
    return train_test_split(rows, test_size=int(share * n_samples), random_state=seed)[1]


def _objective(model, X):
    """Return the mean objective at the codes of scikit-learn."""
    atoms, alpha, prediction = model.components_, model.alpha, 0
    longer, pulled = atoms, X
    if isinstance(model, PSD):
        # The encoder's term is that of more features.
        prediction = model.transform(X)
        longer, pulled = np.hstack([atoms, np.eye(len(atoms))]), np.hstack([X, prediction])
    codes = sparse_encode(pulled, longer, algorithm="lasso_cd", alpha=alpha, max_iter=100_000)
    errors = 0.5 * np.sum((pulled - codes @ longer) ** 2, axis=1)
    return np.mean(errors + alpha * np.abs(codes).sum(axis=1))


@pytest.mark.parametrize("Coder", CODERS)
def test_early_stopping_keeps_the_best_atoms(Coder):
    options = {"alpha": 0.02, "batch_size": 20, "tol": 0, "n_iter_no_change": 3, "gap_tol": 1e-6}
    if Coder is PSD:
        options["learning_rate_init"] = 0.1
    model = _new(
        Coder, 30, early_stopping=True, validation_fraction=0.25, max_iter=50, random_state=0
    )
    model.set_params(**options, max_inference_iter=5000).fit(X[:80])
    curve = model.validation_curve_
    assert model.converged_ and len(curve) == model.n_iter_ < 50
    assert np.argmin(curve) == len(curve) - 4
    assert _objective(model, X[_held_out(80, 0.25)]) == pytest.approx(min(curve), rel=1e-4)
    with pytest.raises(ValueError, match="validation_fraction"):
        _new(Coder, early_stopping=True).fit(X[:5])


@pytest.mark.parametrize("Coder", CODERS)
def test_early_stopping_does_not_train_on_the_held_out_rows(Coder):
    options = {"alpha": 0.1, "max_iter": 1, "batch_size": 50, "random_state": 0}
    model = _new(Coder, 40, early_stopping=True, validation_fraction=0.5, **options)
    other = X.copy()
    other[_held_out(300, 0.5)] *= 2
    atoms, curve = model.fit(X).components_, model.validation_curve_
    np.testing.assert_array_equal(model.fit(other).components_, atoms)
    assert model.validation_curve_ != curve


@pytest.mark.parametrize("Coder", CODERS)
def test_early_stopping_resumes_to_the_same_bits(Coder, tmp_path):
    options = {**STEADY, "early_stopping": True}
    _new(Coder, **options, max_iter=2, checkpoint=tmp_path / "coder").fit(X)
    resumed = _new(Coder, **options, max_iter=5, checkpoint=tmp_path / "coder", resume=True).fit(X)
    whole = _new(Coder, **options, max_iter=5).fit(X)
    np.testing.assert_array_equal(resumed.components_, whole.components_)
    assert resumed.validation_curve_ == whole.validation_curve_


@pytest.mark.parametrize("Coder", CODERS)
def test_warm_start_goes_on(Coder):
    whole = _new(Coder, **STEADY, max_iter=4).fit(X)
    again = _new(Coder, **STEADY, max_iter=2, warm_start=True).fit(X).fit(X)
    np.testing.assert_array_equal(again.components_, whole.components_)
    assert again.loss_curve_ == whole.loss_curve_
    for method in (again.set_params(n_components=7).fit, again.partial_fit):
        with pytest.raises(ValueError, match="n_components must stay as it was"):
            method(X)
    assert again.set_params(warm_start=False).fit(X).components_.shape == (7, 64)


def test_a_given_dictionary_is_where_learning_goes_on():
    atoms = X[:20] / np.linalg.norm(X[:20], axis=1, keepdims=True)
    model = SparseCoder(dictionary=atoms, warm_start=True, alpha=0.1).fit(X)
    before = _objective(model, X)
    assert model.n_iter_ == 0 and not model.converged_
    model.set_params(dictionary=None, n_components=20).fit(X)
    assert model.n_iter_ > 0 and _objective(model, X) < 0.9 * before
    model.set_params(dictionary=X[:3]).fit(X)
    np.testing.assert_array_equal(model.components_, X[:3])


@pytest.mark.parametrize("Coder", CODERS)
def test_a_training_that_has_not_converged_says_so(Coder):
    with pytest.warns(ConvergenceWarning, match="max_iter=2 before it converged") as caught:
        assert not _new(Coder, **STEADY, max_iter=2).fit(X).converged_
    # There is no rate to change where there is none.
    assert ("learning_rate" in str(caught[0].message)) == (Coder is PSD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _new(Coder, 20, alpha=0.1, tol=0.5, n_iter_no_change=2).fit(X).converged_


def test_the_rate_of_psd_falls():
    model = PSD(**STEADY, max_iter=4)
    moves = []

    class Recording:
        def start(self, params):
            return {}

        def step(self, params, grad, state, learning_rate):
            moves.append(learning_rate)

    model.set_params(solver=Recording()).fit(X)
    expected = 3e-3 * (1 + np.cos(np.pi * np.arange(12) / 12)) / 2
    np.testing.assert_allclose(moves, expected)


@pytest.mark.parametrize("Coder", CODERS)
def test_default_fits_do_not_warn(Coder):
    X = StandardScaler().fit_transform(load_wine().data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = Coder(random_state=0).fit(X)
    assert model.converged_ == (Coder is SparseCoder)  # PSD takes all steps of its schedule
