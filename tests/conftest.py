"""Options of the test run, and what has to be before any test."""

import sys

# The folder of the tests is on the path: Dask would take tests/sparse for the package of that name.
sys.modules.setdefault("sparse", None)


def pytest_addoption(parser):
    """Add ``--fuzz`` and ``--fuzz-seed``."""
    parser.addoption(
        "--fuzz",
        type=int,
        default=10,
        metavar="N",
        help="random parameters of each estimator and function, and 5 N damaged files (default: %(default)s)",
    )
    parser.addoption(
        "--fuzz-seed",
        type=int,
        default=0,
        metavar="S",
        help="what the random tries begin with: another number is other tries (default: %(default)s)",
    )
