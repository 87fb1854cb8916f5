"""Options of the test run."""


def pytest_addoption(parser):
    """Add ``--fuzz``, ``--fuzz-seed`` and ``--stops``."""
    parser.addoption(
        "--fuzz",
        type=int,
        default=200,
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
    """Mark the pages of the user guide as slow: they fit models of real sizes."""
    for item in items:
        if item.path.suffix == ".rst":
            item.add_marker("slow")
