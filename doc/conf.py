"""Sphinx configuration: ``pip install ".[doc]" && sphinx-build -W doc doc/_build``."""

from skae import __version__
from skae._estimators.layer import Layer, NetworkLayer

project = "skae"
author = "The skae developers"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
# What a stack needs to train its layers is described in skae/_estimators/layer.py.
_OF_LAYERS = NetworkLayer.__abstractmethods__ - Layer.__abstractmethods__
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "exclude-members": ", ".join(sorted(_OF_LAYERS)),
}
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
# Docstrings inherited from scikit-learn refer to its own pages.
suppress_warnings = ["ref.ref", "ref.term"]
