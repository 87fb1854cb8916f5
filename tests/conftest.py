"""Options of the test run."""


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
