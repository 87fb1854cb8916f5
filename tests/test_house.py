"""Who may import whom, and where kernels are compiled."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "skae"
BELOW = {
    "_kernels": set(),
    "nn": {"_kernels"},
    "training": {"_kernels"},
    "_estimators": {"_kernels", "nn", "training"},
    "autoencoders": {"_kernels", "nn", "training", "_estimators"},
    "sparse": {"_kernels", "nn", "training", "_estimators"},
    "deep": {"_kernels", "nn", "training", "_estimators", "autoencoders", "sparse"},
    "manifold": {"_kernels", "nn", "training", "_estimators", "autoencoders", "deep"},
    "boltzmann": {"_kernels", "nn", "training", "_estimators", "autoencoders", "deep"},
    "generative": {"_kernels", "nn", "training", "_estimators", "autoencoders", "deep"},
    "plotting": {"_estimators", "autoencoders", "manifold", "nn"},
    "datasets": set(),
}


def _imported_rooms(path):
    package = path.relative_to(SOURCE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
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


def test_private_scikit_learn_is_imported_in_one_place():
    for path in SOURCE.rglob("*.py"):
        if path.name == "_compat.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names), path
