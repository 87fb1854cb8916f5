"""Docstrings follow numpydoc, by its own rules."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from small_models import OTHERS, SHORT, TRAINED
from test_typing import PUBLIC, _functions

import skae
from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.manifold import TangentNeighborsClassifier

validate = pytest.importorskip("numpydoc.validate").validate
FunctionDoc = pytest.importorskip("numpydoc.docscrape").FunctionDoc
ClassDoc = pytest.importorskip("numpydoc.docscrape").ClassDoc

# As in scikit-learn: results may have names (RT02), and summaries start beside their quotes (GL01, GL02).
RULES = ("GL", "SS", "PR", "RT", "YD")
LEFT_OUT = {"RT02", "GL01", "GL02"}
# Its parameters are described in the classes that derive from it.
OF_A_BASE = {"skae.autoencoders._base.BaseAutoEncoder": {"PR01"}}


def _names(public):
    """Yield the path of a class or function, and those of the methods and properties of a class."""
    path = f"{public.__module__}.{public.__qualname__}"
    yield path
    if inspect.isclass(public):
        for name, _ in _functions(public):
            yield f"{path}.{name.split('.')[-1]}"


@pytest.mark.parametrize("public", sorted(PUBLIC, key=lambda each: each.__qualname__))
def test_numpydoc(public):
    assert inspect.getdoc(public)
    for path in _names(public):
        found = [
            f"{code} {message}"
            for code, message in validate(path)["errors"]
            if code.startswith(RULES) and code not in LEFT_OUT | OF_A_BASE.get(path, set())
        ]
        assert not found, f"{path}: {found}"


def test_the_api_page_has_all_public_names():
    page = (Path(skae.__file__).parents[1] / "doc" / "api.rst").read_text(encoding="utf-8")
    listed = {
        name.rpartition(".")[2] for name in re.findall(r"^   (skae[.\w]+)$", page, re.MULTILINE)
    }
    assert listed == {public.__name__ for public in PUBLIC}


# Estimators that share parameters, and the parameters that do more, or less, in one of them.
FAMILIES = [
    (
        (skae.AutoEncoder, skae.DenoisingAE, skae.ContractiveAE),
        {"learning_rate_init", "loss", "standardize", "tied_weights"},
    ),
    (
        (skae.StackedAE, skae.StackedAEClassifier, skae.StackedAERegressor, skae.RecurrentAE),
        {
            "corruption",
            "dropout",
            "layers",
            "learning_rate_init",
            "max_iter",
            "pretraining",
            "reconstruction_weight",
            "supervision_weight",
            "weight_decay",
        },
    ),
    (
        (skae.ManifoldTangentClassifier, skae.BoltzmannClassifier),
        {
            "base",
            "checkpoint",
            "corruption",
            "dropout",
            "learning_rate_init",
            "prefit",
            "random_state",
            "resume",
            "verbose",
        },
    ),
]


@pytest.mark.parametrize(("family", "different"), FAMILIES)
def test_shared_parameters_have_one_description(family, different):
    texts = {}
    for Model in family:
        for parameter in ClassDoc(Model)["Parameters"]:
            texts.setdefault(parameter.name, []).append(" ".join(parameter.desc))
    shared = {name: set(each) for name, each in texts.items() if len(each) > 1}
    assert len(shared) > 15
    assert {name for name, each in shared.items() if len(each) > 1} <= different


STAGES = [("only", ConvolutionalFeatures(2, patch_size=2))]
FITTED = [
    *TRAINED,
    *OTHERS,
    skae.AutoEncoder(3, **SHORT),
    skae.DenoisingAE(3, **SHORT),
    skae.ContractiveAE(3, **SHORT),
    skae.SparseAutoEncoder(4, activation="batch_topk", **SHORT),
    skae.RBM(3, **SHORT),
    TangentNeighborsClassifier(skae.ContractiveAE(3, **SHORT)),
    ConvolutionalFeatures(2, patch_size=2, random_state=0),
    ConvolutionalPSD(2, patch_size=2, **SHORT),
    ConvolutionalStack(STAGES, random_state=0),
]
# Attributes that need another fine_tune.
ELSEWHERE = {"StackedAE": {"predictor_", "classes_"}}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", FITTED, ids=lambda each: type(each).__name__)
def test_attributes_after_fit_are_those_of_the_docstring(model):
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(0).random((40, 36))
    frame = pandas.DataFrame(X).rename(columns=str)
    fitted = clone(model).fit(frame, (X[:, 0] > 0.5).astype(int))
    entries = ClassDoc(type(model))["Attributes"]
    documented = {name.strip() for entry in entries for name in entry.name.split(",")}
    own = {name for name in vars(fitted) if name.endswith("_") and name[0] != "_"}
    assert own <= documented
    for name in documented - ELSEWHERE.get(type(model).__name__, set()):
        getattr(fitted, name)
    for name, value in inspect.getmembers(type(model), lambda each: isinstance(each, property)):
        assert name[0] == "_" or inspect.getdoc(value), name


ROWS = np.random.default_rng(0).random((40, 36))
# Their X is another one, or none, and these take further arguments.
NOT_OF_ROWS = {"fit_transform", "fit_predict", "top_samples", "objective"}


def _methods_of_rows(model):
    """Yield the name of each public method with an X, whether its docstring has sparse X, and its arguments besides X."""
    for name, _ in inspect.getmembers(model, inspect.ismethod):
        if name[0] == "_" or name in NOT_OF_ROWS or name.startswith("set_"):
            continue
        entries = FunctionDoc(getattr(type(model), name))["Parameters"]
        kinds = [entry.type for entry in entries if entry.name == "X"]
        if kinds and "height" not in kinds[0]:
            others = {entry.name for entry in entries}
            yield name, "sparse" in kinds[0], others & {"y"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", FITTED, ids=lambda each: type(each).__name__)
def test_methods_take_sparse_rows_where_docstrings_say_so(model):
    y = (ROWS[:, 0] > 0.5).astype(int)
    fitted = clone(model).fit(ROWS, y)
    for name, is_sparse, others in list(_methods_of_rows(fitted)):
        X = csr_matrix(fitted.transform(ROWS) if name == "inverse_transform" else ROWS)
        call = getattr(clone(model).fit(ROWS, y), name)
        arguments = dict.fromkeys(others, y)
        if is_sparse:
            call(X, **arguments)
        else:
            with pytest.raises(TypeError, match=r"[Ss]parse"):
                call(X, **arguments)
