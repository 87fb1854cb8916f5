"""Other processes that begin soon: forks of one that has imported the package."""

import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import NamedTuple

import numba
import pytest

import skae

_STARTING = threading.Lock()


def forks():
    """Return what starts processes as forks of one that has imported the package."""
    context = multiprocessing.get_context("forkserver")
    names = "distributed", "generative", "images", "plotting"
    context.set_forkserver_preload(
        ["distributed", *[f"skae.{name}" for name in names], "preloaded"]
    )
    with _STARTING, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()
    return context


def process(function, *arguments):
    """Return the started process of ``function(*arguments)``, which are pickled."""
    started = forks().Process(target=function, args=arguments)
    started.start()
    return started


def kill_fit_when(path, model, *data):
    """Fit ``model`` in another process until ``path`` exists and a little longer."""
    fit = process(model.fit, *data)
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    fit.kill()
    fit.join()
    assert os.path.exists(path)


SMALL = """
from ._jit import kernel
from .small_helper import scaled

@kernel
def scale(x):
    for row in range(len(x)):
        x[row] = scaled(x[row])
"""
SMALL_HELPER = """
from ._jit import kernel

@kernel
def scaled(x):
    return x * 3
"""
# Prints 1.5.
RUN_SMALL = """
import numpy as np
from skae._kernels import small
x = np.full(1, 0.5, np.float32)
small.scale(x)
print(x[0])
"""


def copy_kernels(folder):
    """Write a package ``skae`` of kernels alone to ``folder``, without machine code.

    It has one more, for ``RUN_SMALL``, which is compiled in a moment and has a helper in another file.
    """
    source, package = Path(skae.__file__).parent, folder / "skae"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source / "_kernels", package / "_kernels", ignore=ignored)
    shutil.copy(source / "_version.py", package)
    (package / "__init__.py").touch()
    (package / "_kernels" / "small.py").write_text(SMALL)
    (package / "_kernels" / "small_helper.py").write_text(SMALL_HELPER)


class Said(NamedTuple):
    """What code has printed; ``stderr`` ends with the traceback of its exception."""

    stdout: str
    stderr: str


def run_anew(code, folder=None, cache=None, environment=(), prepare=None):
    """Run ``code`` in a fork that imports the package anew: from ``folder``, where another one may be.

    Its machine code is in ``cache``, by default where that of this process is. ``prepare`` is called in the fork first.
    """
    folder = Path(skae.__file__).parents[1] if folder is None else folder
    cache = numba.config.CACHE_DIR if cache is None else cache
    pipe, its_end = multiprocessing.Pipe(duplex=False)
    arguments = textwrap.dedent(code), str(folder), str(cache), dict(environment), prepare, its_end
    running = process(_run_anew, *arguments)
    its_end.close()
    assert pipe.poll(100)
    said = Said(*pipe.recv())
    running.join()
    return said


def _run_anew(code, folder, cache, environment, prepare, pipe):
    if prepare is not None:
        prepare()
    os.environ.update(environment, NUMBA_CACHE_DIR=cache)
    numba.config.reload_config()
    # The package is imported anew, from the folder.
    for name in [name for name in sys.modules if name.partition(".")[0] == "skae"]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            exec(code, {"__name__": "__main__"})
        except Exception:
            traceback.print_exc()
    pipe.send((out.getvalue(), errors.getvalue()))


IMPORT = """
    import json, pkgutil, sys
    import skae
    facts = {"loaded": list(sys.modules)}
    names = {module.name for module in pkgutil.iter_modules(skae.__path__)}
    facts["modules"] = [name for name in names if not name.startswith("_")]
    facts["listed"] = [name for name in dir(skae) if not name.startswith("__")]
    facts["names"] = [getattr(skae, name).__name__ for name in facts["modules"]]
    try:
        skae.pictures
    except AttributeError as error:
        facts["error"] = str(error)
    from numba.core.registry import CPUDispatcher
    modules = [each for name, each in sys.modules.items() if name.startswith("skae")]
    kernels = [each for module in modules for each in vars(module).values() if isinstance(each, CPUDispatcher)]
    facts["kernels"] = len(kernels)
    facts["compiled"] = sum(len(each.signatures) for each in kernels)
    print(json.dumps(facts))
"""


@cache
def facts_of_an_import():
    """Return what a new process finds that imports the package, and then the modules that are its attributes."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(IMPORT)]
    return json.loads(subprocess.check_output(command, timeout=100))
