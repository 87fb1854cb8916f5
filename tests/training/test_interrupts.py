"""An interrupt in any stage of a fit leaves what the stages have learned so far."""

import contextlib
import os
import threading
import time

import numpy as np
import pytest
import scipy.sparse
from interrupts import InterruptAtCall, InterruptAtLine
from sklearn import get_config
from sklearn.base import clone
from sklearn.datasets import load_iris
from threadpoolctl import ThreadpoolController

import skae
from skae import (
    DBN,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    Imputer,
    ManifoldTangentClassifier,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    _threads,
)
from skae._estimators.fitting import is_fitted
from skae.boltzmann import DBM, BoltzmannClassifier
from skae.generative import JointEnergy
from skae.generative._posterior import _Draws
from skae.images import ConvolutionalFeatures
from skae.manifold import TangentNeighborsClassifier

pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
SHORT = {"max_iter": 3, "random_state": 0, "learning_rate": "constant"}
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*codes of .* are constant"),
]


class Interrupting:
    """A callback that interrupts after the second epoch."""

    after = 1

    def setup(self, estimator, context):
        """Begin."""

    def teardown(self, estimator, context):
        """End."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context):
        """Interrupt."""
        if context.task_name == "epoch" and context.task_id == self.after:
            raise KeyboardInterrupt


def _interrupted(Part, **options):
    return Part(4, **{**SHORT, **options}).set_callbacks(Interrupting())


def _layers(Part, **options):
    return [("low", _interrupted(Part, **options)), ("high", Part(3, **SHORT))]


MODELS = {
    "tangents": lambda: ManifoldTangentClassifier(_interrupted(AutoEncoder), random_state=0),
    "tangents of a stack": lambda: ManifoldTangentClassifier(
        StackedAE(_layers(AutoEncoder)), random_state=0
    ),
    "machine": lambda: BoltzmannClassifier(_interrupted(RBM), random_state=0),
    "classifier of a belief network": lambda: BoltzmannClassifier(
        DBN(_layers(RBM)), random_state=0
    ),
    "classifier of a deep machine": lambda: BoltzmannClassifier(DBM(_layers(RBM)), random_state=0),
    "belief network": lambda: DBN(_layers(RBM), random_state=0),
    "deep machine": lambda: DBM(_layers(RBM), random_state=0),
    "stack": lambda: StackedAE(_layers(AutoEncoder), random_state=0),
    "stack that predicts": lambda: StackedAE(
        _layers(AutoEncoder), fine_tune="supervised", random_state=0
    ),
    "classifier": lambda: StackedAEClassifier(_layers(AutoEncoder), random_state=0),
}


def _lowest_weights(model):
    """Return the weights from X to the lowest units, as the fitted whole has them."""
    if isinstance(model, DBN):
        return model.stack_.encoder_weights_[0]
    if isinstance(model, DBM):
        return model.weights_[0]
    network = model._network.views(model._state["params"])
    return network.encoder_weights[0][:, :4]


def _lowest_part(model):
    """Return the part of ``model`` that was interrupted."""
    for name in ("base_", "predictor_", "stack_"):
        if hasattr(model, name):
            return _lowest_part(getattr(model, name))
    return model.layers_[0][1] if hasattr(model, "layers_") else model


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("again", [False, True], ids=["first fit", "second fit"])
@pytest.mark.usefixtures("few_epochs")
def test_an_interrupt_in_the_first_stage_leaves_what_it_has(make, again, monkeypatch):
    model = make()
    if again:
        monkeypatch.setattr(Interrupting, "after", None)
        model.fit(X, y)
        monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    part = _lowest_part(model)
    assert part.n_iter_ == 2
    np.testing.assert_array_equal(_lowest_weights(model), part.components_)
    method = "predict_proba" if hasattr(model, "predict_proba") else "transform"
    assert np.isfinite(getattr(model, method)(X)).all()


@pytest.mark.parametrize("again", [False, True], ids=["first fit", "second fit"])
def test_an_interrupted_detector_judges_by_what_its_base_has_learned(again, monkeypatch):
    model = AnomalyDetector(_interrupted(AutoEncoder))
    if again:
        monkeypatch.setattr(Interrupting, "after", None)
        model.fit(X)
        monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    expected = AnomalyDetector(AutoEncoder(4, **{**SHORT, "max_iter": 2})).fit(X)
    assert model.base_.n_iter_ == 2
    np.testing.assert_array_equal(model.score_samples(X), expected.score_samples(X))
    assert model.offset_ == expected.offset_


def test_an_interrupted_imputer_fills_in_what_its_base_has_learned():
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = Imputer(_interrupted(AutoEncoder))
    with pytest.raises(KeyboardInterrupt):
        model.fit(holes)
    # The fit that was interrupted has not measured how far to stretch reconstructions, nor does partial_fit.
    expected = AutoEncoder(4, **SHORT)
    assert model.base_.n_iter_ == 2
    for _ in range(2):
        expected.partial_fit(holes)
    np.testing.assert_array_equal(model.base_.components_, expected.components_)
    np.testing.assert_array_equal(model.transform(holes), expected.impute(holes))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TangentNeighborsClassifier(_interrupted(AutoEncoder), n_tangents=2),
        lambda: JointEnergy(_interrupted(AutoEncoder), n_draws=2, burn_in=1),
        lambda: ConvolutionalFeatures(
            4, dictionary=_interrupted(AutoEncoder), contrast=None, patch_size=1
        ),
    ],
    ids=["neighbors", "draws", "features"],
)
def test_others_are_as_before_an_interrupt(make, monkeypatch):
    """Their first stage alone is of no use, and the others may take longer than it."""
    model = make()
    unfitted = vars(model).copy()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert vars(model).keys() == unfitted.keys()
    monkeypatch.setattr(Interrupting, "after", None)
    fitted = vars(model.fit(X, y)).copy()
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert vars(model).keys() == fitted.keys()
    assert all(value is fitted[name] for name, value in vars(model).items())


def test_interrupted_chains_leave_their_draws(monkeypatch):
    options = {"n_draws": 5, "n_chains": 1, "thin": 1, "burn_in": 1, "random_state": 0}
    model = JointEnergy(AutoEncoder(4, **SHORT), **options)
    whole = clone(model).fit(X)
    take = _Draws.take

    def interrupting(draws, chains):
        take(draws, chains)
        if draws.n_kept == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(_Draws, "take", interrupting)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    np.testing.assert_array_equal(model.draws_, whole.draws_[:2])
    assert np.isfinite(model.sample(3, random_state=0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["first fit", "second fit"])
def test_an_interrupt_at_any_line_leaves_a_whole_model(again):
    """Also where it comes as a context manager begins, whose end Python then calls with the traceback, or never."""
    for number in range(2000):
        model = AutoEncoder(2, **{**SHORT, "max_iter": 1})
        if again:
            model.fit(X)
        before, wide = vars(model).copy(), np.hstack([X, X])
        caught = None
        try:
            with InterruptAtLine(number, contextlib, events=("line", "return")) as tracer:
                model.fit(wide)
        except KeyboardInterrupt as error:
            caught = error
        if caught is None and tracer.left >= 0:
            break
        at_once = vars(model).copy()
        del caught
        assert vars(model) == at_once
        if hasattr(model, "_state") and model._state is not before.get("_state"):
            assert model.transform(wide).shape == (len(X), 2)
        else:
            assert vars(model) == before
    assert 80 < number < 1999


class _Counting:
    """A callback that counts fits in which it is."""

    def __init__(self):
        self.n_open = 0

    def setup(self, estimator, context):
        """Begin."""
        self.n_open += 1

    def teardown(self, estimator, context):
        """End, also where the beginning was interrupted."""
        self.n_open = 0

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context):
        """Nothing to do."""


TINY = {"max_iter": 1, "random_state": 0}
EVERYWHERE = {
    "auto-encoder": lambda: AutoEncoder(4, **TINY),
    "detector": lambda: AnomalyDetector(AutoEncoder(4, **TINY)),
    "coder": lambda: SparseCoder(4, n_jobs=2, **TINY),
    "machine": lambda: RBM(4, gradient="pcd", **TINY),
    "stack": lambda: StackedAE(
        [("low", AutoEncoder(4, max_iter=1)), ("high", AutoEncoder(3, max_iter=1))],
        fine_tune="reconstruction",
        **TINY,
    ),
}


_POOLS = ThreadpoolController()  # of the libraries: looking for them takes as long as a fit


def _state():
    """Return what the process and this thread share with later fits."""
    threads = sum(thread.ident is not None for thread in threading.enumerate())
    limits = [(each["filepath"], each["num_threads"]) for each in _POOLS.info()]
    return threads, limits, _threads.local.team, np.geterr(), get_config()


def _weights(model):
    return getattr(model, "base_", model)._state["params"]


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["first fit", "second fit"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_interrupt_at_any_call_leaves_nothing_behind(name, again, request):
    """At some calls, others with each ``--fuzz-seed``, and once at each place with ``--stops 20``."""
    make, callback = EVERYWHERE[name], _Counting()
    folders = os.path.dirname(skae.__file__), contextlib.__file__, threading.__file__
    whole = _weights(make().fit(X)).copy()
    before = _state()
    with InterruptAtCall(-1, *folders) as calls:
        make().fit(X)
    rng = np.random.default_rng(request.config.getoption("--fuzz-seed"))
    numbers = [rng.choice(each) for each in calls.places.values()]
    share = min(request.config.getoption("--stops") / 20, 1)
    for number in rng.choice(numbers, size=int(share * len(numbers)), replace=False):
        model = make()
        if hasattr(model, "set_callbacks"):
            model.set_callbacks(callback)
        if again:
            model.fit(X)
        with contextlib.suppress(KeyboardInterrupt), InterruptAtCall(number, *folders):
            model.fit(X)
        deadline = time.monotonic() + 10
        while _state() != before and time.monotonic() < deadline:
            time.sleep(0.01)  # a thread that was told to end may take a moment
        assert _state() == before and callback.n_open == 0
        if is_fitted(model):
            codes = getattr(model, "base_", model).transform(X)
            assert np.isfinite(scipy.sparse.csr_matrix(codes).data).all()
        else:
            assert not again
        np.testing.assert_array_equal(_weights(model.fit(X)), whole)
