"""Who may import whom, what stands in one place, how long things are, and in what order parameters stand."""

import ast
import dataclasses
import inspect
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_limits

import skae
import skae.boltzmann
import skae.deep
import skae.generative
import skae.images
import skae.manifold
import skae.sparse
from skae._estimators.parameters import documented

ROOMS = [skae, skae.boltzmann, skae.deep, skae.generative, skae.manifold, skae.sparse]
SOURCE = Path(__file__).parent.parent / "skae"
BELOW = {
    "_kernels": set(),
    "sources": set(),
    "_arrays": {"_kernels"},
    "nn": {"_kernels", "_arrays"},
    "training": {"_kernels", "_arrays"},
    "_estimators": {"_kernels", "_arrays", "nn", "training", "sources"},
    "autoencoders": {"_kernels", "_arrays", "nn", "training", "_estimators"},
    "sparse": {"_kernels", "_arrays", "nn", "training", "_estimators"},
    "deep": {"_kernels", "_arrays", "nn", "training", "_estimators", "autoencoders", "sparse"},
    "manifold": {"_kernels", "_arrays", "nn", "training", "_estimators", "autoencoders", "deep"},
    "boltzmann": {"_kernels", "_arrays", "nn", "training", "_estimators", "autoencoders", "deep"},
    "generative": {"_kernels", "_arrays", "nn", "training", "_estimators", "autoencoders", "deep"},
    "plotting": {
        "_arrays",
        "_estimators",
        "autoencoders",
        "images",
        "manifold",
        "generative",
        "nn",
    },
    "images": {"_kernels", "_arrays", "nn", "training", "_estimators"},
    "distributed": {"_arrays", "_estimators", "training", "nn"},
    "datasets": set(),
    "io": {
        *("_arrays", "_estimators", "autoencoders", "sparse", "deep", "boltzmann", "images", "nn"),
        "training",
    },
}


@cache
def _nodes(path):
    """Return all nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text())))


def _imported_rooms(path):
    package = path.relative_to(SOURCE).parts[:-1]
    for node in _nodes(path):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split("."))
            if target[0] in BELOW:
                yield target[0]


def test_imports_go_down():
    for room, allowed in BELOW.items():
        for path in (SOURCE / room).rglob("*.py"):
            wrong = set(_imported_rooms(path)) - allowed - {room}
            assert not wrong, f"{path} imports {wrong}"


def test_one_place_compiles():
    for path in SOURCE.rglob("*.py"):
        if path.name != "_jit.py":
            assert "njit" not in path.read_text(), path


def test_kernels_assign_no_array_to_a_slice():
    """Numba would compile the message of an error for other shapes, which takes seconds; ``copy`` has none."""
    for path in (SOURCE / "_kernels").glob("*.py"):
        for node in _nodes(path):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                parts = [*ast.walk(node.targets[0].slice), *ast.walk(node.value)]
                n_slices = sum(isinstance(each, ast.Slice) for each in parts)
                assert n_slices < 2, f"{path}:{node.lineno}"


def test_one_place_warns():
    """It finds the line of the user's code; a ``stacklevel`` would count the functions in between."""
    for path in SOURCE.rglob("*.py"):
        if path.name != "_warnings.py":
            assert "warnings.warn(" not in path.read_text(), path


def test_one_place_assembles_the_loop():
    for path in SOURCE.rglob("*.py"):
        if path.parent == SOURCE / "_estimators":
            continue
        for node in _nodes(path):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", None))
                assert called not in {"minimize", "minimize_full_batch"}, path


def test_private_scikit_learn_is_imported_in_one_place():
    for path in SOURCE.rglob("*.py"):
        if path.name == "_compat.py":
            continue
        for node in _nodes(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names), path


def test_no_tower_of_ancestors():
    public = [each for room in ROOMS for each in vars(room).values() if hasattr(each, "fit")]
    assert len(public) > 15
    for Estimator in public:
        above = [
            each.__name__
            for each in Estimator.__mro__[1:]
            if each.__module__.startswith("skae.") and each.__module__ != "skae._compat"
        ]
        assert len(above) <= 3, f"{Estimator.__name__}: {above}"


def _estimators():
    """Return the public estimators that are dataclasses."""
    rooms = skae, skae.generative, skae.images, skae.manifold
    public = [each for room in rooms for each in vars(room).values()]
    found = [each for each in public if inspect.isclass(each) and dataclasses.is_dataclass(each)]
    return sorted(set(found), key=lambda each: each.__name__)


@pytest.mark.parametrize("Estimator", [each for each in _estimators() if each.__doc__])
def test_parameters_have_the_order_of_the_docstring(Estimator):
    names = documented(Estimator)
    assert list(inspect.signature(Estimator).parameters) == names
    assert [field.name for field in dataclasses.fields(Estimator) if field.init] == names
    if hasattr(Estimator, "get_params"):
        assert Estimator._get_param_names() == sorted(names)


@pytest.mark.parametrize("Estimator", [each for each in _estimators() if each.__doc__])
def test_docstrings_have_the_defaults(Estimator):
    text = inspect.getdoc(Estimator)
    for field in dataclasses.fields(Estimator):
        entry = re.search(rf"^{field.name} : .*$", text, flags=re.M).group(0)
        if field.default is not dataclasses.MISSING and "default=" in entry:
            assert ast.literal_eval(entry.split("default=")[1]) == field.default, entry


def _n_documented(nodes):
    """Return how many lines are docstrings, or parts of signatures beyond the first line of each."""
    n_lines = 0
    for node in nodes:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            n_lines += node.body[0].lineno - node.lineno - 1
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(
            node
        ):
            n_lines += node.body[0].end_lineno - node.body[0].lineno + 1
    return n_lines


def test_functions_files_and_lines_are_short():
    for path in SOURCE.rglob("*.py"):
        length = len(path.read_text().splitlines())
        assert length <= 400 and length - _n_documented(_nodes(path)) <= 320, path
        for node in _nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = (
                    node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                )
                n_lines = node.end_lineno - first.lineno + 1
                assert n_lines <= 40, f"{path}: {node.name} has {n_lines} lines"
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                text = (ast.get_docstring(node, clean=False) or "").splitlines()
                longest = max(text, key=len, default="")
                assert len(longest) <= 120, f"{path}: {longest}"


def _looks_up(node):
    """Return whether an attribute is asked for that may not be there, of anything but self."""
    name = getattr(getattr(node, "func", None), "id", None)
    found = name == "hasattr" or (name == "getattr" and len(node.args) == 3)
    return found and not _is_own(node.args[0])


def test_parts_of_a_training_have_protocols():
    """What may be asked of objectives, penalties, observers and batches has defaults, and is not looked up by name."""
    for path in [*(SOURCE / "nn").rglob("*.py"), *(SOURCE / "training").rglob("*.py")]:
        found = {ast.unparse(each) for each in _nodes(path) if _looks_up(each)}
        assert found <= {"hasattr(X, 'device')"}, path  # X is what users give


def test_families_do_not_share_private_modules():
    families = {
        "autoencoders",
        "sparse",
        "deep",
        "boltzmann",
        "manifold",
        "generative",
        "images",
        "plotting",
    }
    for path in SOURCE.rglob("*.py"):
        room = path.relative_to(SOURCE).parts[0]
        for node in _nodes(path):
            if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
                family, *names = node.module.split(".")
                private = family in families - {room} and any(
                    each.startswith("_") for each in names
                )
                assert not private, f"{path} imports {node.module}"


def _is_own(node):
    """Return whether ``node`` is self, cls or super()."""
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "id", None) in {"self", "cls", "super"}


def _private_reads(nodes):
    """Yield where a private member of another object is read, by its name or by a text of it."""
    for node in nodes:
        if isinstance(node, ast.Attribute):
            owner, name = node.value, node.attr
        elif getattr(getattr(node, "func", None), "id", None) in {"getattr", "hasattr"}:
            owner, name = node.args[0], getattr(node.args[1], "value", "")
        else:
            continue
        private = isinstance(name, str) and name.startswith("_") and not name.startswith("__")
        # Constraints of a base class are what scikit-learn has instead of inheriting them.
        if private and name != "_parameter_constraints" and not _is_own(owner):
            yield f"{node.lineno} {ast.unparse(node)}"


@pytest.mark.slow
def test_private_members_stay_private():
    found = [
        f"{path.relative_to(SOURCE)}:{each}"
        for path in SOURCE.rglob("*.py")
        for each in _private_reads(_nodes(path))
    ]
    assert len(found) <= 10, found


def test_functions_with_self_are_methods():
    """A function outside of a class that takes ``self`` is one that classes take as a method."""
    taken, functions = set(), {}
    for path in SOURCE.rglob("*.py"):
        module, *_ = _nodes(path)
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and "self" in {arg.arg for arg in node.args.args}:
                functions[node.name] = path
        bodies = [node.body for node in _nodes(path) if isinstance(node, ast.ClassDef)]
        values = [each.value for body in bodies for each in body if isinstance(each, ast.Assign)]
        for node in [node for value in values for node in ast.walk(value)]:
            taken.add(getattr(node, "attr", getattr(node, "id", None)))
    assert functions.keys() <= taken, functions.keys() - taken


def test_attributes_are_set_where_readers_look():
    """By the methods of an object, and not through its dict elsewhere."""
    for path in SOURCE.rglob("*.py"):
        for node in _nodes(path):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                called = getattr(getattr(node.value, "func", None), "id", None)
                assert called != "vars" or _is_own(node.value.args[0]), f"{path}:{node.lineno}"


def _calls(function):
    """Return how often ``function()`` calls functions of skae in each file.

    Kernels, which are compiled, do not count, nor do functions of arrays, which stand for numpy's.
    """
    calls = Counter()

    def note(frame, event, _):
        path = Path(frame.f_code.co_filename)
        below = path.parent.name in {"_kernels", "_arrays"}
        if event == "call" and SOURCE in path.parents and not below:
            calls[path] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.filterwarnings("ignore")  # one epoch learns little
@pytest.mark.parametrize(
    ("Model", "n_calls", "n_files"),
    [(skae.ContractiveAE, 258, 25), (skae.ManifoldTangentClassifier, 684, 40)],
)
def test_a_fit_goes_through_few_functions(Model, n_calls, n_files):
    options = {"max_iter": 1, "batch_size": 64, "random_state": 0}
    model = skae.ContractiveAE(5, **options)
    if Model is skae.ManifoldTangentClassifier:
        model = Model(model, n_tangents=2, **options)
    X = np.random.default_rng(0).random((64, 8))
    with threadpool_limits(1, user_api="blas"):
        clone(model).fit(X, np.arange(64) % 2)
        calls = _calls(lambda: model.fit(X, np.arange(64) % 2))
    assert 20 < calls.total() <= n_calls, calls
    assert len(calls) <= n_files, sorted(calls)


def test_names_without_an_underscore_are_for_users():
    of_scikit_learn = {
        "fit_transform",
        "get_params",
        "set_params",
        "set_output",
        "get_feature_names_out",
        "get_metadata_routing",
    }
    of_requests = {
        "set_callbacks",
        "set_fit_request",
        "set_partial_fit_request",
        "set_score_request",
    }
    of_authors = {"objective", "layer_shapes", "layer_weights", "layer_training"}
    names = {each for each in dir(skae.ContractiveAE()) if not each.startswith("_")}
    fields = {field.name for field in dataclasses.fields(skae.ContractiveAE)}
    methods = {each for each in names - fields if not each.endswith("_")}
    assert methods - of_scikit_learn - of_requests - of_authors == {
        "fit", "partial_fit", "transform", "inverse_transform", "reconstruct", "impute",
        "score", "score_samples", "score_field", "jacobian", "singular_values", "report",
    }  # fmt: skip


def test_benchmarks_with_layers_of_their_own_choose_the_dropout():
    """The papers that they reproduce, and the networks they are compared with, have none; the default depends on widths."""
    calls = [
        (path.name, call)
        for path in (SOURCE.parent / "benchmarks").glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "StackedAEClassifier"
    ]
    for name, call in calls:
        assert not call.args or "dropout" in {each.arg for each in call.keywords}, name


def test_test_files_have_names_of_their_own():
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
