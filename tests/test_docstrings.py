"""Docstrings follow numpydoc, by its own rules."""

import inspect

import pytest
from test_typing import PUBLIC, _functions

validate = pytest.importorskip("numpydoc.validate").validate

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
