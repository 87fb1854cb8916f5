import pickle

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import log_expit, log_softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoEncoder, ContractiveAE, ManifoldTangentClassifier, StackedAE
from skae.manifold import tangent_basis
from skae.manifold._store import TangentStore
from skae.nn.network import Network

X, y = load_digits(return_X_y=True)
X = X / 16
FEW = X[:300], y[:300]
BASE = ContractiveAE(40, max_iter=5, loss="bernoulli", random_state=0)
OPTIONS = {
    "n_tangents": 4,
    "max_iter": 5,
    "random_state": 0,
    "learning_rate_init": 0.01,
    "learning_rate": "constant",
    "batch_size": 50,
}


def _params(model):
    return model._params


def slopes_along_tangents(model, rows):
    """Return the mean of sum_u ||do/dx u||^2, by finite differences of the probabilities."""
    basis = tangent_basis(model.base_, rows, model.n_tangents).basis
    step, total = 1e-5, 0.0
    for k in range(model.n_tangents):
        ends = [model.predict_proba(rows + sign * step * basis[:, k]) for sign in (1, -1)]
        total += np.mean(np.sum(((ends[0] - ends[1]) / (2 * step)) ** 2, axis=1))
    return total


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["exact", "random"])
def test_the_penalty_holds_outputs_still_along_tangents(sampling):
    options = {**OPTIONS, "max_iter": 30, "tangent_sampling": sampling}
    free = ManifoldTangentClassifier(BASE, **{**options, "tangent_penalty": 0}).fit(*FEW)
    held = ManifoldTangentClassifier(BASE, **{**options, "tangent_penalty": 3}).fit(*FEW)
    assert slopes_along_tangents(held, X[300:400]) < 0.5 * slopes_along_tangents(free, X[300:400])
    assert held.score(X[900:], y[900:]) > 0.8


def test_first_objective_is_loss_plus_penalty():
    options = {**OPTIONS, "solver": "lbfgs", "max_iter": 1, "tangent_storage": "float32"}
    options |= {"tangent_sampling": "exact"}
    without = ManifoldTangentClassifier(BASE, **options, tangent_penalty=0).fit(*FEW)
    # After one step of L-BFGS the first weights are gone: those of the second model are put back.
    model = ManifoldTangentClassifier(BASE, **options, tangent_penalty=0.3).fit(*FEW)
    loss = -np.mean(np.log(model.predict_proba(FEW[0])[np.arange(300), FEW[1]]))
    expected = loss + 0.3 * slopes_along_tangents(model, FEW[0])
    assert model.loss_ == pytest.approx(expected, rel=1e-3)
    assert without.loss_ < expected


@pytest.mark.slow
def test_random_directions_are_unbiased():
    network = Network((64, 40, 10), ("sigmoid", "identity"), decoder=None)
    flat = network.initial(np.random.default_rng(0), np.float64)
    rows = np.arange(0, 40, 2)
    options = {"dtype": "float32", "tol": 1e-4, "seed": 0}
    exact = TangentStore(network, X[:40], rows, 3, random=False, **options)
    random = TangentStore(network, X[:40], rows, 3, random=True, **options)
    exact.update(flat)
    random.update(flat)
    all_of_them, one = np.empty((5, 3, 64)), np.empty((5, 1, 64))
    batch = rows[4:9], X[rows[4:9]]
    exact(*batch, np.arange(5), 0, all_of_them)
    expected = np.einsum("ikd,ike->ide", all_of_them, all_of_them)
    total, n_draws = np.zeros_like(expected), 4000
    for seed in range(n_draws):
        random(*batch, np.arange(5), seed, one)
        total += np.einsum("ikd,ike->ide", one, one)
    assert np.abs(total / n_draws - expected).max() < 0.05
    some = np.empty((2, 1, 64))
    random(*batch, np.array([1, 3]), seed, some)
    assert np.array_equal(some, one[[1, 3]])


@pytest.mark.slow
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("storage", ["float16", "float32", None])
def test_where_tangents_are_kept_changes_little(storage, output):
    reference = ManifoldTangentClassifier(BASE, **OPTIONS, output=output, tangent_storage="float32")
    model = clone(reference).set_params(tangent_storage=storage).fit(*FEW)
    np.testing.assert_allclose(
        model.predict_proba(X[300:]), reference.fit(*FEW).predict_proba(X[300:]), atol=0.02
    )
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_stack_and_fitted_base():
    options = {"contraction": 0.1, "curvature": 0.1, "loss": "bernoulli", "standardize": False}
    layer = ContractiveAE(30, max_iter=3, **options)
    stack = StackedAE([("low", layer), ("high", layer)], random_state=0)
    model = ManifoldTangentClassifier(stack, **OPTIONS).fit(*FEW)
    assert model._shape["sizes"] == (64, 30, 30, 10)
    fitted = clone(stack).fit(FEW[0])
    before = fitted._params.copy()
    again = ManifoldTangentClassifier(fitted, prefit=True, **OPTIONS).fit(*FEW)
    np.testing.assert_array_equal(fitted._params, before)
    np.testing.assert_array_equal(_params(again), _params(model))


def test_unlabeled_rows_train_the_base_only():
    labels = np.where(np.arange(600) < 200, y[:600], -1)
    options = {**OPTIONS, "tangent_penalty": 1.0}  # 'auto' looks at all rows
    options |= {"penalize_unlabeled": False}
    model = ManifoldTangentClassifier(BASE, **options).fit(X[:600], labels)
    fitted = clone(BASE).fit(X[:600])
    alone = ManifoldTangentClassifier(fitted, prefit=True, **options).fit(X[:200], y[:200])
    np.testing.assert_allclose(_params(model), _params(alone), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(model.classes_, np.arange(10))


def test_unlabeled_rows_may_be_penalized():
    labels = np.where(np.arange(300) < 100, y[:300], -1)
    options = {**OPTIONS, "solver": "lbfgs", "max_iter": 1, "tangent_storage": "float32"}
    options |= {"tangent_sampling": "exact"}
    model = ManifoldTangentClassifier(BASE, **options, penalize_unlabeled=True, tangent_penalty=0.1)
    model.fit(X[:300], labels)
    loss = -np.mean(np.log(model.predict_proba(X[:100])[np.arange(100), y[:100]]))
    expected = loss + 0.1 * slopes_along_tangents(model, X[:300])
    assert model.loss_ == pytest.approx(expected, rel=1e-3)
    minibatches = ManifoldTangentClassifier(
        BASE, **{**OPTIONS, "max_iter": 20}, penalize_unlabeled=True, early_stopping=True
    ).set_params(unlabeled_per_labeled=None)
    assert minibatches.fit(X[:300], labels).score(X[900:], y[900:]) > 0.6
    with pytest.raises(ValueError, match="penalize_unlabeled=True needs output='softmax'"):
        model.set_params(output="sigmoid").fit(X[:300], labels)


def test_no_label_to_stop_on():
    labels = np.full(300, -1)
    labels[:4] = [0, 0, 1, 1]
    model = ManifoldTangentClassifier(
        BASE, **OPTIONS, penalize_unlabeled=True, early_stopping=True, validation_fraction=0.02
    )
    with pytest.raises(ValueError, match="no sample with a label for validation"):
        model.fit(X[:300], labels)


def test_indicator_matrix():
    Y = np.column_stack([y % 2, y > 4])
    model = ManifoldTangentClassifier(BASE, **{**OPTIONS, "max_iter": 20}).fit(X[:900], Y[:900])
    assert (model.predict(X[900:]) == Y[900:]).mean() > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("update", [None, 2])
@pytest.mark.parametrize("sampling", ["exact", "random"])
def test_resume_to_the_same_bits(tmp_path, update, sampling):
    options = {**OPTIONS, "max_iter": 7, "update_tangents": update, "tangent_sampling": sampling}
    whole = ManifoldTangentClassifier(BASE, **options).fit(*FEW)
    part = ManifoldTangentClassifier(BASE, **{**options, "max_iter": 5}, checkpoint=tmp_path / "m")
    part.fit(*FEW)
    assert (tmp_path / "m.base").exists()
    rest = ManifoldTangentClassifier(BASE, **options, checkpoint=tmp_path / "m", resume=True)
    np.testing.assert_array_equal(_params(rest.fit(*FEW)), _params(whole))


def test_new_tangents_change_the_training():
    fixed = ManifoldTangentClassifier(BASE, **OPTIONS, tangent_penalty=1).fit(*FEW)
    renewed = ManifoldTangentClassifier(BASE, **OPTIONS, tangent_penalty=1, update_tangents=2)
    assert np.abs(_params(renewed.fit(*FEW)) - _params(fixed)).max() > 1e-3


@pytest.mark.slow
def test_float32_sparse_grid_and_pickle():
    model = ManifoldTangentClassifier(BASE, **OPTIONS).fit(X[:300].astype(np.float32), y[:300])
    assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert len(pickle.dumps(model)) < 1e6
    pipeline = make_pipeline(MinMaxScaler(clip=True), ManifoldTangentClassifier(BASE, **OPTIONS))
    grid = {
        "manifoldtangentclassifier__tangent_penalty": [0.0, 0.1],
        "manifoldtangentclassifier__base__contraction": [0.1],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*FEW)
    assert search.best_score_ > 0.5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"base": MinMaxScaler()}, TypeError, "base must be an auto-encoder or a StackedAE"),
        (
            {"n_tangents": 41},
            ValueError,
            "n_tangents=41 must be at most 40: the columns of X that vary, or the units",
        ),
        (
            {"base": AutoEncoder(5, max_iter=1).fit(X[:, :9]), "prefit": True},
            ValueError,
            "X has 64 features, but AutoEncoder is expecting 9 features",
        ),
        ({"update_tangents": 0}, ValueError, "update_tangents"),
    ],
)
def test_bad_parameters_leave_the_model_as_it_was(options, error, message):
    model = ManifoldTangentClassifier(BASE, **OPTIONS).fit(*FEW)
    before = _params(model).copy()
    with pytest.raises(error, match=message):
        model.set_params(**options).fit(*FEW)
    np.testing.assert_array_equal(_params(model), before)


@pytest.mark.slow
def test_training_does_not_stop_where_new_tangents_raise_the_loss():
    options = {**OPTIONS, "max_iter": 60, "tangent_penalty": 3.0, "n_iter_no_change": 5, "tol": 0}
    base = clone(BASE).set_params(standardize=False)  # another start converges before epoch 60
    model = ManifoldTangentClassifier(base, **options, update_tangents=20).fit(*FEW)
    raised = [model.loss_curve_[epoch] > model.loss_curve_[epoch - 1] for epoch in (20, 40)]
    assert any(raised)
    assert model.n_iter_ == 60


def test_new_tangents_need_minibatches():
    model = ManifoldTangentClassifier(BASE, **OPTIONS, solver="lbfgs", update_tangents=2)
    with pytest.raises(ValueError, match="update_tangents=2 .* solver='lbfgs'"):
        model.fit(*FEW)


def test_weights_do_not_change_the_share_of_the_loss():
    labels = np.where(np.arange(300) < 100, y[:300], -1)
    options = {**OPTIONS, "learning_rate_init": 1e-9, "batch_size": 300, "max_iter": 1}
    options |= {"penalize_unlabeled": True, "tangent_penalty": 1e-12}
    for weight in (1.0, 9.0):
        weights = np.where(labels < 0, weight, 1.0)
        model = ManifoldTangentClassifier(BASE, **options)
        model.fit(X[:300], labels, sample_weight=weights)
        # Of output weights 0, whose softmax is uniform.
        assert model.loss_curve_[0] == pytest.approx(np.log(10), rel=1e-6)


@pytest.mark.parametrize("ratio", [0.5, 2, 7.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_unlabeled_rows_are_dealt_out_to_labeled_ones(weighted, ratio):
    labels = np.where(np.arange(300) < 60, y[:300], -1)
    rng = np.random.default_rng(0)
    weights = rng.random(300) + np.where(labels < 0, 3, 1) if weighted else None
    options = {**OPTIONS, "learning_rate_init": 1e-9, "max_iter": 1, "tangent_penalty": 1e-12}
    options |= {"penalize_unlabeled": True, "unlabeled_per_labeled": ratio}
    model = ManifoldTangentClassifier(BASE, **options).fit(X[:300], labels, sample_weight=weights)
    # Of output weights 0, whose softmax is uniform: whatever is drawn, the loss is over the labeled rows.
    assert model.loss_ == pytest.approx(np.log(10), rel=0.05 if weighted else 1e-6)


def test_as_many_unlabeled_rows_as_there_are_penalize_all():
    labels = np.where(np.arange(300) < 100, y[:300], -1)
    options = {**OPTIONS, "batch_size": 300, "penalize_unlabeled": True}
    whole = ManifoldTangentClassifier(BASE, **options, unlabeled_per_labeled=None)
    whole.fit(X[:300], labels)
    dealt = ManifoldTangentClassifier(BASE, **options, unlabeled_per_labeled=2)
    dealt.fit(X[:300], labels)
    np.testing.assert_allclose(dealt.loss_curve_, whole.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalize_unlabeled": False}, "needs penalize_unlabeled=True"),
        ({"solver": "lbfgs"}, "unlabeled_per_labeled=2 changes what is minimized"),
        ({"unlabeled_per_labeled": 0}, "unlabeled_per_labeled"),
    ],
)
def test_bad_mixtures(options, message):
    options = {"penalize_unlabeled": True, "unlabeled_per_labeled": 2, **options}
    with pytest.raises(ValueError, match=message):
        ManifoldTangentClassifier(BASE, **OPTIONS).set_params(**options).fit(*FEW)


@pytest.mark.parametrize("values", [(-1, 1), (0, 5)])
def test_an_indicator_matrix_has_zeros_and_ones(values):
    Y = np.where(np.column_stack([FEW[1] % 2, FEW[1] > 4]), values[1], values[0])
    with pytest.raises(ValueError, match="indicator matrix (of 0 and 1|with -1 .* is 0, not -1)"):
        ManifoldTangentClassifier(BASE, **OPTIONS).fit(FEW[0], Y)


def test_one_unlabeled_row_is_no_class_to_hold_out():
    labels = FEW[1].copy()
    labels[0] = -1
    model = ManifoldTangentClassifier(BASE, **OPTIONS, penalize_unlabeled=True, early_stopping=True)
    assert model.fit(FEW[0], labels).n_iter_ == 5


def test_what_a_part_prints_is_no_part_of_a_checkpoint(tmp_path, capsys):
    model = ManifoldTangentClassifier(BASE, **OPTIONS, checkpoint=tmp_path / "m").fit(*FEW)
    again = clone(model).set_params(resume=True, base__verbose=100).fit(*FEW)
    np.testing.assert_array_equal(_params(again), _params(model))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("columns", "options", "dropout"),
    [
        ("with labels of noise", {}, 0.5),
        ("with noise of sparse rows", {}, 0.5),
        ("with labels of X", {}, 0.0),
        ("with a common range", {}, 0.0),
        ("with labels of noise", {"max_iter": 3}, 0.0),
        ("with labels of noise", {"base": ContractiveAE(99, max_iter=2, random_state=0)}, 0.0),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_units_are_dropped_if_labels_are_noise(columns, options, dropout):
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(40, 4)), np.arange(40) % 2
    if columns == "with a common range":
        rows = rng.integers(0, 17, (40, 6))
    elif columns == "with labels of X":
        rows[:, 0] += 100 * targets
    elif columns == "with noise of sparse rows":
        rows = csr_matrix(rng.poisson(0.3, (40, 40)) * rng.uniform(1, 2, 40))
    base = ContractiveAE(100, max_iter=2, random_state=0)
    options = {"base": base, "batch_size": 40, "random_state": 0} | options
    model = ManifoldTangentClassifier(**options).fit(rows, targets)
    same = ManifoldTangentClassifier(dropout=dropout, **options).fit(rows, targets)
    other = ManifoldTangentClassifier(dropout=0.5 - dropout, **options).fit(rows, targets)
    np.testing.assert_array_equal(_params(model), _params(same))
    assert not np.array_equal(_params(model), _params(other))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_classes_of_certain_outputs_are_those_of_the_largest_logits(output, dtype):
    """Means of logits of 20 and of 30 are both 1 in float32, and those of -800 and of -900 both 0."""
    base = AutoEncoder(20, activation="identity", loss="gaussian", max_iter=2, random_state=0)
    options = {"tangent_penalty": 0, "max_iter": 30, "random_state": 0, "output": output}
    model = ManifoldTangentClassifier(base, **options).fit(FEW[0].astype(dtype), FEW[1])
    params, scaling = model.model_.params, model.model_.scaling
    for factor in 30, 3000:
        far = (factor * X[300:600]).astype(dtype)
        logits = scaling.apply(far).astype(np.float64)
        for weights, biases in zip(params.encoder_weights, params.encoder_biases):
            logits = logits @ weights.T.astype(np.float64) + biases
        clear = np.diff(np.sort(logits, axis=1)[:, -2:])[:, 0] > 1e-3 * np.abs(logits).max(axis=1)
        np.testing.assert_array_equal(model.predict(far)[clear], logits.argmax(axis=1)[clear])
        expected = log_expit(logits) if output == "sigmoid" else logits
        expected = log_softmax(expected, axis=1)
        found = model.predict_log_proba(far)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(logits).max())
        np.testing.assert_allclose(model.predict_proba(far).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(model.predict_proba(far), np.exp(found), rtol=1e-4, atol=1e-30)
