"""Types of the public interface, as mypy and pyright see them, and as the checks of parameters have them."""

import dataclasses
import inspect
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

import skae
import skae.datasets
import skae.distributed
import skae.generative
import skae.images
import skae.io
import skae.manifold
import skae.onnx
import skae.plotting
import skae.sources
from skae._compat import StrOptions

CLIENT = """
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped, unused-ignore]
from skae import AnomalyDetector, AutoEncoder, ContractiveAE, DenoisingAE, SparseCoder, StackedAEClassifier
from skae.distributed import Distributed
from skae.images import sample_patches
from skae.manifold import tangent_basis
from skae.plotting import FilterDisplay
from skae.training import Adam
from typing_extensions import assert_type

Floats = NDArray[np.floating[Any]]
X = np.zeros((9, 4), np.float32)
y = np.arange(9) % 2
model = ContractiveAE(3, activation="relu", standardize=False, solver=Adam(), loss=[("gaussian", [0])])
assert_type(model.fit(X), ContractiveAE)
assert_type(model.fit(csr_matrix(X)).partial_fit(X), ContractiveAE)
assert_type(model.transform(X), Floats)
assert_type(model.fit_transform(X), Floats)
assert_type(model.reconstruct(X), Floats)
assert_type(model.score_samples(X), Floats)
assert_type(model.score(X), float)
assert_type(model.components_, Floats)
assert_type(model.loss_curve_, list[float])
assert_type(model.n_features_in_, int)
assert_type(tangent_basis(model, X).basis, Floats)
classifier = StackedAEClassifier([3, 2]).fit(X, y)
assert_type(classifier.predict(X), NDArray[Any])
assert_type(classifier.predict_proba(X), Floats)
assert_type(classifier.score(X, y), float)
assert_type(SparseCoder(3).fit(X).infer(X)[1], Floats)
display = FilterDisplay.from_estimator(model)
assert_type(display, FilterDisplay)
assert_type(display.ax_, Axes)
assert_type(display.figure_, Figure)
assert_type(classifier.center_, Floats)
assert_type(AnomalyDetector().fit(X).offset_, float)
assert_type(Distributed(model).fit(X), Distributed)
assert_type(sample_patches(np.zeros((9, 4, 4)), (2, 2), 5), Floats)
ContractiveAE(activation="rleu")  # wrong
DenoisingAE(corruption="mask")  # wrong
AutoEncoder(solver="adma")  # wrong
AutoEncoder(loss="gausian")  # wrong
AutoEncoder(n_compnents=3)  # wrong
StackedAEClassifier([3], pretraining="none")  # wrong
SparseCoder(algorithm="lars")  # wrong
AnomalyDetector(offset_=3)  # wrong
Distributed(model, sync_each=3)  # wrong
model.transform()  # wrong
"""

# Libraries with types that the client sees nothing of are not read.
MYPY = """
[mypy]
follow_imports = silent
[mypy-dask.*,distributed.*,numba.*,onnx.*,PIL.*,tornado.*]
follow_imports = skip
"""
CHECKERS = {
    "mypy": ["mypy", "--config-file=mypy.ini", "--no-incremental", "--python-executable"],
    "pyright": ["pyright", "--pythonpath"],
}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_types_of_a_client(tmp_path, checker):
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed")
    if checker == "pyright" and shutil.which("node") is None:
        pytest.skip("pyright needs node")
    (tmp_path / "client.py").write_text(CLIENT)
    (tmp_path / "mypy.ini").write_text(MYPY)
    source = str(Path(skae.__file__).parent.parent)
    result = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], sys.executable, "client.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": source, "PYTHONPATH": source},
        capture_output=True,
        text=True,
    )
    found = {int(line) for line in re.findall(r"client\.py:(\d+).*error", result.stdout)}
    lines = enumerate(CLIENT.splitlines(), start=1)
    assert found == {number for number, line in lines if "# wrong" in line}, result.stdout


MODULES = (
    skae, skae.autoencoders, skae.boltzmann, skae.datasets, skae.deep, skae.distributed, skae.generative, skae.images, skae.io,
    skae.manifold, skae.onnx, skae.plotting, skae.sources, skae.sparse, skae.training,
)  # fmt: skip
USER_FUNCTIONS = ["load", "load_features", "save", "save_features", "to_onnx"]
PUBLIC = {
    each
    for module in MODULES
    for each in (
        getattr(module, name)
        for name in getattr(module, "__all__", USER_FUNCTIONS)
        if hasattr(module, name)
    )
    if callable(each)
}
# What authors of estimators write or call, and not users.
OF_AUTHORS = {"objective", "layer_shapes", "layer_weights", "layer_training"}


def _functions(public):
    """Yield the public functions of a class or module, by name."""
    if inspect.isfunction(public):
        yield public.__qualname__, public
        return
    for name in dir(public):
        member = inspect.getattr_static(public, name)
        if isinstance(member, property):
            member = member.fget
        member = getattr(member, "fn", getattr(member, "__func__", member))
        if name[0] != "_" and name not in OF_AUTHORS and inspect.isfunction(member):
            if member.__module__.startswith("skae"):
                yield f"{public.__name__}.{name}", member


@pytest.mark.parametrize("public", sorted(PUBLIC, key=lambda each: each.__qualname__))
def test_public_functions_are_annotated(public):
    own = (
        [("constructor", public)] if inspect.isclass(public) and "__init__" in vars(public) else []
    )
    for name, function in [*_functions(public), *own]:
        signature = inspect.signature(function)
        missing = [
            each.name
            for each in signature.parameters.values()
            if each.annotation is each.empty and each.name not in {"self", "cls"}
        ]
        assert not missing, f"{name}: {missing}"
        if function is not public:
            assert signature.return_annotation is not signature.empty, name


@pytest.mark.parametrize("public", sorted(PUBLIC, key=lambda each: each.__qualname__))
def test_help_prints_names_of_types_and_not_their_parts(public):
    for name, function in _functions(public):
        signature = inspect.signature(function)
        for each in [*signature.parameters.values(), signature]:
            text = inspect.formatannotation(
                signature.return_annotation if each is signature else each.annotation
            )
            assert "_NestedSequence" not in text and "numpy.dtype" not in text, f"{name}: {text}"


def _strings(annotation):
    """Return the strings that an annotation names."""
    if get_origin(annotation) is Literal:
        return {each for each in get_args(annotation) if isinstance(each, str)}
    return set().union(*map(_strings, get_args(annotation)))


def _takes_any_string(annotation):
    return annotation is str or str in get_args(annotation)


ESTIMATORS = [
    each for each in PUBLIC if dataclasses.is_dataclass(each) and hasattr(each, "get_params")
]


@pytest.mark.parametrize("Estimator", sorted(ESTIMATORS, key=lambda each: each.__name__))
def test_literals_are_the_strings_that_fit_takes(Estimator):
    fields = {field.name: field.type for field in dataclasses.fields(Estimator) if field.init}
    assert fields
    for name, annotation in fields.items():
        assert annotation is not object, name
        constraints = Estimator._parameter_constraints.get(name, [])
        options = [each.options for each in constraints if isinstance(each, StrOptions)]
        if options and not _takes_any_string(annotation):
            # L-BFGS is refused by some with a message of their own.
            taken = set().union(*options) - ({"lbfgs"} if name == "solver" else set())
            assert _strings(annotation) - {"lbfgs"} == taken, name
