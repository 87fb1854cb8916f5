"""Sphinx configuration: ``pip install ".[doc]" && sphinx-build -W doc doc/_build``."""

from skae import __version__

project = "skae"
author = "The skae developers"
release = version = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc"]
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
# Docstrings inherited from scikit-learn refer to its own pages.
suppress_warnings = ["ref.ref", "ref.term"]
