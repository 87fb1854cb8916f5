"""Sphinx configuration: ``pip install ".[doc]" && sphinx-build -W doc doc/_build``."""

import logging
import re
import sys
from pathlib import Path

from skae import __version__
from skae._estimators.layer import Layer, NetworkLayer
from skae._estimators.training import TrainedModel

sys.path.append(str(Path(__file__).parent))
# No word of compilation among what examples print.
logging.getLogger("skae").setLevel(logging.ERROR)

project = "skae"
author = "The skae developers"
release = version = __version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
# What a stack needs to train its layers is described in skae/_estimators/layer.py.
_OF_LAYERS = NetworkLayer.__abstractmethods__ - Layer.__abstractmethods__
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "exclude-members": ", ".join(sorted(_OF_LAYERS)),
}
autodoc_member_order = "groupwise"  # methods, then attributes
# Types stand in the docstrings, with their shapes; a signature has the defaults.
autodoc_typehints = "none"
# Constructors have one parameter on each line.
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
autosummary_generate = True


def guide_pages(name):
    """Return the pages of the guide about a public name: those that have it at least half as often as the first one."""
    doc, counts = Path(__file__).parent, {}
    word = re.compile(rf"\b{name.rpartition('.')[2]}\b(?!=)")
    for path in sorted([*doc.glob("user_guide/*.rst"), doc / "large_data.rst"]):
        page = "/" + path.relative_to(doc).with_suffix("").as_posix()
        counts[page] = len(word.findall(path.read_text(encoding="utf-8")))
    pages = sorted(filter(counts.get, counts), key=counts.get, reverse=True)
    return [page for page in pages if 2 * counts[page] >= counts[pages[0]]]


names = re.findall(
    r"^   (skae[.\w]+)$", (Path(__file__).parent / "api.rst").read_text(), re.MULTILINE
)
autosummary_context = {"guide_pages": {name: guide_pages(name) for name in names}}
numpydoc_show_class_members = False
copybutton_prompt_text = ">>> "
# Docstrings inherited from scikit-learn refer to its own pages.
suppress_warnings = ["ref.ref", "ref.term"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(plot|text)_",
    "ignore_pattern": r"__init__\.py|country_texts\.py|edge_angles\.py",
    "subsection_order": [
        f"../examples/{name}"
        for name in ("images", "tables", "text", "generative", "sparse", "large")
    ],
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skae",),
    "reset_modules": ("matplotlib", "gallery_style.use_style"),
    "show_memory": False,
    "default_thumb_file": str(Path(__file__).parent / "_static" / "prints.png"),
    "min_reported_time": 1,
}

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_sidebars = {"index": [], "choose": [], "quickstart": []}
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "show_toc_level": 2,  # the methods of a class
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}

# The parameter that begins each group in the pages of trained estimators; the docstrings have this order.
_GROUPS = {
    "Training": ("solver", "batch_size"),
    "Seed, progress and checkpoints": ("warm_start", "refit", "n_jobs", "random_state"),
}


def group_parameters(app, what, name, obj, options, lines):
    """Put a heading above each group of parameters of a trained estimator."""
    if what != "class" or not issubclass(obj, TrainedModel):
        return
    headings = dict(_GROUPS)
    documented = lines.copy()
    lines.clear()
    for line in documented:
        parameter = re.match(r"    \*\*(\w+)\*\* : ", line)
        for heading, first in list(headings.items()):
            if parameter and parameter[1] in first:
                lines += [f"    .. rubric:: {heading}", ""]
                del headings[heading]
        lines.append(line)


def setup(app):
    """Group parameters once numpydoc has read the docstrings."""
    app.connect("autodoc-process-docstring", group_parameters, priority=600)
