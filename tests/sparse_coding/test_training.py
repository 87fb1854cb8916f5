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


@pytest.mark.parametrize("Coder", CODERS)
def test_codes_do_not_depend_on_the_scale_of_x_by_default(Coder):
    def fitted(unit):
        return _new(Coder, 20, max_iter=3, random_state=0).fit(unit * X)

    plain = fitted(1.0)
    assert plain.alpha_ == pytest.approx(np.sqrt(X.var(axis=0).mean()))
    for unit in (2.0**-10, 2.0**10):
        model = fitted(unit)
        assert model.alpha_ == pytest.approx(unit * plain.alpha_)
        codes, expected = model.transform(unit * X), unit * plain.transform(X)
        np.testing.assert_allclose(codes, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    standardized = StandardScaler().fit_transform(load_wine().data)
    assert _new(Coder, 5, max_iter=1).fit(standardized).alpha_ == pytest.approx(1)


@pytest.mark.parametrize("Coder", CODERS)
def test_alpha_is_a_number_or_a_multiple_of_that_of_the_first_rows(Coder):
    model = _new(Coder, 20, alpha="0.5*auto", max_iter=2, random_state=0)
    with pytest.raises(AttributeError, match="alpha_"):
        model.alpha_  # noqa: B018
    half = model.partial_fit(X[:100]).alpha_
    assert half == pytest.approx(0.5 * np.sqrt(X[:100].var(axis=0).mean()))
    codes = model.transform(X)
    assert model.partial_fit(9 * X[100:]).alpha_ == half
    assert model.set_params(alpha=0.25).alpha_ == 0.25
    number = _new(Coder, 20, alpha=half, max_iter=2, random_state=0).partial_fit(X[:100])
    np.testing.assert_allclose(number.transform(X), codes)
    for wrong in ("half", "-1*auto"):
        with pytest.raises(ValueError, match="alpha must be a number >= 0, 'auto', or a multiple"):
            model.set_params(alpha=wrong).fit(X)


def test_alpha_of_a_given_dictionary_is_that_of_the_rows_of_fit():
    atoms = np.eye(X.shape[1])[:30]
    model = SparseCoder(dictionary=atoms).fit(3 * X)
    alpha = 3 * np.sqrt(X.var(axis=0).mean())
    assert model.alpha_ == pytest.approx(alpha)
    correlations = 3 * X[:, :30]
    expected = np.sign(correlations) * np.maximum(np.abs(correlations) - alpha, 0)
    np.testing.assert_allclose(model.transform(3 * X), expected, atol=1e-10)
