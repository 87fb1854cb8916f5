"""What an estimator makes of the units of X: none of it depends on them."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, normalize

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    StackedAE,
    StackedAEClassifier,
)
from skae._estimators.columns import Columns, one_hot_groups
from skae._estimators.parameters import resolved
from skae.generative import (
    EnergyAE,
    JointEnergy,
    local_moments,
    sample_chain,
    sample_langevin,
    sample_walkback,
)
from skae.manifold import tangent_basis

rng = np.random.default_rng(0)
N, SCALES, CENTERS = 120, np.array([1e-3, 1.0, 40.0, 7.0, 1e4]), np.array([1e-2, 0, -300, 5, 2e4])
HIDDEN = rng.standard_normal((N, 2)) @ rng.standard_normal((2, 5))
RAW = CENTERS + SCALES * (HIDDEN + 0.3 * rng.standard_normal((N, 5)))
SCALER = StandardScaler().fit(RAW)
SCALED = SCALER.transform(RAW)
DIGITS, LABELS = load_digits(return_X_y=True)
# Nearly binary, as photographs of ink are.
INK = np.clip(3 * (DIGITS - 5), 0, 16)
FAST = {"max_iter": 5, "batch_size": 40, "learning_rate_init": 0.01, "random_state": 0}
LOW, HIGH = AutoEncoder(5, **FAST), AutoEncoder(3, **FAST)
MODELS = {
    "plain": AutoEncoder(5, **FAST),  # with fewer units than columns, another variance suits them
    "untied": AutoEncoder(4, tied_weights=False, activation="tanh", **FAST),
    "deep": AutoEncoder(3, hidden_layer_sizes=(6,), activation="softplus", **FAST),
    # Other than one sigmoid layer: no variance of the columns but 1 suits it, and its units do not begin off.
    "contractive": ContractiveAE(4, activation="tanh", contraction=0.1, **FAST),
    "noisy": DenoisingAE(4, activation="tanh", corruption="gaussian", **FAST),
    "energy": EnergyAE(4, **FAST),
    "machine": RBM(4, **FAST),
    "stack": StackedAE([("low", LOW), ("high", HIGH)], random_state=0),
    "tuned": StackedAE(
        [("low", LOW), ("high", HIGH)], fine_tune="reconstruction", max_iter=3, random_state=0
    ),
}


def _plain(model):
    """Return ``model`` for data that are scaled already."""
    if isinstance(model, StackedAE):
        return clone(model).set_params(low__standardize=False)
    return clone(model).set_params(standardize=False)


def _pair(name):
    """Return models of raw and of hand-scaled data, with the same parameters."""
    raw, scaled = clone(MODELS[name]).fit(RAW), _plain(MODELS[name]).fit(SCALED)
    np.testing.assert_allclose(raw._params, scaled._params, rtol=1e-5, atol=1e-7)
    scaled._params[...] = raw._params
    return raw, scaled


def test_center_and_scale_are_those_of_scikit_learn():
    model = AutoEncoder(5, max_iter=1).fit(RAW)
    np.testing.assert_allclose(model.center_, SCALER.mean_, atol=1e-9 * SCALES.max())
    np.testing.assert_allclose((model.center_ - SCALER.mean_) / SCALER.scale_, 0, atol=1e-9)
    np.testing.assert_allclose(model.scale_, SCALER.scale_, rtol=1e-9)
    weights = rng.integers(0, 4, N).astype(float)
    peer = StandardScaler().fit(RAW, sample_weight=weights)
    model.fit(RAW, sample_weight=weights)
    np.testing.assert_allclose((model.center_ - peer.mean_) / peer.scale_, 0, atol=1e-9)
    np.testing.assert_allclose(model.scale_, peer.scale_, rtol=1e-9)
    repeated = clone(model).fit(np.repeat(RAW, weights.astype(int), axis=0))
    np.testing.assert_array_equal(model.center_, repeated.center_)
    np.testing.assert_array_equal(model.scale_, repeated.scale_)


def test_common_range_is_that_of_scikit_learn():
    model = AutoEncoder(5, max_iter=1).fit(INK)
    varies = np.ptp(INK, axis=0) > 0
    np.testing.assert_array_equal(dict(model.column_losses_)["bernoulli"], np.flatnonzero(varies))
    whole = MinMaxScaler().fit(INK[:, varies].reshape(-1, 1))
    np.testing.assert_array_equal(model.center_[varies], whole.data_min_[0])
    np.testing.assert_array_equal(model.scale_[varies], whole.data_range_[0])
    codes = AutoEncoder(5, max_iter=1, loss="bernoulli", random_state=0)
    hand = codes.fit(whole.transform(INK[:, varies].reshape(-1, 1)).reshape(len(INK), -1))
    ours = AutoEncoder(5, max_iter=1, random_state=0).fit(INK)
    np.testing.assert_allclose(ours._params, hand._params, rtol=1e-6, atol=1e-9)


def test_a_shared_scale_is_the_root_of_the_mean_variance():
    model = AutoEncoder(5, standardize="shared", max_iter=1).fit(RAW)
    np.testing.assert_allclose(model.scale_, np.sqrt(RAW.var(axis=0).mean()), rtol=1e-9)
    pixels = rng.integers(0, 256, (200, 30)).astype(float)
    pixels[0], pixels[1] = 0, 255
    found = AutoEncoder(30, loss="gaussian", max_iter=1).fit(pixels)
    np.testing.assert_allclose(found.scale_, np.sqrt(pixels.var(axis=0).mean()), rtol=1e-9)
    np.testing.assert_allclose(found.center_, pixels.mean(axis=0), rtol=1e-8)
    each = AutoEncoder(30, loss="gaussian", standardize="columns", max_iter=1).fit(pixels)
    np.testing.assert_allclose(each.scale_, pixels.std(axis=0), rtol=1e-9)


def _counts_of_words():
    """Return counts of 40 words in 300 texts, mostly 0, which have no common range."""
    counts = np.random.default_rng(5).poisson(np.geomspace(0.03, 0.4, 40), (300, 40)).astype(float)
    counts[0, :3] = 12
    counts[1] = 2  # no column has only 0 and 1
    return counts


@pytest.mark.parametrize(
    "weigh", [np.asarray, np.log1p, normalize, lambda X: 1000 * X + 5, scipy.sparse.csr_matrix]
)
def test_counts_of_words_share_a_scale(weigh):
    X = weigh(_counts_of_words())
    dense = X.toarray() if weigh is scipy.sparse.csr_matrix else X
    found = AutoEncoder(40, max_iter=1).fit(X)
    np.testing.assert_allclose(found.scale_, np.sqrt(dense.var(axis=0).mean()), rtol=1e-9)
    named = SparseAutoEncoder(8, max_iter=1).fit(X)
    np.testing.assert_allclose(named.scale_, found.scale_, rtol=1e-9)


MIXED = np.matmul(*np.random.default_rng(6).standard_normal((2, 60, 60)))[:, :12]


@pytest.mark.parametrize("standardize, rows", [(False, 60), (True, 60), (False, 40)])
def test_principal_components_share_a_scale(standardize, rows):
    X = StandardScaler().fit_transform(MIXED) if standardize else MIXED
    components = PCA().fit(X[:rows]).transform(X)
    model = ContractiveAE(3, max_iter=1, random_state=0).fit(components)
    expected = np.sqrt(components.var(axis=0).mean() / model.model_.units.variance)
    np.testing.assert_allclose(model.scale_, expected, rtol=1e-6)


@pytest.mark.parametrize("columns", [range(11, -1, -1), range(7), [5, 2, 9, 0, 7, 11, 1, 3]])
def test_columns_in_another_order_are_no_components(columns):
    X = PCA().fit_transform(MIXED)[:, list(columns)]
    model = ContractiveAE(3, max_iter=1, random_state=0).fit(X)
    np.testing.assert_allclose(
        model.scale_, X.std(axis=0) / np.sqrt(model.model_.units.variance), rtol=1e-6
    )


@pytest.mark.slow
def test_codes_of_principal_components_know_the_neighbors_of_pixels():
    X, y = load_digits(return_X_y=True)
    rows = {"pixels": X, "components": PCA().fit(X[:500]).transform(X)[:, :60]}
    accuracy = {}
    for name, x in rows.items():
        neighbors = make_pipeline(ContractiveAE(random_state=0), KNeighborsClassifier())
        accuracy[name] = neighbors.fit(x[:500], y[:500]).score(x[500:], y[500:])
    assert accuracy["components"] > accuracy["pixels"] - 0.01


@pytest.mark.parametrize("kind", ["few columns", "mostly other values", "other units"])
def test_columns_of_a_table_have_their_own_scales(kind):
    X = _counts_of_words()
    if kind == "few columns":
        X = X[:, :20]
    elif kind == "mostly other values":
        X += rng.uniform(1, 2, X.shape)
    else:
        X *= np.geomspace(1, 1e3, X.shape[1])
    model = AutoEncoder(40, max_iter=1).fit(X)
    np.testing.assert_allclose(model.scale_, X.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_raw_and_scaled_data_make_the_same_model(name):
    raw, scaled = _pair(name)
    np.testing.assert_allclose(raw.transform(RAW), scaled.transform(SCALED), atol=1e-6)
    field = scaled.score_field(SCALED) * SCALER.scale_
    np.testing.assert_allclose(raw.score_field(RAW) / SCALES, field / SCALES, atol=1e-6)
    mapped = SCALER.inverse_transform(scaled.reconstruct(SCALED))
    np.testing.assert_allclose(raw.reconstruct(RAW) / SCALES, mapped / SCALES, atol=1e-6)
    codes = raw.transform(RAW[:9])
    decoded = SCALER.inverse_transform(scaled.inverse_transform(codes))
    np.testing.assert_allclose(raw.inverse_transform(codes) / SCALES, decoded / SCALES, atol=1e-6)
    np.testing.assert_allclose(raw.score_samples(RAW), scaled.score_samples(SCALED), rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_derivatives_are_in_the_units_of_x(name):
    raw, scaled = _pair(name)
    x = RAW[:6]
    jacobian = raw.jacobian(x)
    steps = 1e-4 * np.diag(SCALES)
    numeric = np.array([raw.transform(row + steps) - raw.transform(row - steps) for row in x])
    numeric = numeric.transpose(0, 2, 1) / (2e-4 * SCALES)
    np.testing.assert_allclose(jacobian * SCALES, numeric * SCALES, rtol=1e-5, atol=1e-7)
    mapped = scaled.jacobian(SCALED[:6]) / SCALER.scale_
    np.testing.assert_allclose(jacobian * SCALES, mapped * SCALES, rtol=1e-6, atol=1e-8)
    exact = np.linalg.svd(numeric, compute_uv=False)
    values = raw.singular_values(x)
    np.testing.assert_allclose(values, exact, rtol=1e-4, atol=1e-6 * exact.max())
    if name not in ("energy", "machine"):
        basis, tangents = tangent_basis(raw, x, 2)
        np.testing.assert_allclose(tangents, exact[:, :2], rtol=1e-4, atol=1e-6 * exact.max())
        lengths = np.linalg.norm(numeric @ basis[:, 0, :, np.newaxis], axis=(1, 2))
        np.testing.assert_allclose(lengths, exact[:, 0], rtol=1e-4)


@pytest.mark.parametrize("data", [RAW, DIGITS[:200]], ids=["real", "pixels"])
@pytest.mark.parametrize("name", MODELS)
def test_other_units_give_the_same_codes(name, data):
    codes = clone(MODELS[name]).fit_transform(data)
    moved = clone(MODELS[name]).fit_transform(data * 1000 + 5)
    np.testing.assert_allclose(moved, codes, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_sparse_rows_are_scaled_to_the_same_bits(name, dtype):
    data = DIGITS[:150].astype(dtype)
    data[:, 5] = 3  # a constant that is not 0
    dense, sparse = clone(MODELS[name]).fit(data), clone(MODELS[name])
    sparse.fit(scipy.sparse.csr_matrix(data))
    np.testing.assert_array_equal(sparse._params, dense._params)
    np.testing.assert_array_equal(sparse.center_, dense.center_)
    np.testing.assert_array_equal(sparse.scale_, dense.scale_)
    codes = dense.transform(data)
    np.testing.assert_array_equal(sparse.transform(scipy.sparse.csr_matrix(data)), codes)
    assert codes.dtype == dense.reconstruct(data).dtype == dense.jacobian(data[:2]).dtype == dtype


@pytest.mark.parametrize("name", MODELS)
def test_constant_columns_are_reconstructed_and_seen_by_nothing(name):
    constant = np.insert(RAW, [1, 4], [7.25, -1e5], axis=1)
    model, without = clone(MODELS[name]).fit(constant), clone(MODELS[name]).fit(RAW)
    np.testing.assert_allclose(model._params, without._params, rtol=1e-9, atol=1e-12)
    without._params[...] = model._params
    places = [1, 5]
    np.testing.assert_array_equal(model.reconstruct(constant)[:, places], constant[:, places])
    assert not model.score_field(constant)[:, places].any()
    assert not model.jacobian(constant[:3])[:, :, places].any()
    assert not model.encoder_weights_[0][:, places].any()
    assert not model.decoder_weights_[0][:, places].any()
    changed = constant.copy()
    changed[:, places] += 100
    np.testing.assert_array_equal(model.transform(changed), without.transform(RAW))
    np.testing.assert_array_equal(model.score_samples(changed), without.score_samples(RAW))


def test_columns_that_vary_by_rounding_only_are_constant():
    data = RAW.copy()
    data[:, 1] = 0.1 + 1e-17 * rng.integers(0, 3, N)
    data[::2, 3] = 1 + np.finfo(float).eps
    data[1::2, 3] = 1
    model = AutoEncoder(2, max_iter=1).fit(data)
    assert not model.encoder_weights_[0][:, [1, 3]].any()
    same = AutoEncoder(2, max_iter=1).fit(np.ones((20, 3)))
    assert np.isfinite(same.transform(np.ones((2, 3)))).all()


def _groups_by_hand(X, zero_one):
    """Return the shortest runs with a single one in each row, from the left on; a column of ones alone is none."""
    groups, start = [], 0
    while start < X.shape[1]:
        runs = range(start + 1, X.shape[1] + 1)
        single = (
            stop
            for stop in runs
            if zero_one[start:stop].all() and (X[:, start:stop].sum(axis=1) == 1).all()
        )
        stop = next(single, start + 1)
        if stop > start + 1:
            groups.append((start, stop))
        start = stop
    return groups


@pytest.mark.parametrize("seed", range(60))
def test_one_hot_groups_are_those_of_all_runs(seed):
    draw = np.random.default_rng(seed)
    n, parts = draw.integers(1, 12), []
    for _ in range(draw.integers(1, 6)):
        kind, width = draw.integers(4), draw.integers(1, 5)
        if kind == 0:
            parts.append(np.eye(width)[draw.integers(0, width, n)])
        elif kind == 1:
            parts.append(draw.integers(0, 2, (n, width)))
        elif kind == 2:
            parts.append(draw.integers(0, 3, (n, width)))
        else:
            parts.append(np.zeros((n, width)))
    X = np.hstack(parts).astype(float)
    zero_one = np.isin(X, (0, 1)).all(axis=0)
    expected = _groups_by_hand(X, zero_one)
    assert one_hot_groups(X, zero_one) == expected
    assert one_hot_groups(scipy.sparse.csr_matrix(X), zero_one) == expected
    explicit = scipy.sparse.csr_matrix(np.where(X == 0, 5, X))
    explicit.data[explicit.data == 5] = 0
    assert one_hot_groups(explicit, zero_one) == expected


@pytest.mark.parametrize("seed", range(5))
def test_statistics_are_those_of_numpy(seed):
    draw = np.random.default_rng(seed)
    X = draw.normal(draw.normal(0, 1e4, 6), 1, (70_000, 6))
    X[draw.random(X.shape) < 0.01] = np.nan
    weights = draw.integers(1, 4, len(X)).astype(float)
    columns = Columns(X, weights)
    repeated = np.repeat(X, weights.astype(int), axis=0)
    np.testing.assert_allclose(columns.mean, np.nanmean(repeated, axis=0), rtol=1e-12)
    np.testing.assert_allclose(columns.deviation, np.nanstd(repeated, axis=0), rtol=1e-9)
    np.testing.assert_array_equal(columns.low, np.nanmin(X, axis=0))
    np.testing.assert_array_equal(columns.high, np.nanmax(X, axis=0))


def test_rows_of_weight_zero_have_no_influence():
    groups = np.eye(3)[rng.integers(0, 3, N)]
    data = np.hstack([RAW, groups, rng.integers(0, 2, (N, 1))])
    weights = rng.random(N) + 0.5
    foreign = np.vstack([data, 1e6 * np.ones((4, 9)), np.full((4, 9), 1.0)])
    model = AutoEncoder(3, max_iter=1, random_state=0).fit(data, sample_weight=weights)
    with_foreign = clone(model).fit(foreign, sample_weight=np.append(weights, np.zeros(8)))
    np.testing.assert_array_equal(model.center_, with_foreign.center_)
    np.testing.assert_array_equal(model.scale_, with_foreign.scale_)
    assert [name for name, _ in model.column_losses_] == ["multinomial", "bernoulli", "gaussian"]
    for (name, columns), (other, others) in zip(model.column_losses_, with_foreign.column_losses_):
        assert name == other
        np.testing.assert_array_equal(columns, others)


def test_layers_trained_at_once_see_x_as_their_stack():
    weights = np.where(np.arange(N) < 60, 1.0, 0.0)
    layers = [("low", LOW), ("high", HIGH)]
    for corrupted in ("code", "input"):
        stack = StackedAE(layers, schedule="simultaneous", corrupted=corrupted, random_state=0)
        stack.fit(RAW, sample_weight=weights)
        low = stack.named_layers_.low
        np.testing.assert_array_equal(low.center_, stack.center_)
        np.testing.assert_array_equal(low.scale_, stack.scale_)
        codes = stack.named_layers_.high.transform(low.transform(RAW))
        np.testing.assert_allclose(stack.transform(RAW), codes, atol=1e-12)


@pytest.mark.slow
def test_folds_of_digits_have_the_same_losses():
    folds = [train for train, _ in KFold(10, shuffle=True, random_state=0).split(DIGITS)]
    few = [rng.choice(len(DIGITS), 300, replace=False) for _ in range(10)]
    for data in (DIGITS, DIGITS / 16, 255 - DIGITS * 10):
        names = set()
        for rows in folds + few:
            model = AutoEncoder(2, max_iter=1, batch_size=2000).fit(data[rows])
            names.add(tuple(name for name, _ in model.column_losses_))
        assert len(names) == 1
    scores = cross_val_score(AutoEncoder(5, max_iter=3, random_state=0), DIGITS, cv=5)
    assert np.isfinite(scores).all()
    scores = cross_val_score(DenoisingAE(5, max_iter=3, random_state=0), DIGITS / 16, cv=KFold(7))
    assert np.isfinite(scores).all()


def test_losses_that_were_found_may_be_named():
    found = AutoEncoder(4, **FAST).fit(INK / 16)
    named = AutoEncoder(4, loss=found.column_losses_, **FAST).fit(INK / 16)
    np.testing.assert_array_equal(found._params, named._params)
    np.testing.assert_array_equal(found.scale_, named.scale_)
    np.testing.assert_array_equal(found.transform(INK / 16), named.transform(INK / 16))
    mixed = np.hstack([RAW, np.eye(3)[rng.integers(0, 3, N)], rng.integers(0, 2, (N, 1))])
    found = AutoEncoder(4, **FAST).fit(mixed)
    named = AutoEncoder(4, loss=found.column_losses_, **FAST).fit(mixed)
    np.testing.assert_array_equal(found._params, named._params)
    # Pixels in 0 to 16 are cross-entropy in their range, which as a name needs to be in [0, 1].
    scaled = AutoEncoder(4, **FAST).fit(INK)
    again = AutoEncoder(4, loss=scaled.column_losses_, **FAST).fit(INK / 16)
    np.testing.assert_array_equal(scaled._params, again._params)
    with pytest.raises(ValueError, match=r"loss='bernoulli' needs X in \[0, 1\]"):
        AutoEncoder(4, loss=scaled.column_losses_, **FAST).fit(INK)


def test_later_calls_keep_the_scaling():
    model = AutoEncoder(5, warm_start=True, **FAST).fit(RAW)
    center, scale = model.center_.copy(), model.scale_.copy()
    model.partial_fit(RAW[:50] * 2 + 1).fit(RAW[::-1][:70] * 3)
    np.testing.assert_array_equal(model.center_, center)
    np.testing.assert_array_equal(model.scale_, scale)
    first = AutoEncoder(5, **FAST).partial_fit(RAW[:60])
    np.testing.assert_allclose(first.scale_, RAW[:60].std(axis=0), rtol=1e-9)
    first.partial_fit(RAW[60:])
    np.testing.assert_allclose(first.scale_, RAW[:60].std(axis=0), rtol=1e-9)
    model.set_params(warm_start=False).fit(2 * RAW)
    np.testing.assert_allclose(model.scale_, 2 * scale, rtol=1e-9)


@pytest.mark.parametrize("form", [np.array, scipy.sparse.csr_matrix], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "model",
    [
        DenoisingAE(4, warm_start=True, **FAST),
        RBM(4, warm_start=True, **FAST),
        StackedAE([4], random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.usefixtures("few_epochs")
def test_later_values_that_have_no_cross_entropy_are_told(model, form):
    rng = np.random.default_rng(0)
    binary = (rng.random((60, 5)) < [0.2, 0.4, 0.5, 0.6, 0.8]).astype(float)
    other = binary.copy()
    other[3, 2] = 2
    model = clone(model).fit(form(binary))
    # The log-likelihood of 0 or 1 is negative, that of 2 grows without a bound.
    assert isinstance(model, RBM) or (model.score_samples(form(binary)) < 0).all()
    later = [name for name in ("score_samples", "partial_fit", "fit") if hasattr(model, name)]
    for name in later[: 1 if isinstance(model, StackedAE) else None]:
        with pytest.warns(
            UserWarning, match="Column 2 has values from 0 to 2, and had 0 to 1 when"
        ):
            getattr(deepcopy(model), name)(form(other))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Column")
        model.score_samples(form(binary))
        model.score_samples(form(1.05 * binary))  # as test images may be somewhat brighter


def test_standardize_false_takes_x_as_it_is():
    model = AutoEncoder(3, standardize=False, **FAST).fit(DIGITS)
    assert not model.center_.any() and (model.scale_ == 1).all()
    assert model._shape["sizes"] == (64, 3)
    with pytest.raises(ValueError, match="standardize"):
        AutoEncoder(3, standardize="rows").fit(RAW)


# What reads a model in the units of X.


def test_local_covariances_and_samples_are_in_the_units_of_x():
    raw, scaled = _pair("plain")
    ours, theirs = (local_moments(model, x[:5], 0.5) for model, x in ((raw, RAW), (scaled, SCALED)))
    np.testing.assert_allclose(
        ours.mean / SCALES, SCALER.inverse_transform(theirs.mean) / SCALES, atol=1e-6
    )
    mapped = theirs.covariance * np.outer(SCALER.scale_, SCALER.scale_)
    units = np.outer(SCALES, SCALES)
    np.testing.assert_allclose(ours.covariance / units, mapped / units, atol=1e-6)


def _samples(model, x):
    options = {"n_steps": 4, "random_state": 0}
    yield sample_chain(model, x, sigma=0.3, **options)
    yield sample_langevin(model, x, sigma=0.5, **options)
    level = {"corruption": "gaussian", "corruption_level": 0.3}
    yield sample_walkback(model, x, **level, **options)


@pytest.mark.parametrize("name", ["plain", "deep", "stack"])
def test_chains_are_in_the_units_of_x(name):
    raw, scaled = _pair(name)
    pairs = list(zip(_samples(raw, RAW[:6]), _samples(scaled, SCALED[:6])))
    for number, (ours, theirs) in enumerate(pairs):
        mapped = theirs * SCALER.scale_ + SCALER.mean_
        if number < 2:
            np.testing.assert_allclose(ours / SCALES, mapped / SCALES, atol=1e-5)
        else:
            # Noise that depends on the bits of a row is other noise.
            assert ours.shape == mapped.shape
            spread = np.abs((ours - SCALER.mean_) / SCALER.scale_)
            assert spread.max() < 10


def test_samples_of_energies_are_in_the_units_of_x():
    raw, scaled = _pair("energy")
    options = {"n_steps": 5, "random_state": 0}
    ours, theirs = raw.sample(start=RAW[:7], **options), scaled.sample(start=SCALED[:7], **options)
    mapped = SCALER.inverse_transform(theirs)
    np.testing.assert_allclose(ours / SCALES, mapped / SCALES, atol=1e-6)
    free = raw.sample(500, n_steps=1, step_size=1e-9, random_state=0)
    np.testing.assert_allclose((free.mean(axis=0) - SCALER.mean_) / SCALER.scale_, 0, atol=0.2)
    np.testing.assert_allclose(free.std(axis=0), SCALER.scale_, rtol=0.15)
    joint = JointEnergy(AutoEncoder(3, **FAST), n_draws=2, burn_in=2, thin=1, random_state=0)
    joint.fit(RAW)
    near = joint.sample(x0=RAW, n_steps=1, step_size=1e-14, random_state=0)
    np.testing.assert_allclose(near / SCALES, RAW / SCALES, atol=1e-4)
    free = joint.sample(500, n_steps=1, step_size=1e-12, random_state=0)
    np.testing.assert_allclose((free.mean(axis=0) - SCALER.mean_) / SCALER.scale_, 0, atol=0.2)
    np.testing.assert_allclose(free.std(axis=0), SCALER.scale_, rtol=0.15)


@pytest.mark.parametrize("loss", ["bernoulli", "gaussian"])
def test_tangents_of_pixels_span_the_same_space(loss):
    data = INK[:300]
    options = {"max_iter": 10, "random_state": 0}
    raw = ContractiveAE(20, loss="auto" if loss == "bernoulli" else loss, **options).fit(data)
    scaled = ContractiveAE(20, loss=loss, **options).fit(data / 16)
    np.testing.assert_allclose(raw._params, scaled._params, rtol=1e-5, atol=1e-7)
    ours, theirs = tangent_basis(raw, data[:20], 4), tangent_basis(scaled, data[:20] / 16, 4)
    np.testing.assert_allclose(ours.singular_values * 16, theirs.singular_values, rtol=1e-4)
    overlap = np.linalg.svd(ours.basis @ theirs.basis.transpose(0, 2, 1), compute_uv=False)
    np.testing.assert_allclose(overlap, 1, atol=1e-4)


def test_a_tangent_classifier_takes_any_unit():
    base = ContractiveAE(20, max_iter=5, random_state=0)
    options = {"n_tangents": 3, "max_iter": 5, "random_state": 0, "tangent_storage": "float32"}
    model = ManifoldTangentClassifier(base, **options)
    ours = clone(model).fit(DIGITS[:300], LABELS[:300])
    theirs = clone(model).fit(DIGITS[:300] / 16, LABELS[:300])
    expected = theirs.predict_proba(DIGITS[300:400] / 16)
    np.testing.assert_allclose(ours.predict_proba(DIGITS[300:400]), expected, atol=1e-3)


def test_stacks_with_labels_and_recurrent_ones_take_any_unit():
    layers = [("low", AutoEncoder(8, **FAST)), ("high", AutoEncoder(6, **FAST))]
    y = (HIDDEN[:, 0] > 0).astype(int)
    for pretraining in ("unsupervised", "supervised", None):
        model = StackedAEClassifier(layers, pretraining=pretraining, **FAST)
        ours, theirs = clone(model).fit(RAW, y), clone(model).fit(1000 * RAW + 5, y)
        expected = ours.predict_proba(RAW)
        np.testing.assert_allclose(theirs.predict_proba(1000 * RAW + 5), expected, atol=1e-6)
    options = {"pretraining": None, "corruption": None, "solver": "lbfgs", "max_iter": 3}
    recurrent = RecurrentAE(layers, random_state=0, **options)
    with pytest.warns(match="L-BFGS stopped"):
        codes = clone(recurrent).fit_transform(RAW)
        moved = clone(recurrent).fit_transform(1000 * RAW + 5)
    np.testing.assert_allclose(moved, codes, atol=1e-5)


# Automatic strengths.


def test_multiples_of_auto():
    assert resolved("auto", "contraction", 4.0) == 4.0
    assert resolved("0.5*auto", "contraction", 4.0) == 2.0
    assert resolved(" 0.5 * auto ", "contraction", 4.0) == 2.0
    assert resolved("1e-3*auto", "contraction", 4.0) == 4e-3
    assert resolved("0*auto", "contraction", 4.0) == 0
    assert resolved(0.3, "contraction", 4.0) == 0.3 and resolved(0, "contraction", 4.0) == 0
    assert resolved(3, "contraction", 4.0) == 3.0


@pytest.mark.parametrize(
    "value",
    ["", "automatic", "half*auto", "auto*2", "*auto", "-1*auto", "nan*auto", "inf*auto"]
    + ["1*2*auto", -1, np.inf, np.nan, True, None],
)
def test_what_is_no_multiple_of_auto(value):
    with pytest.raises(ValueError, match=r"contraction must be a number >= 0, 'auto'"):
        resolved(value, "contraction", 4.0)


def test_contraction_is_a_multiple_of_the_automatic_one():
    options = {"max_iter": 2, "random_state": 0}
    whole, half = (
        ContractiveAE(4, contraction=value, **options).fit(RAW) for value in ("auto", "0.5*auto")
    )
    assert half.contraction_ == pytest.approx(whole.contraction_ / 2, rel=1e-12)
    number = ContractiveAE(4, contraction=half.contraction_, **options).fit(RAW)
    np.testing.assert_array_equal(number._params, half._params)
    with pytest.raises(ValueError, match="contraction"):
        ContractiveAE(4, contraction="much*auto").fit(RAW)
    moved = ContractiveAE(4, **options).fit(1000 * RAW + 5)
    assert moved.contraction_ == pytest.approx(whole.contraction_, rel=1e-6)
