"""Docstrings follow numpydoc, by its own rules."""

import inspect

import pytest
from test_typing import PUBLIC, _functions

import skae

validate = pytest.importorskip("numpydoc.validate").validate
ClassDoc = pytest.importorskip("numpydoc.docscrape").ClassDoc

# As in scikit-learn: results may have names (RT02), and summaries start beside their quotes (GL01, GL02).
RULES = ("GL", "SS", "PR", "RT", "YD")
LEFT_OUT = {"RT02", "GL01", "GL02"}


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
            if code.startswith(RULES) and code not in LEFT_OUT
        ]
        assert not found, f"{path}: {found}"


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
