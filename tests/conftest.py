"""Options of the test run."""


def pytest_addoption(parser):
    """Add ``--fuzz``."""
    parser.addoption(
        "--fuzz",
        type=int,
        default=10,
        metavar="N",
        help="random parameters of each estimator and function, and 5 N damaged files (default: %(default)s)",
    )
