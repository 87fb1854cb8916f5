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


def copy_kernels(folder):
    """Write a package ``skae`` of kernels alone to ``folder``, without machine code."""
    source, package = Path(skae.__file__).parent, folder / "skae"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source / "_kernels", package / "_kernels", ignore=ignored)
    shutil.copy(source / "_version.py", package)
    (package / "__init__.py").touch()


class Said(NamedTuple):
    """What code has printed; ``stderr`` ends with the traceback of its exception."""

    stdout: str
    stderr: str


def run_kernels(code, folder, cache, environment=(), prepare=None):
    """Run ``code`` in another process, with kernels of ``copy_kernels`` and their machine code in ``cache``.

    ``prepare`` is called in that process first.
    """
    pipe, its_end = multiprocessing.Pipe(duplex=False)
    arguments = textwrap.dedent(code), str(folder), str(cache), dict(environment), prepare, its_end
    running = process(_run_kernels, *arguments)
    its_end.close()
    assert pipe.poll(100)
    said = Said(*pipe.recv())
    running.join()
    return said


def _run_kernels(code, folder, cache, environment, prepare, pipe):
    if prepare is not None:
        prepare()
    os.environ.update(environment, NUMBA_CACHE_DIR=cache)
    numba.config.reload_config()
    # The kernels are imported anew, from the folder.
    for name in [name for name in sys.modules if name.partition(".")[0] == "skae"]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            exec(code, {})
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
