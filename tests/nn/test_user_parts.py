"""Mistakes in units, corruptions, penalties and objectives that users write: each is named, and the model stays."""

import numpy as np
import pytest
from sklearn.base import clone

from skae import (
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
)
from skae.autoencoders import Activation, BaseAutoEncoder, estimator
from skae.generative import sample_walkback
from skae.nn.activations import Diagonal
from skae.nn.objective import Objective
from skae.nn.penalties import Penalty
from skae.nn.user_parts import check_activation

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > 0.5).astype(int)
SHORT = {"max_iter": 2, "random_state": 0}
ALL = slice(None)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class _Leaky(Activation):
    """A right one: max(a, a / 10)."""

    def forward(self, a, bias, rows=ALL, units=ALL):
        part = a[rows, units] + bias
        a[rows, units] = np.maximum(part, 0.1 * part)

    def derivatives(self, outputs, order=1, memory=None):
        first = np.where(outputs > 0, 1, 0.1).astype(outputs.dtype)
        return Diagonal(first, np.zeros_like(outputs))


class _Returns(_Leaky):
    def forward(self, a, bias, rows=ALL, units=ALL):
        part = a[rows, units] + bias
        return np.maximum(part, 0.1 * part)


class _DoesNothing(_Leaky):
    def forward(self, a, bias, rows=ALL, units=ALL):
        a = a + bias


class _AllRows(_Leaky):
    def forward(self, a, bias, rows=ALL, units=ALL):
        a[...] = np.tanh(a + bias)


class _WholeBias(_Leaky):
    whole_row = False


class _AllUnits(_Leaky):
    whole_row = False

    def forward(self, a, bias, rows=ALL, units=ALL):
        a[rows] = np.tanh(a[rows] + bias)


class _OneArgument(_Leaky):
    def forward(self, a):
        a[...] = np.maximum(a, 0)


class _OutputsAlone(_Leaky):
    def derivatives(self, outputs):
        return Diagonal(np.ones_like(outputs))


class _Undefined(_Leaky):
    def forward(self, a, bias, rows=ALL, units=ALL):
        a[rows, units] = np.nan


class _Slopes(_Leaky):
    """What ``derivatives`` returns is computed by ``function``."""

    def __init__(self, function):
        self.function = function

    def derivatives(self, outputs, order=1, memory=None):
        return self.function(outputs)


def _changed(outputs):
    outputs[...] = 1
    return Diagonal(np.ones_like(outputs), np.zeros_like(outputs))


class _NoCopy(_Leaky):
    def __deepcopy__(self, memo):
        raise RuntimeError("this holds a lock")


UNITS = [
    (_Returns(), ValueError, "activation=_Returns: forward must change a in place.*return nothing"),
    (_DoesNothing(), ValueError, "activation=_DoesNothing: forward must change a in place"),
    (_AllRows(), ValueError, r"forward must change a\[rows, units\] alone, not other rows"),
    (_WholeBias(), ValueError, r"with bias\[units\], as whole_row is False: operands could not"),
    (_AllUnits(), ValueError, r"as whole_row is False: it changed others"),
    (_OneArgument(), TypeError, r"forward is called as forward\(a, bias, rows, units\)"),
    (_OutputsAlone(), TypeError, r"derivatives is called as derivatives\(outputs, order, memory\)"),
    (_Undefined(), ValueError, "forward gives NaN or infinity"),
    (_Slopes(lambda h: h > 0), TypeError, r"must return Derivatives, such as Diagonal\(first"),
    (_Slopes(lambda h: None), TypeError, "must return Derivatives.*got None"),
    (_Slopes(lambda h: Diagonal(1.0)), ValueError, "whose first derivatives are finite.*got 1.0"),
    (
        _Slopes(lambda h: Diagonal(h[0])),
        ValueError,
        r"float64 of the shape \(3, 4\); got shape \(4,",
    ),
    (_Slopes(lambda h: Diagonal(h > 0)), ValueError, "finite float32 or .*got shape .* bool"),
    (_Slopes(lambda h: Diagonal(h * np.nan)), ValueError, "whose first derivatives are finite"),
    (_Slopes(_changed), ValueError, "derivatives must not change outputs"),
    (_NoCopy(), TypeError, "activation.* must be such that copy.deepcopy copies.*holds a lock"),
]


def _check_refused(fitted, error, message, **options):
    """Check that ``fitted`` with other parameters is refused by name, and stays what it was."""
    before = fitted.transform(X)
    fitted.set_params(**options)
    with pytest.raises(error, match=message):
        fitted.fit(X, Y)
    np.testing.assert_array_equal(fitted.transform(X), before)


@pytest.mark.parametrize(("unit", "error", "message"), UNITS)
def test_units(unit, error, message):
    for model in (AutoEncoder(4, **SHORT), ContractiveAE(4, solver="lbfgs", **SHORT)):
        _check_refused(model.fit(X), error, message, activation=unit)
    stack = StackedAE([("low", AutoEncoder(4, **SHORT))], random_state=0).fit(X)
    if not isinstance(unit, _NoCopy):
        _check_refused(stack, error, f"In the layer 'low': .*{message}", low__activation=unit)


def test_units_of_one_derivative_have_no_penalty_on_the_jacobian():
    unit = _Slopes(lambda outputs: Diagonal(np.ones_like(outputs)))
    AutoEncoder(4, activation=unit, **SHORT).fit(X)
    message = "activation=_Slopes.* Diagonal whose second derivatives are finite.*got None"
    _check_refused(ContractiveAE(4, **SHORT).fit(X), ValueError, message, activation=unit)


class _InParts(_Leaky):
    """A right one, that threads may compute in parts."""

    whole_row = False

    def forward(self, a, bias, rows=ALL, units=ALL):
        assert a[rows, units].size
        super().forward(a, bias[units] if a[:, units].shape[1] < len(bias) else bias, rows, units)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_unit_in_parts_is_taken(width):
    model = AutoEncoder(width, activation=_InParts(), **SHORT)
    assert np.isfinite(model.fit(X).transform(X)).all()


class _Counting(_Leaky):
    n_calls = 0

    def forward(self, a, bias, rows=ALL, units=ALL):
        self.n_calls += 1
        super().forward(a, bias, rows, units)


def test_a_unit_is_checked_on_a_copy():
    unit = _Counting()
    check_activation(unit, 3, np.float64)
    assert not unit.n_calls


def test_a_corruption_may_return_a_view_of_out():
    def masked(X, seed, out):
        out[...] = X * (np.random.default_rng(seed).random(X.shape) < 0.5)

    def returned(X, seed, out):
        masked(X, seed, out)
        return out[...]

    first, second = (DenoisingAE(3, corruption=each, **SHORT).fit(X) for each in (masked, returned))
    np.testing.assert_array_equal(first.components_, second.components_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_unit_is_taken_anywhere(dtype):
    layer = AutoEncoder(4, activation=_Leaky(), **SHORT)
    for model in (layer, ContractiveAE(4, activation=_Leaky(), **SHORT), RecurrentAE([layer])):
        if isinstance(model, RecurrentAE):
            model = RecurrentAE([("low", layer), ("high", layer)], **SHORT)
        assert np.isfinite(model.fit(X.astype(dtype)).transform(X.astype(dtype))).all()


def _scale_clean(rows, seed, out):
    out[...] = rows
    rows *= 2


def _half(rows, seed, out):
    out[:, ::2] = rows[:, ::2]


def _infinite(rows, seed, out):
    out[...] = rows
    out[0, 0] = np.inf


FILLS = "must fill all of out with finite numbers.* and return nothing"
CORRUPTIONS = [
    (lambda rows, seed, out: 0.5 * rows, ValueError, FILLS),
    (lambda rows, seed, out: None, ValueError, FILLS),
    (_half, ValueError, FILLS),
    (_infinite, ValueError, FILLS),
    (_scale_clean, ValueError, "must not change X, the clean rows"),
    (lambda rows, seed: rows, TypeError, r"corruption=.* is called as f\(X, seed, out\)"),
]
LAYERS = [("low", AutoEncoder(4, **SHORT)), ("high", AutoEncoder(3, **SHORT))]


@pytest.mark.parametrize(("corruption", "error", "message"), CORRUPTIONS)
@pytest.mark.parametrize(
    "model",
    [
        DenoisingAE(4, **SHORT),
        DenoisingAE(4, solver="lbfgs", **SHORT),
        DenoisingAE(4, early_stopping=True, **SHORT),
        StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
        StackedAEClassifier(LAYERS, **SHORT),
        RecurrentAE(LAYERS, **SHORT),
    ],
    ids=lambda each: type(each).__name__,
)
def test_corruptions(model, corruption, error, message):
    _check_refused(clone(model).fit(X, Y), error, message, corruption=corruption)


@pytest.mark.parametrize(("corruption", "error", "message"), CORRUPTIONS)
def test_corruptions_of_chains(corruption, error, message):
    model = AutoEncoder(4, **SHORT).fit(X)
    with pytest.raises(error, match=message):
        sample_walkback(model, X[:3], 2, corruption=corruption, random_state=0)


class _SumOfCodes(Penalty):
    """A right one, of which ``wrong`` adds another gradient or returns another value."""

    def __init__(self, wrong=None):
        self.wrong = wrong

    def __call__(self, params, trace, seed):
        codes, weights = trace.codes, trace.sample_weights
        if self.wrong is not None:
            return self.wrong(params, trace)
        trace.encoder[-1].delta_terms.append(codes * (1 - codes) * weights[:, None])
        return float(weights @ codes.sum(axis=1))


class _TwoArguments(Penalty):
    def __call__(self, params, trace):
        return 0.0


@estimator
class _Penalized(BaseAutoEncoder):
    make: object = None

    def objective(self, network, units):
        return self.make(network, units.loss)


def _adding(part, make):
    """Return a penalty that adds ``make(params, trace)`` to ``part`` of the encoder's layer."""

    def add(params, trace):
        getattr(trace.encoder[0], part).append(make(params, trace))
        return 1.0

    return _SumOfCodes(add)


def _changing(choose):
    """Return a penalty that changes an array."""

    def change(params, trace):
        choose(params, trace)[...] = 0
        return 1.0

    return _SumOfCodes(change)


PENALTIES = [
    (
        _SumOfCodes(lambda params, trace: None),
        ValueError,
        "_SumOfCodes must return its value.*None",
    ),
    (_SumOfCodes(lambda params, trace: trace.codes[:, 0]), ValueError, "must return its value"),
    (_SumOfCodes(lambda params, trace: "1"), ValueError, "must return its value, a number"),
    (_SumOfCodes(lambda params, trace: 1j), ValueError, "must return its value, a number"),
    (_TwoArguments(), TypeError, r"_TwoArguments is called as penalty\(params, trace, seed\)"),
    (_adding("delta_terms", lambda *_: np.ones((3, 3))), ValueError, r"\(40, 4\) to the delta_t"),
    (_adding("delta_terms", lambda *_: 0.1), ValueError, "to the delta_terms.*got 0.1"),
    (_adding("delta_terms", lambda *_: np.ones((40, 4), int)), ValueError, "got .*int64"),
    (_adding("delta_terms", lambda *_: np.ones((40, 4), "f2")), ValueError, "got .*float16"),
    (_adding("delta_terms", lambda _, trace: trace.codes), ValueError, "an array of its own"),
    (_adding("weight_terms", lambda *_: np.ones((6, 4))), ValueError, r"\(4, 6\) to the weight_t"),
    (_adding("bias_terms", lambda *_: np.ones(5)), ValueError, r"\(4,\) to the bias_terms"),
    (_adding("row_scales", lambda *_: 0.1), ValueError, r"\(4,\) to the row_scales.*got 0.1"),
    (_changing(lambda _, trace: trace.codes), ValueError, "must not change parameters, inputs"),
    (_changing(lambda params, _: params.encoder_weights[0]), ValueError, "must not change param"),
    (_SumOfCodes, TypeError, "penalties must hold instances of classes that derive from"),
    (0.1, TypeError, "penalties must hold instances.*got 0.1"),
]


@pytest.mark.parametrize(("penalty", "error", "message"), PENALTIES)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_penalties(solver, penalty, error, message):
    def right(network, loss):
        return Objective(network, loss, penalties=[_SumOfCodes()])

    def wrong(network, loss):
        return Objective(network, loss, penalties=[_SumOfCodes(), penalty])

    fitted = _Penalized(4, make=right, solver=solver, **SHORT).fit(X)
    _check_refused(fitted, error, message, make=wrong)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda network, loss: None, TypeError, "objective of _Penalized must return an objective"),
        (lambda network, loss: Objective, TypeError, "objective of _Penalized must return"),
        (lambda network, loss: max, TypeError, "objective of _Penalized must return an objective"),
        (lambda network, loss: Objective(network, "gaussian"), TypeError, "loss must be a Recon"),
        (
            lambda network, loss: Objective(network, loss, penalties=_SumOfCodes()),
            TypeError,
            "list",
        ),
        (lambda network, loss: Objective(network, loss, emphasis=(1, 2)), ValueError, "corruption"),
    ],
)
def test_objectives(make, error, message):
    fitted = _Penalized(4, make=Objective, **SHORT).fit(X)
    _check_refused(fitted, error, message, make=make)
    stack = StackedAE([("low", _Penalized(4, make=make))])
    with pytest.raises(error, match=f"In the layer 'low': .*{message}"):
        stack.fit(X)
