"""What the gallery runs."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = sorted([*(ROOT / "examples").rglob("plot_*.py"), *(ROOT / "examples").rglob("text_*.py")])
MODULES = {"scikit-learn": "sklearn"}
OF_SCIKIT_LEARN = {"joblib", "threadpoolctl"}


def _installed():
    """Return the modules of the requirements of the package, and of its extras ``plot`` and ``doc``."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(r"^(?:dependencies|plot|doc) = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert len(lists) == 3
    names = re.findall(r'"([\w-]+)[^"]*"', "".join(lists))
    return {MODULES.get(name, name) for name in names} | OF_SCIKIT_LEARN


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_an_example_needs_what_the_extra_doc_installs(path):
    beside = {other.stem for other in path.parent.glob("*.py")}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:  # what may fail is in a try
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        found = {name.split(".")[0] for name in names} - beside - set(sys.stdlib_module_names)
        assert found <= _installed()


def test_the_corpus_says_where_it_comes_from():
    lines = (ROOT / "examples/text/countries.tsv").read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#")]
    assert "Source: " in " ".join(head) and "public domain" in " ".join(head)
    names, texts = zip(*(line.split("\t") for line in lines[len(head) :]))
    assert len(set(names)) == len(names) == 255 and min(map(len, texts)) > 100
