"""Benchmarks that train without an estimator: parts of the package that are not public may change under them."""

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skae":
            for alias in node.names:
                yield node.module, alias.name


@pytest.mark.parametrize("path", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.stem)
def test_what_benchmarks_import_exists(path):
    for module, name in _imports(path):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("name", ["bench_deep", "bench_rbm"])
def test_an_epoch_of_a_benchmark_trains(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module(name)
    X = np.random.default_rng(0).random((12, 784), dtype=np.float32)
    module.skae_epoch(X, 4)()
