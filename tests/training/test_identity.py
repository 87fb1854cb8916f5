"""A checkpoint is resumed by the training that wrote it only."""

import copy
import textwrap
from functools import partial

import numba
import numpy as np
import pytest
import scipy.sparse
from processes import run_anew
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    DBM,
    DBN,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
)
from skae._estimators.identity import content
from skae.training import Adam

X, y = load_digits(return_X_y=True)
X, y = X[:120] / 16, y[:120]
FAST = {"batch_size": 40, "max_iter": 2, "random_state": 0}


class Shift:
    """A corruption with an option."""

    def __init__(self, by):
        self.by = by

    def __call__(self, X, seed, out):
        np.add(X, self.by, out=out)


class Silent(Shift):
    """One that does not say what its option is."""

    def __repr__(self):
        return "Silent()"


class Slotted:
    """One without a dictionary."""

    __slots__ = ("by",)

    def __init__(self, by):
        self.by = by

    def __call__(self, X, seed, out):
        np.add(X, self.by, out=out)


def _shift(by):
    return lambda X, seed, out: np.add(X, by, out=out)


def _refused(path, first, other):
    first.set_params(checkpoint=path, **FAST).fit(X)
    other.set_params(checkpoint=path, resume=True, **FAST)
    with pytest.raises(ValueError, match="belongs to another training"):
        other.fit(X)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (ContractiveAE(5, contraction=0.0), AutoEncoder(5)),
        (AutoEncoder(5, solver=Adam()), AutoEncoder(5, solver=Adam(beta_1=0.8))),
        (DenoisingAE(5, corruption=Shift(0.1)), DenoisingAE(5, corruption=Shift(0.2))),
        (DenoisingAE(5, corruption=_shift(0.1)), DenoisingAE(5, corruption=_shift(0.2))),
        (
            DenoisingAE(5, corruption=lambda X, seed, out: np.copyto(out, X)),
            DenoisingAE(5, corruption=lambda X, seed, out: np.copyto(out, 2 * X)),
        ),
        (
            DenoisingAE(5, corruption=Shift(np.zeros((40, 1)))),
            DenoisingAE(5, corruption=Shift(np.ones((40, 1)))),
        ),
    ],
)
def test_another_training_is_refused(tmp_path, first, other):
    _refused(tmp_path / "state.npz", first, other)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (Silent(1), Silent(2)),
        (Slotted(1), Slotted(2)),
        (partial(Silent(1)), partial(Silent(2))),
        (Silent(scipy.sparse.eye(3, format="csr")), Silent(2 * scipy.sparse.eye(3, format="csr"))),
        (Silent(np.ma.array([1, 2], mask=[0, 1])), Silent(np.ma.array([1, 2], mask=[1, 0]))),
        (Silent(np.random.default_rng(0)), Silent(np.random.default_rng(1))),
        ([[0, 1], [2]], [[0], [1, 2]]),
        (numba.njit(lambda X: X + 1), numba.njit(lambda X: X + 2)),
    ],
)
def test_content_is_what_a_value_is_made_of(first, other):
    assert content(first) != content(other)
    assert content(first) == content(copy.deepcopy(first))


@pytest.mark.parametrize("number", [2, 0.1, True, "a", 1j])
def test_numbers_of_numpy_are_numbers(number):
    assert content(np.array([number])[0]) == content(number)


def test_a_number_of_numpy_resumes_and_goes_on(tmp_path):
    options = {"checkpoint": tmp_path / "state.npz", "resume": True, **FAST}
    ContractiveAE(np.int64(5), contraction=np.float64(0.5), **options).fit(X)
    model = ContractiveAE(5, contraction=0.5, **options).fit(X)
    assert model.set_params(n_components=np.int64(5), resume=False).partial_fit(X).n_iter_ == 3


def _defined(body):
    """Return an instance of a class that is known by the same name each time."""
    names = {"Adam": Adam, "__name__": "users_module"}
    exec(textwrap.dedent(body), names)
    return names["Own"]()


OWN_CLASSES = [
    """
    class Own:
        level = 0.1
        def __call__(self, X, seed, out):
            out[...] = X * self.level
    """,
    """
    class Own(Adam):
        def step(self, params, grad, state, learning_rate):
            super().step(params, grad, state, 0.1 * learning_rate)
    """,
    """
    class Own:
        @staticmethod
        def scale(X):
            return 0.1 * X
        def __call__(self, X, seed, out):
            out[...] = self.scale(X)
    """,
]


@pytest.mark.parametrize("body", OWN_CLASSES)
def test_the_code_of_a_class_of_ones_own_counts(body):
    assert content(_defined(body)) == content(_defined(body))
    assert content(_defined(body)) != content(_defined(body.replace("0.1", "0.2")))


@pytest.mark.parametrize(
    "make",
    [
        lambda seed, **options: AutoEncoder(5, random_state=seed, **options),
        lambda seed, **options: StackedAE(
            [("low", AutoEncoder(5, max_iter=2))], random_state=seed, **options
        ),
        lambda seed, **options: StackedAE(
            [("low", AutoEncoder(5, max_iter=2, random_state=seed))], **options
        ),
    ],
)
def test_another_seed_is_another_training(make, tmp_path):
    options = {"checkpoint": tmp_path / "state.npz", "resume": True, "max_iter": 2}
    make(0, **options).fit(X)
    make(np.int64(0), **options).fit(X)
    with pytest.raises(ValueError, match="belongs to another training: random_state differs"):
        make(1, **options).fit(X)


def test_a_seed_that_nobody_chose_is_not_compared(tmp_path):
    options = {"checkpoint": tmp_path / "state.npz", "resume": True}
    stack = StackedAE(
        [("low", AutoEncoder(5, max_iter=2)), ("high", RBM(3, max_iter=2))], **options
    )
    first = stack.fit(X).transform(X)
    np.testing.assert_array_equal(clone(stack).fit(X).transform(X), first)


def test_frames_are_compared_to_the_last_entry():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.zeros((200, 50)))
    other = frame.copy()
    other.iloc[100, 25] = 1
    assert content(frame) == content(frame.copy()) != content(other)
    assert content(frame) != content(frame.rename(columns=str))
    words = pd.DataFrame({"a": ["x", "y"], "b": [0.0, 1.0]})
    assert content(words) == content(words.copy()) != content(words.replace("y", "z"))


def test_the_order_of_arrays_in_memory_does_not_count(tmp_path):
    rows = np.random.default_rng(0).random((30, 6))
    assert content(rows) == content(np.asfortranarray(rows)) == content(np.repeat(rows, 2, 0)[::2])
    assert content(np.array(1.0)) != content(np.array([1.0]))  # the shape does
    options = {"max_iter": 2, "checkpoint": tmp_path / "state.npz", "random_state": 0}
    AutoEncoder(3, **options).fit(np.asfortranarray(rows))
    AutoEncoder(3, resume=True, **options).fit(rows)


LEVEL = 0.1


def _by_level(X, seed, out):
    np.add(X, LEVEL, out=out)


def test_what_a_function_sees_outside_counts(monkeypatch):
    before = content(_by_level)
    monkeypatch.setitem(globals(), "LEVEL", 0.2)
    assert content(_by_level) != before


def test_values_that_have_themselves_in_them():
    def down(n):
        return down(n - 1) if n else 0

    endless = Shift(1)
    endless.by = [endless]
    assert content(down) == content(down) and content(endless) == content(endless)


@pytest.mark.slow
def test_content_is_the_same_in_another_process(capsys):
    script = """
        import numba
        from skae._estimators.identity import content
        from skae.training import Adam
        NAMES = {"a", "b", "c"}
        class Named:
            def __call__(self, X, seed, out):
                return NAMES
        print(content([NAMES, Adam(), Named(), numba.njit(lambda X: X), lambda X: X in {"x", "y", "z"}]))
    """
    # It has another seed of hashes, which order the sets.
    said = run_anew(script)
    exec(textwrap.dedent(script), {"__name__": "__main__"})
    assert capsys.readouterr().out == said.stdout != "", said.stderr


def test_long_arrays_are_compared_to_the_last_entry(tmp_path):
    noise = np.zeros((40, 53))
    last = noise.copy()
    last[-1, -1] = 1
    first = DenoisingAE(5, corruption=Shift(noise))
    _refused(tmp_path / "state.npz", first, DenoisingAE(5, corruption=Shift(last)))


def test_equal_content_is_resumed(tmp_path):
    options = {"checkpoint": tmp_path / "state.npz", "learning_rate": "constant"}
    whole = DenoisingAE(5, corruption=Shift(0.1), **{**FAST, "max_iter": 4}).set_params(
        learning_rate="constant"
    )
    whole.fit(X)
    DenoisingAE(5, corruption=Shift(0.1), **FAST, **options).fit(X)
    rest = DenoisingAE(5, corruption=Shift(0.1), **{**FAST, "max_iter": 4}, **options, resume=True)
    np.testing.assert_array_equal(rest.fit(X).components_, whole.components_)


@pytest.mark.parametrize(
    ("name", "params", "data"),
    [
        ("n_components", {"n_components": 9}, {}),  # to which X is scaled
        ("standardize", {"standardize": False}, {}),
        ("sample_weight", {}, {"sample_weight": np.arange(120) + 1.0}),
        ("X", {}, {"X": X + 1}),
    ],
)
def test_an_error_names_the_cause_and_not_what_follows_from_it(name, params, data, tmp_path):
    model = ContractiveAE(5, checkpoint=tmp_path / "state.npz", resume=True, **FAST).fit(X)
    with pytest.raises(ValueError, match=f"belongs to another training: {name} differs"):
        model.set_params(**params).fit(**{"X": X, **data})


def test_labels_are_named(tmp_path):
    model = StackedAEClassifier([5], checkpoint=tmp_path / "state.npz", resume=True, **FAST)
    model.fit(X, y)
    with pytest.raises(ValueError, match="belongs to another training: y differs"):
        model.fit(X, y[::-1])


def test_fitted_parts_are_compared_by_their_weights(tmp_path):
    options = {**FAST, "tangent_penalty": 0, "prefit": True, "checkpoint": tmp_path / "state.npz"}
    bases = [AutoEncoder(5, **{**FAST, "random_state": seed}).fit(X) for seed in (0, 1)]
    ManifoldTangentClassifier(bases[0], **options).fit(X, y)
    ManifoldTangentClassifier(bases[0], **options, resume=True).fit(X, y)
    with pytest.raises(ValueError, match="belongs to another training: weights of base differs"):
        ManifoldTangentClassifier(bases[1], **options, resume=True).fit(X, y)


def test_layers_of_a_boltzmann_machine_are_compared_by_their_place(tmp_path):
    """The scales of a layer's weights depend on whether it is the highest one."""
    path = tmp_path / "state.npz"
    layers = [(name, RBM(8, **FAST)) for name in "ab"]
    DBM(layers, checkpoint=path, **FAST).fit(X)
    grown = DBM([*layers, ("c", RBM(8, **FAST))], checkpoint=path, resume=True, **FAST)
    with pytest.raises(ValueError, match="belongs to another training: scales differs"):
        grown.fit(X)


def test_a_base_whose_seed_is_drawn_resumes_its_own_checkpoint(tmp_path):
    base = AutoEncoder(3, batch_size=40, max_iter=2, checkpoint=tmp_path / "base", resume=True)
    first, second = (AnomalyDetector(base).fit(X).score_samples(X) for _ in range(2))
    np.testing.assert_array_equal(second, first)


LAYERS = [("low", AutoEncoder(4, max_iter=2)), ("high", AutoEncoder(3, max_iter=2))]
CONTRACTIVE = [
    ("low", ContractiveAE(4, contraction="auto", max_iter=2)),
    ("high", ContractiveAE(3, contraction="auto", max_iter=2)),
]
MACHINES = [("low", RBM(4, max_iter=2)), ("high", RBM(3, max_iter=2))]
WITHOUT_SEEDS = {
    "one after the other": StackedAE(LAYERS),
    "at once": StackedAE(LAYERS, schedule="simultaneous"),
    "contractions at once": StackedAE(CONTRACTIVE, schedule="simultaneous"),
    "tangents": ManifoldTangentClassifier(StackedAE(LAYERS), n_tangents=2, max_iter=2),
    "machine": BoltzmannClassifier(DBN(MACHINES), max_iter=2),
    "deep machine": BoltzmannClassifier(DBM(MACHINES, max_iter=2), max_iter=2),
    "predictor": StackedAE(LAYERS, fine_tune="supervised", max_iter=2),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*codes of .* are constant")
@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=["None", "generator"])
@pytest.mark.parametrize("name", WITHOUT_SEEDS)
def test_parts_of_parts_whose_seeds_are_drawn_resume_their_own_checkpoints(name, seed, tmp_path):
    model = clone(WITHOUT_SEEDS[name]).set_params(checkpoint=tmp_path / "state", resume=True)
    first, second = (model.set_params(random_state=seed).fit(X, y).transform(X) for _ in range(2))
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize(
    ("low", "high", "options"),
    [
        (ContractiveAE(4, contraction=0.9, **FAST), AutoEncoder(3, **FAST), {}),
        (AutoEncoder(4, **FAST), AutoEncoder(3, **FAST), {}),
        (ContractiveAE(4, contraction=0.1, **FAST), DenoisingAE(3, corruption_level=0.5, **FAST), {}),
        (ContractiveAE(4, contraction=0.1, **FAST), AutoEncoder(3, weight_decay=0.3, **FAST), {}),
        (ContractiveAE(4, contraction=0.1, **FAST), AutoEncoder(3, **FAST), {"corrupted": "input"}),
    ],
)  # fmt: skip
def test_layers_that_are_trained_at_once_are_compared(low, high, options, tmp_path):
    path = {"schedule": "simultaneous", "checkpoint": tmp_path / "state", "random_state": 0}
    layers = [
        ("low", ContractiveAE(4, contraction=0.1, **FAST)),
        ("high", AutoEncoder(3, **FAST)),
    ]
    StackedAE(layers, **path).fit(X)
    StackedAE(layers, **path, resume=True).fit(X)
    with pytest.raises(ValueError, match="belongs to another training"):
        StackedAE([("low", low), ("high", high)], **path, resume=True, **options).fit(X)


@pytest.mark.parametrize(
    "changes", [{"weight_decay": 0.2}, {"corruption_level": 0.5}, {"corruption": "gaussian"}]
)
def test_layers_below_that_see_noise_are_compared(changes, tmp_path):
    layers = [(name, DenoisingAE(4, **FAST)) for name in ("low", "high")]
    path = {"corrupted": "input", "checkpoint": tmp_path / "state", "random_state": 0}
    StackedAE(layers, **path).fit(X)
    (tmp_path / "state.low").unlink()
    StackedAE(layers, **path, resume=True).fit(X)
    (tmp_path / "state.low").unlink()
    other = clone(StackedAE(layers, **path, resume=True))
    other.set_params(**{f"low__{name}": value for name, value in changes.items()})
    with pytest.raises(ValueError, match="belongs to another training: layers below differs"):
        other.fit(X)


def test_seeds_of_all_layers_that_are_trained_at_once_are_compared(tmp_path):
    layers = [(name, AutoEncoder(3, **FAST)) for name in ("low", "high")]
    options = {"schedule": "simultaneous", "checkpoint": tmp_path / "state", "resume": True}
    model = StackedAE(layers, **options).fit(X)
    with pytest.raises(ValueError, match="belongs to another training"):
        model.set_params(high__random_state=1).fit(X)
