"""Options of the test run, and the threads of its processes."""

import gc
import multiprocessing
import os

import pytest
from joblib import cpu_count
from threadpoolctl import threadpool_limits

# Workers of Dask that are processes begin as forks of one that has imported the package (processes.py).
if "forkserver" in multiprocessing.get_all_start_methods():
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD", "forkserver")
# Nobody reads Dask's profile, for which a thread looks at what all others do a hundred times a second.
os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")


def pytest_sessionstart():
    """Share the cores among the processes of pytest-xdist: threads that wait for others would slow all of them."""
    n_processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if n_processes > 1:
        import skae  # noqa: F401  (whose libraries have the threads; the process that starts the others needs none)

        n_threads = max(cpu_count() // n_processes, 1)
        threadpool_limits(n_threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of processes that tests start
            os.environ.setdefault(name, str(n_threads))


@pytest.hookimpl(hookwrapper=True)
def pytest_collection():
    """Keep Python from looking for garbage among modules and tests, of which there is none, and seldom among others."""
    gc.disable()
    yield
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.fixture
def few_epochs(monkeypatch):
    """Take two epochs where ``max_iter`` is 'auto'."""
    monkeypatch.setattr("skae._estimators.training.auto_epochs", lambda *_: 2)


def pytest_addoption(parser):
    """Add ``--fuzz``, ``--fuzz-seed`` and ``--stops``."""
    parser.addoption(
        "--fuzz",
        type=int,
        default=40,
        metavar="N",
        help="random parameters of each estimator and function, and 5 N damaged files (default: %(default)s)",
    )
    parser.addoption(
        "--stops",
        type=int,
        default=1,
        metavar="N",
        help="kills and interrupts, at random times, of a training of each family; 20 interrupt at each call (default: %(default)s)",
    )
    parser.addoption(
        "--fuzz-seed",
        type=int,
        default=0,
        metavar="S",
        help="what the random tries begin with: another number is other tries (default: %(default)s)",
    )


def pytest_collection_modifyitems(items):
    """Mark the pages of the user guide as slow, which fit models of real sizes, and tests that start a cluster."""
    for item in items:
        if item.get_closest_marker("xfail"):
            item.repr_failure = _exception_only
        if item.path.suffix == ".rst" or item.path.parent.name == "distributed":
            item.add_marker("slow")


def _exception_only(error):
    """Return what an expected failure is told by: a traceback through scikit-learn's checks takes a tenth of a second."""
    return error.exconly()
