"""Wrong arguments: each error names the parameter and says what to give instead."""

import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

import skae
from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
)
from skae._estimators import fitting, reading
from skae.datasets import make_digits, make_rectangles, published_split
from skae.generative import (
    EnergyAE,
    JointEnergy,
    ball_moments,
    local_moments,
    parzen_comparison,
    parzen_log_likelihood,
    sample_chain,
    sample_walkback,
)
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD, denoise, sample_patches
from skae.manifold import (
    LocalPCA,
    ManifoldTangentClassifier,
    TangentNeighborsClassifier,
    iter_tangents,
    tangent_basis,
    tangent_terms,
)
from skae.sources import apply
from skae.training import LBFGS, SGD, Adam

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > 0.5).astype(int)
DEEP = StackedAE([("low", AutoEncoder(4, max_iter=1)), ("high", AutoEncoder(3, max_iter=1))])


class _WithoutStep:
    def start(self, params):
        return {}


class _Noise:
    def __call__(self, X, seed, out):
        out[...] = X


@pytest.mark.parametrize("Estimator", [AutoEncoder, RBM, PSD, DenoisingAE, StackedAEClassifier])
def test_a_solver_is_an_instance_with_start_and_step(Estimator):
    for wrong in (Adam, SGD):
        with pytest.raises(
            TypeError, match=r"solver=.*is a class: give an instance of it, \w+\(\)"
        ):
            Estimator(solver=wrong).fit(X, Y)
    with pytest.raises(ValueError, match="'solver' parameter.*'start' and 'step'"):
        Estimator(solver=_WithoutStep()).fit(X, Y)


def test_a_corruption_is_a_name_or_an_instance():
    for estimator in (DenoisingAE(3, corruption=_Noise), StackedAEClassifier(corruption=_Noise)):
        with pytest.raises(TypeError, match="corruption=.*is a class: give an instance"):
            estimator.fit(X, Y)
    model = DenoisingAE(3, max_iter=1).fit(X)
    for wrong in (["masking"], {}, 5):
        with pytest.raises(ValueError, match="corruption must be one of"):
            sample_walkback(model, X, 2, corruption=wrong, corruption_level=0.1)


@pytest.mark.parametrize(
    "model", [AutoEncoder(3, max_iter=1), RBM(3, max_iter=1), DEEP, SparseCoder(3, max_iter=1)]
)
def test_codes_may_be_sparse_and_have_the_right_width(model):
    codes = np.eye(3)
    model.fit(X)
    sparse = model.inverse_transform(scipy.sparse.csr_matrix(codes))
    np.testing.assert_array_equal(sparse, model.inverse_transform(codes))
    with pytest.raises(ValueError, match="X must have .*3.*got .*4"):
        model.inverse_transform(np.ones((2, 4)))
    with pytest.raises(ValueError, match="X: Complex data not supported"):
        model.inverse_transform(1j * codes)
    with pytest.raises(ValueError, match="X: could not convert string to float"):
        model.inverse_transform("codes")


def test_whitened_rows_have_the_width_of_rows():
    zca = ZCA().fit(X)
    with pytest.raises(
        ValueError, match=r"\(n_samples, 6\), as transform returns it; got \(40, 3\)"
    ):
        zca.inverse_transform(X[:, :3])
    with pytest.raises(TypeError, match="Sparse data was passed for X.*toarray"):
        zca.inverse_transform(scipy.sparse.csr_matrix(X))


def test_a_single_image_is_no_list_of_images():
    with pytest.raises(ValueError, match=r"images must be a list.*\[image\] for a single one"):
        sample_patches(np.ones((9, 9)), (3, 3), 5)


def test_generated_sets_name_what_is_missing():
    with pytest.raises(ValueError, match="n_samples.*>= 1"):
        make_rectangles(0)
    with pytest.raises(ValueError, match="y must be the classes"):
        make_digits(np.ones((5, 16)), None)


def test_published_split_takes_sparse_rows():
    rows = np.arange(1300.0)[:, np.newaxis]
    parts = published_split(scipy.sparse.csr_matrix(rows), rows.ravel(), "rect")
    for X_part, y_part in parts.values():
        np.testing.assert_array_equal(X_part.toarray().ravel(), y_part)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        published_split(rows, rows[:1250], "rect")
    with pytest.raises(ValueError, match="X and y must be arrays"):
        published_split(None, None, "rect")


def test_parzen_names_what_is_wrong():
    with pytest.raises(TypeError, match="block_size must be an instance of int"):
        parzen_log_likelihood(X, X, 0.1, block_size="a")
    with pytest.raises(ValueError, match="block_size.*>= 1"):
        parzen_log_likelihood(X, X, 0.1, block_size=0)
    names = "samples", "X_train", "X_test", "X_validation"
    for missing in names:
        data = {name: None if name == missing else X for name in names}
        with pytest.raises(ValueError, match=f"{missing} must be an array"):
            parzen_comparison(**data)


@pytest.mark.parametrize("margin", [None, "a", np.nan, [0.1]])
def test_bounds_of_moments_are_numbers(margin):
    model = AutoEncoder(3, loss="gaussian", max_iter=1).fit(X)
    with pytest.raises(ValueError, match="margin must be between 0 and 1"):
        local_moments(model, X[:2], 0.1, margin=margin)
    with pytest.raises(ValueError, match="centers must have the 6 features of X"):
        ball_moments(X, X[:2, :3], 1.0)


def test_options_of_chains_are_of_their_kind():
    model = AutoEncoder(3, loss="gaussian", max_iter=1).fit(X)
    for noise in ("cv", ["a"], {}, 1j):
        with pytest.raises(ValueError, match="output_noise must be a number"):
            sample_walkback(
                model, X[:2], 2, corruption="masking", corruption_level=0.1, output_noise=noise
            )
    with pytest.raises(ValueError, match="covariance must be one of"):
        sample_chain(model, X[:2], 2, covariance=["jacobian"])


@pytest.mark.parametrize("n_jobs", ["all", 2.5, np.inf, [2]])
def test_numbers_of_threads_are_integers(n_jobs):
    model = AutoEncoder(3, max_iter=1).fit(X)
    with pytest.raises(TypeError, match="n_jobs must be an instance of int"):
        tangent_basis(model, X[:2], 2, n_jobs=n_jobs)
    with pytest.raises(TypeError, match="n_jobs must be an instance of int"):
        list(iter_tangents(model, X[:2], 2, n_jobs=n_jobs))
    with pytest.raises(TypeError, match="n_jobs must be an instance of int"):
        parzen_log_likelihood(X, X, 0.1, n_jobs=n_jobs)


@pytest.mark.parametrize("coder", [None, "coder", SparseCoder, PCA()])
def test_images_are_cleaned_by_an_estimator(coder):
    with pytest.raises(TypeError, match="coder must be a fitted estimator with reconstruct"):
        denoise(X, coder, (2, 2))
    with pytest.raises(ValueError, match="patch_size must be a positive integer or a pair"):
        denoise(X, SparseCoder(2, max_iter=1).fit(X[:, :4]), (2, 2, 1))


@pytest.mark.parametrize("images", [0, np.float32(1), [], object, scipy.sparse.eye(9).tocsr()])
def test_images_are_a_list(images):
    with pytest.raises(ValueError, match="images must be a list of at least one"):
        make_rectangles(5, images=images)
    with pytest.raises(ValueError, match="images must be a list of at least one"):
        sample_patches(images, (3, 3), 5)


def test_arrays_that_are_none_are_named():
    model = AutoEncoder(3, max_iter=1).fit(X)
    for name, call in {
        "centers": lambda value: ball_moments(X, value, 1.0),
        "samples": lambda value: parzen_log_likelihood(value, X, 0.1),
        "X_test": lambda value: parzen_log_likelihood(X, value, 0.1),
        "start": lambda value: tangent_basis(model, X, 2, start=value),
        "image": lambda value: denoise(value, SparseCoder(), (2, 2)),
        "dictionary": lambda value: SparseCoder(dictionary=value).fit(X),
        "init": lambda value: SparseCoder(3, max_iter=1).fit(X).infer(X, init=value),
    }.items():
        for value in (["a"], [["a", "b"]], [1.0, 2.0], {"a": 1.0}):
            with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
                call(value)
    filters = ConvolutionalFeatures(dictionary=[1.0, 2.0], patch_size=2, pool_grid=1)
    with pytest.raises(ValueError, match="dictionary: Expected 2D array"):
        filters.fit(X.reshape(-1, 4, 6))


def test_names_of_sets_are_strings():
    with pytest.raises(ValueError, match="name must be one of"):
        published_split(X, Y, ["rect"])
    with pytest.raises(ValueError, match="X and y must be arrays"):
        published_split(X, 1.0, "rect")
    with pytest.raises(ValueError, match="variation must be one of"):
        make_digits(np.ones((5, 16)), np.arange(5), ["basic"])


def test_names_of_features_are_strings():
    with pytest.raises(TypeError, match="feature_names must be strings"):
        tangent_terms([0.1, -0.9, 0.4], [1, 2, 3])
    for wrong in (1.0, [np.nan, 1.0]):
        with pytest.raises(ValueError, match="basis must be finite and of shape"):
            tangent_terms(wrong, ["a", "b"])


def test_atoms_of_a_deep_auto_encoder_do_not_exist():
    fitted = clone(DEEP).fit(X)
    with pytest.raises(
        ValueError,
        match="has neither components_.*without hidden layers or one of a stack's named_layers_",
    ):
        SparseCoder.from_estimator(fitted)
    SparseCoder.from_estimator(fitted.named_layers_.low)
    with pytest.raises(ValueError, match="fit it first"):
        SparseCoder.from_estimator(AutoEncoder())
    with pytest.raises(TypeError, match="estimator=.* is a class: give an instance of it"):
        SparseCoder.from_estimator(AutoEncoder)


@pytest.mark.parametrize("wrong", [None, "model", 3, X, object(), max])
def test_a_fitted_estimator_is_named(wrong):
    from skae.plotting import FilterDisplay

    for call in (SparseCoder.from_estimator, FilterDisplay.from_estimator, skae.onnx.to_onnx):
        with pytest.raises(TypeError, match="estimator must be a fitted estimator; got"):
            call(wrong)
    if not isinstance(wrong, int):
        with pytest.raises(TypeError, match="layers of make_stack must be estimators or widths"):
            skae.make_stack(wrong)


@pytest.mark.parametrize(
    "estimator",
    [
        SparseCoder(4, max_iter=2),
        AutoEncoder(4, solver="lbfgs", loss="gaussian", activation="identity", standardize=False),
    ],
)
def test_advice_names_no_parameter_that_does_nothing(estimator):
    # Squares of these leave the range of float32.
    huge = (1e30 * X).astype(np.float32)
    with pytest.raises(ValueError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(huge)
    assert "cale X" in str(caught.value) and "learning_rate" not in str(caught.value)


def test_advice_on_tangents_names_the_penalty_that_was_used():
    options = {"max_iter": 1, "random_state": 0}
    base = ContractiveAE(3, **options)
    model = ManifoldTangentClassifier(base, n_tangents=2, learning_rate_init=1e-9, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    (text,) = (str(each.message) for each in caught if each.category is ConvergenceWarning)
    assert f"tangent_penalty below {model.tangent_penalty_:.3g}," in text


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_reports_and_scores_do_not_depend_on_the_output_of_transform(output):
    pytest.importorskip(output)
    models = [DEEP, RBM(3, max_iter=1), ContractiveAE(3, max_iter=1)]
    for model in models:
        expected = model.fit(X).report(X)
        with config_context(transform_output=output):
            found = model.report(X)
        assert found.saturation == expected.saturation
        assert model.set_output(transform=output).report(X).saturation == expected.saturation
        model.set_output(transform="default")
    detector = AnomalyDetector(AutoEncoder(3, max_iter=1), random_state=0).fit(X)
    expected = detector.score_samples(X)
    with config_context(transform_output=output):
        np.testing.assert_array_equal(detector.score_samples(X), expected)
        np.testing.assert_array_equal(
            AnomalyDetector(AutoEncoder(3, max_iter=1), random_state=0).fit(X).score_samples(X),
            expected,
        )


@pytest.mark.parametrize(
    "estimator",
    [
        AutoEncoder(3, max_iter=1),
        SparseCoder(3, max_iter=1),
        DEEP,
        StackedAE([("low", AutoEncoder(3, max_iter=1))], fine_tune="supervised", max_iter=1),
        StackedAEClassifier([("low", AutoEncoder(3, max_iter=1))], max_iter=1),
        ZCA(),
        Imputer(AutoEncoder(3, max_iter=1)),
    ],
)
def test_names_of_an_earlier_fit_are_forgotten(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    assert list(estimator.fit(frame, Y).feature_names_in_) == list("abcdef")
    assert not hasattr(estimator.fit(X, Y), "feature_names_in_")


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (ManifoldTangentClassifier(ContractiveAE), "base"),
        (StackedAEClassifier([("low", ContractiveAE)]), "low"),
        (AnomalyDetector(AutoEncoder), "base"),
        (Imputer(AutoEncoder), "base"),
        (TangentNeighborsClassifier(ContractiveAE), "encoder"),
        (JointEnergy(AutoEncoder), "base"),
        (
            ConvolutionalFeatures(dictionary=SparseCoder, patch_size=(1, 3), pool_grid=1),
            "dictionary",
        ),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_part_is_an_instance(estimator, name):
    with pytest.raises(TypeError, match=name):
        estimator.fit(X, Y)


def _estimators():
    modules = (skae, skae.generative, skae.manifold, skae.images)
    every = {each for module in modules for each in vars(module).values() if inspect.isclass(each)}
    return [each for each in every if hasattr(each, "fit") and not inspect.isabstract(each)]


@pytest.mark.parametrize("Estimator", sorted(_estimators(), key=lambda each: each.__name__))
def test_what_a_fit_sets_is_missing_before_by_no_private_name(Estimator):
    parts = {"layers": [("low", RBM(2)), ("high", RBM(2))], "base": RBM(2)}
    needed = set(parts) & set(inspect.signature(Estimator).parameters)
    model = Estimator(**{name: parts[name] for name in needed})
    names = {name for Class in Estimator.__mro__ for name in vars(Class)}
    for name in names:
        if name.endswith("_") and not name.startswith("_"):
            with pytest.raises(AttributeError) as error:
                getattr(model, name)
            assert "attribute '_" not in str(error.value)


_RESUMING = [
    each
    for each in _estimators()
    if {"checkpoint", "resume"} <= {*inspect.signature(each).parameters}
]


@pytest.mark.parametrize("Estimator", sorted(_RESUMING, key=lambda each: each.__name__))
def test_resume_needs_a_checkpoint(Estimator):
    assert len(_RESUMING) > 14
    parts = {"layers": [("low", RBM(2)), ("high", RBM(2))], "base": RBM(2)}
    needed = set(parts) & set(inspect.signature(Estimator).parameters)
    model = Estimator(**{name: parts[name] for name in needed}, resume=True)
    with pytest.raises(ValueError, match=f"resume=True of {Estimator.__name__}.*set checkpoint to"):
        model.fit(X, Y)


def test_codes_are_rows():
    coder = ConvolutionalPSD(2, patch_size=2, max_iter=1, image_shape=(2, 3)).fit(X)
    auto = AutoEncoder(3, max_iter=1).fit(X)
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 3\)"):
        auto.inverse_transform(np.ones(3))
    with pytest.raises(ValueError, match="X contains NaN"):
        coder.inverse_transform(np.full((2, 4), np.nan))
    codes = coder.transform(X)
    sparse = coder.inverse_transform(scipy.sparse.csr_matrix(codes))
    np.testing.assert_array_equal(sparse, coder.inverse_transform(codes))


@pytest.mark.parametrize("y", [["a", "b"] * 10, np.array(["a", "b"] * 10), [{}] * 20])
def test_a_regressor_of_text(y):
    model = skae.StackedAERegressor([("low", AutoEncoder(2, max_iter=1))], max_iter=1)
    with pytest.raises(ValueError, match="y must have numbers.*take a classifier"):
        model.fit(np.random.default_rng(0).random((20, 3)), y)


@pytest.mark.parametrize("sample_weight", [["a"] * 20, {0: 1.0}, np.ones(20) + 0j])
@pytest.mark.parametrize("model", [AutoEncoder(2, max_iter=1), SparseCoder(2, max_iter=1)])
def test_weights_that_are_no_numbers(model, sample_weight):
    X = np.random.default_rng(0).random((20, 3))
    message = "sample_weight(: Complex data not supported| must have a number for each row)"
    with pytest.raises(ValueError, match=message):
        model.fit(X, sample_weight=sample_weight)
    with pytest.raises(ValueError, match=message):
        model.fit(X).score(X, sample_weight=sample_weight)


@pytest.mark.parametrize("sample_weight", [np.float64(2), np.float32(2), np.int64(2), True])
def test_a_single_number_is_the_weight_of_all_rows(sample_weight):
    X = np.random.default_rng(0).random((20, 3))
    model = AutoEncoder(2, max_iter=2, random_state=0).fit(X, sample_weight=sample_weight)
    expected = AutoEncoder(2, max_iter=2, random_state=0).fit(
        X, sample_weight=np.full(20, float(sample_weight))
    )
    np.testing.assert_array_equal(model.components_, expected.components_)
    assert model.score(X, sample_weight=sample_weight) == expected.score(X)


@pytest.mark.parametrize("wrong", [True, None, {}, {"group": None}, lambda X: None, [[0, 1]]])
@pytest.mark.parametrize(("Model", "name"), [(AutoEncoder, "loss"), (RBM, "visible")])
def test_columns_of_losses_are_named(Model, name, wrong):
    for losses in ([("gaussian", wrong)], [("gaussian", [0, 1, 2, 3, 4, 5]), ("bernoulli", wrong)]):
        with pytest.raises(ValueError, match=rf"\b{name} (must name|names) "):
            Model(2, max_iter=1, **{name: losses}).fit(X)
    with pytest.raises(ValueError, match=f"{name} must be a list of .* with a name of"):
        Model(2, max_iter=1, **{name: [(["gaussian"], [0, 1, 2, 3, 4, 5])]}).fit(X)


SMALL = np.random.default_rng(0).random((20, 4))


def _sampled(model, **options):
    return model.fit(SMALL).sample(random_state=0, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _sampled(RBM(2, max_iter=1), start=1), "start: Expected 2D array"),
        (lambda: _sampled(RBM(2, visible="bernoulli", max_iter=1), start=[[5.0] * 4]), "start: "),
        (lambda: _sampled(_net(), start=[[1.0] * 3]), "start: X has 3 features"),
        (lambda: _sampled(_net(), start=[[5.0] * 4]), "start: "),
        (lambda: _sampled(EnergyAE(2, max_iter=1), start="a"), "start: "),
        (
            lambda: _sampled(JointEnergy(AutoEncoder(2), n_draws=1, burn_in=1), x0=[[np.nan] * 4]),
            "^x0 contains NaN. Fill in missing values first, by Imputer of skae or .*SimpleImputer of scikit-learn.$",
        ),
        (
            lambda: sample_chain(AutoEncoder(2).fit(SMALL), [[1.0]], sigma=0.1),
            "x0: X has 1 feature",
        ),
        (
            lambda: apply(AutoEncoder(2).fit(SMALL), SMALL, method="banana"),
            "has the method 'banana'",
        ),
        (lambda: apply(AutoEncoder(2).fit(SMALL), SMALL, method=3), "has the method 3"),
        (lambda: apply(AutoEncoder, SMALL), "model must be a fitted estimator"),
        (lambda: apply(None, SMALL), "model must be a fitted estimator"),
        (
            lambda: apply(AutoEncoder(2).fit(SMALL), SMALL, 5),
            "out must be an array that takes slices",
        ),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_arguments_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def _net():
    machines = [(name, RBM(2, visible="bernoulli", max_iter=1)) for name in ("low", "high")]
    return DBN(machines)


def test_axes_that_are_several():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from skae.plotting import ChainDisplay, FilterDisplay, LossCurveDisplay

    model = AutoEncoder(2, max_iter=1).fit(SMALL)
    figure, several = pyplot.subplots(1, 2)
    for Display in (FilterDisplay, LossCurveDisplay):
        with pytest.raises(TypeError, match=r"ax must be one axes of matplotlib.*axes\[0\]"):
            Display.from_estimator(model, ax=several)
        assert Display.from_estimator(model, ax=several[0]).ax_ is several[0]
    for name in ("n_chains", "n_states"):
        with pytest.raises(TypeError, match=name):
            ChainDisplay.from_states(np.ones((2, 2, 4)), **{name: 2.5})
    with pytest.raises(TypeError, match="sampler must be a function"):
        ChainDisplay.from_estimator(model, SMALL, sampler="chain")
    pyplot.close(figure)


SUPERVISED = StackedAE([("low", AutoEncoder(2, max_iter=1))], fine_tune="supervised", max_iter=1)
CLASSIFIER = StackedAEClassifier([("low", AutoEncoder(2, max_iter=1))], max_iter=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("whole", "name"),
    [
        (lambda part: TangentNeighborsClassifier(part), "encoder"),
        (lambda part: ManifoldTangentClassifier(part, n_tangents=1, max_iter=1), "base"),
        (
            lambda part: ConvolutionalFeatures(
                dictionary=part,
                encoder="code",
                patch_size=(1, 2),
                contrast=None,
                pool_grid=(1, 1),
                image_shape=(2, 2),
            ),
            "dictionary",
        ),
    ],
)
@pytest.mark.parametrize("part", [SUPERVISED, CLASSIFIER])
def test_parts_that_need_y_are_told_so(whole, name, part):
    y = np.arange(20) % 2
    if name == "base" and part is CLASSIFIER:
        return  # refused as no stack
    with pytest.raises(TypeError, match=f"{name} is a .* needs y.*give {name}=FrozenEstimator"):
        whole(part).fit(SMALL, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": -1}, "n_components"),
        ({"n_components": 2.5}, "n_components"),
        ({"n_components": "many"}, "n_components"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
@pytest.mark.parametrize(
    ("Stack", "layer"),
    [
        (StackedAE, AutoEncoder),
        (StackedAEClassifier, AutoEncoder),
        (RecurrentAE, AutoEncoder),
        (DBN, RBM),
        (DBM, RBM),
    ],
)
def test_parameters_of_a_layer_are_named_before_anything_is_learned(Stack, layer, options, message):
    layers = [("low", layer(3)), ("high", layer(3).set_params(**options))]
    with pytest.raises(ValueError, match=f"In the layer 'high': The '{message}' parameter"):
        Stack(layers).fit(X, Y)


@pytest.mark.parametrize("Stack", [StackedAE, StackedAEClassifier, RecurrentAE, DBN, DBM])
def test_widths_are_positive_integers(Stack):
    with pytest.raises(ValueError, match="In the layer 'layer1': The 'n_components' parameter"):
        Stack([3, -1]).fit(X, Y)
    for wrong in (2.5, "a", None):
        with pytest.raises(ValueError, match=re.escape(f"got the entry {wrong!r}")):
            Stack([3, wrong]).fit(X, Y)


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (Adam(beta_1=2), "beta_1 of Adam must be a number in"),
        (Adam(beta_2=1.0), "beta_2 of Adam must be a number in"),
        (Adam(beta_1="a"), "beta_1 of Adam must be a number in"),
        (Adam(epsilon=-1), "epsilon of Adam must be a positive number"),
        (Adam(epsilon=np.nan), "epsilon of Adam must be a positive number"),
        (SGD(momentum=2), "momentum of SGD must be a number in"),
        (SGD(momentum=-0.1), "momentum of SGD must be a number in"),
        (SGD(nesterov="yes"), "nesterov of SGD must be True or False"),
        (LBFGS(n_corrections=0), "n_corrections of LBFGS must be a positive integer"),
        (LBFGS(n_corrections=2.5), "n_corrections of LBFGS must be a positive integer"),
    ],
)
def test_options_of_solvers_are_named(solver, message):
    model = AutoEncoder(3, max_iter=1, random_state=0).fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match=message):
        model.set_params(solver=solver).fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    "model", [SparseAutoEncoder(4, k=1, max_iter=1), SparseCoder(3, sparse_output=True, max_iter=1)]
)
def test_sparse_codes_are_no_data_frame(model, library):
    fitted = clone(model).set_output(transform=library).fit(X)
    with pytest.raises(ValueError, match=f"frames of {library} are not: set sparse_output=False"):
        fitted.transform(X)
    with config_context(transform_output=library):
        with pytest.raises(ValueError, match="set sparse_output=False"):
            clone(model).fit_transform(X)
    assert list(fitted.set_params(sparse_output=False).transform(X).columns)


WITHOUT_PART = [
    AnomalyDetector(),
    Imputer(),
    JointEnergy(),
    ManifoldTangentClassifier(),
    TangentNeighborsClassifier(encoder=None),
    ConvolutionalFeatures(),
]


@pytest.mark.parametrize("model", WITHOUT_PART, ids=lambda model: type(model).__name__)
def test_a_parameter_of_a_part_that_is_not_there_names_the_part(model):
    name = next(each for each in ("base", "dictionary", "encoder") if each in model.get_params())
    key = f"{name}__n_components"
    with pytest.raises(ValueError, match=f"{key} cannot be set, since {name}=.* set {name} to one"):
        model.set_params(**{key: 3})
    with pytest.raises(ValueError, match=f"{key} cannot be set"):
        GridSearchCV(model, {key: [3]}, error_score="raise", scoring=lambda *_: 0.0).fit(X, Y)
    model.set_params(**{name: AutoEncoder(), key: 3})
    assert model.get_params()[key] == 3


@pytest.mark.parametrize("Stack", [StackedAE, StackedAEClassifier, RecurrentAE, DBN, DBM])
def test_a_parameter_of_layers_is_set_by_the_name_of_a_layer(Stack):
    named = Stack([("low", RBM(8)), ("high", RBM(4))])
    with pytest.raises(ValueError, match=r"layers__k .*by the layer's name, as in low__k\.$"):
        named.set_params(layers__k=3)
    for layers in ([8], [RBM(8)], [], 8, None):
        with pytest.raises(ValueError, match=r"layers__k .*has none: set it to a list of \(name"):
            Stack(layers).set_params(layers__k=3)


@pytest.mark.parametrize("key", ["solver__beta_1", "activation__k", "corruption__level"])
def test_a_parameter_of_what_can_be_no_estimator(key):
    name, _, _ = key.partition("__")
    with pytest.raises(ValueError, match=f"{key} cannot be set.* set {name} itself to another"):
        DenoisingAE().set_params(**{key: 3})


def test_a_parameter_of_a_layer_is_set_by_its_name():
    stack = StackedAE([("low", AutoEncoder(8))]).set_params(low__n_components=3, max_iter=2)
    assert stack.get_params()["low__n_components"] == 3
    with pytest.raises(ValueError, match="Invalid parameter 'height'"):
        stack.set_params(height__n_components=3)


@pytest.mark.parametrize("model", [AutoEncoder(2), SparseCoder(2), StackedAEClassifier([2])])
def test_records_and_sparse_columns_are_refused_with_the_cure(model):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"X is a list of records: give pandas.DataFrame\(X\)"):
        model.fit([{"a": 1.0}, {"a": 2.0}], [0, 1])
    sparse = pandas.DataFrame(X).astype(pandas.SparseDtype(float, np.nan))
    with pytest.raises(ValueError, match=r"X has sparse columns .* give X.sparse.to_dense\(\)"):
        model.fit(sparse, np.arange(len(X)) % 2)


@pytest.mark.parametrize("model", [ZCA(), LocalPCA(2), ConvolutionalFeatures(2, patch_size=1)])
def test_sparse_columns_have_the_cure_of_data_frames(model):
    """They have no toarray(), which scikit-learn's error names."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.eye(9), columns=list("abcdefghi"))
    with pytest.raises(TypeError, match=r"sparse columns, but dense .* give X.sparse.to_dense\(\)"):
        clone(model).fit(frame.astype(pandas.SparseDtype(float, 0.0)))


@pytest.mark.parametrize("model", [AutoEncoder(2), SparseCoder(2), ZCA()])
def test_rows_that_form_no_matrix_are_told(model):
    frame = pytest.importorskip("pandas").DataFrame({"row": list(X)})
    for rows in ([X[0], X[1, :5]], [[1, 2, 3], [1, 2]]):
        with pytest.raises(ValueError, match="X must have a number.*pad or cut them"):
            model.fit(rows)
    with pytest.raises(ValueError, match=r"several numbers in one place in \['row'\]"):
        model.fit(frame)
    for images in (X.reshape(40, 2, 3), list(X.reshape(40, 2, 3)), X.reshape(40, 2, 3).tolist()):
        with pytest.raises(ValueError, match="Make a row of each sample.*see also skae.images"):
            model.fit(images)


@pytest.mark.parametrize(
    "model",
    [StackedAE([("low", AutoEncoder(3, max_iter=1))]), SparseCoder(dictionary=np.eye(6))],
    ids=lambda each: type(each).__name__,
)
def test_a_model_without_a_loss_says_why(model):
    model.fit(X)
    with pytest.raises(AttributeError, match="has no loss_, since there was no epoch of training"):
        _ = model.loss_


@pytest.mark.parametrize("n_columns", [3, 300])
def test_the_dtype_of_a_frame_is_looked_at_once(monkeypatch, n_columns):
    # A row of a wide frame is served in less time than scikit-learn takes for it.
    frame = pd.DataFrame(np.random.default_rng(0).random((20, n_columns)))
    seen, is_time = [], reading._is_time
    monkeypatch.setattr(reading, "_is_time", lambda dtype: seen.append(dtype) or is_time(dtype))
    model = AutoEncoder(2, max_iter=1).fit(frame)
    seen.clear()
    model.transform(frame)
    assert len(seen) == 1
    frame.insert(1, "since", pd.date_range("2026-01-01", periods=20))
    with pytest.raises(TypeError, match=r"durations in the columns \['since'\]"):
        model.transform(frame)


WHOLES = [
    AnomalyDetector(AutoEncoder(2, max_iter=1, random_state=0)),
    AnomalyDetector(StackedAE([("low", AutoEncoder(2, max_iter=1, random_state=0))])),
    Imputer(AutoEncoder(2, max_iter=1, random_state=0)),
]


@pytest.mark.filterwarnings("ignore:.*of the codes:UserWarning")
@pytest.mark.parametrize("whole", WHOLES, ids=lambda each: type(each).__name__)
def test_a_frame_is_validated_once_for_a_whole_and_its_base(monkeypatch, whole):
    rows = np.random.default_rng(0).random((20, 4))
    frame, holes = pd.DataFrame(rows, columns=list("abcd")), rows.copy()
    method = "transform" if isinstance(whole, Imputer) else "score_samples"
    if method == "transform":
        holes[3, 1] = np.nan
    expected = getattr(clone(whole).fit(rows), method)(holes)
    fitted = clone(whole).fit(frame)
    frame[:] = holes
    seen, validate = [], fitting.validate_data
    monkeypatch.setattr(
        fitting,
        "validate_data",
        lambda model, X, **options: seen.append(X) or validate(model, X, **options),
    )
    found = getattr(fitted, method)(frame)
    assert sum(hasattr(each, "columns") for each in seen) == 1
    np.testing.assert_array_equal(found, expected)
    assert fitted.base_.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(fitted, method)(frame[list("dcba")])


@pytest.mark.filterwarnings("ignore:.*of the codes:UserWarning")
@pytest.mark.parametrize("whole", WHOLES, ids=lambda each: type(each).__name__)
def test_names_that_are_missing_are_told_once(whole):
    rows = np.random.default_rng(0).random((20, 4))
    fitted = clone(whole).fit(pd.DataFrame(rows, columns=list("abcd")))
    if isinstance(whole, Imputer):
        rows[3, 1] = np.nan
    with pytest.warns(UserWarning, match="X does not have valid feature names") as caught:
        (fitted.transform if isinstance(whole, Imputer) else fitted.score_samples)(rows)
    assert len(caught) == 1


@pytest.mark.parametrize("model", [AutoEncoder(2, max_iter=1), SparseCoder(2, max_iter=1), ZCA()])
def test_frames_that_pandas_cannot_read_as_numbers_are_told_why(model):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    objects = frame.astype(object)
    objects.iloc[3, 1] = pd.NA
    with pytest.raises(TypeError, match=r"pandas.NA among objects in \['b'\].*convert_dtypes"):
        model.fit(objects)
    twice = frame.set_axis(list("aabbcd"), axis=1)
    # Before version 1.9 scikit-learn takes such frames.
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        with pytest.raises(ValueError, match=r"same name, \['a', 'b'\]: rename them"):
            model.fit(twice)


@pytest.mark.parametrize("model", [AutoEncoder(2), PSD(2), ConvolutionalFeatures()])
def test_frames_without_columns_are_told(model):
    with pytest.raises(ValueError, match="X is a data frame without columns"):
        model.fit(pd.DataFrame(X)[[]])


@pytest.mark.parametrize("model", [AutoEncoder(2), Imputer(), AnomalyDetector()])
def test_a_column_without_a_value_has_its_name(model):
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(c=np.nan)
    for rows, name in ((frame, "'c'"), (frame.to_numpy(), "2")):
        with pytest.raises(ValueError, match=f"Column {name} of X has no value"):
            model.fit(rows)


def test_weights_are_one_column():
    weights = pd.DataFrame({"weight": np.ones(len(X))})
    for call in (AutoEncoder(2).fit, AutoEncoder(2, max_iter=1).fit(X).score):
        with pytest.raises(ValueError, match=r"sample_weight must have one axis.*\(40, 1\).*frame"):
            call(X, sample_weight=weights)


def test_whitening_of_constant_columns_is_told():
    with pytest.warns(UserWarning, match="All columns of X are constant"):
        ZCA().fit(np.ones((5, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ZCA().fit(np.array([[1.0, 2], [1, 3]]))
