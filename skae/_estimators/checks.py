"""Checks of parameters that must not change, of numbers of jobs, of tables with the same columns, and of codes."""

from numbers import Integral

from sklearn.utils import check_scalar

from .reading import named_array


def check_unchanged(before, now):
    """Raise if parameters that determine the shape or the units of a network, or of a dictionary, have changed.

    Parameters
    ----------
    before, now : dict of str
        Parameters by name, at the first fit and now.
    """
    changed = [
        f"{name} must stay as it was when training goes on, {before[name]}; got {now[name]}."
        for name in now
        if now[name] != before[name]
    ]
    if changed:
        raise ValueError(f"{' '.join(changed)} Set warm_start=False and call fit to start anew.")


def check_jobs(n_jobs):
    """Raise if ``n_jobs`` is neither None nor an integer."""
    if n_jobs is not None:
        check_scalar(n_jobs, "n_jobs", Integral)


def check_same_names(tables):
    """Raise if two of ``tables``, a dict, have named columns that differ in their names or order."""
    named = [
        (name, list(each.columns)) for name, each in tables.items() if hasattr(each, "columns")
    ]
    for name, columns in named[1:]:
        first, expected = named[0]
        if columns != expected:
            raise ValueError(
                f"{name} must have the columns of {first} in the same order, {expected}; got {columns}."
            )


def check_order_of_codes(estimator, codes, argument="X"):
    """Raise ``ValueError`` if an ``argument`` is a data frame that has the columns of ``transform`` in another order."""
    names = list(getattr(codes, "columns", []))
    if names and all(isinstance(name, str) for name in names):
        expected = estimator.get_feature_names_out().tolist()
        if names != expected and sorted(names) == sorted(expected):
            raise ValueError(
                f"{argument} must have the columns of {type(estimator).__name__}.transform in the same order: give "
                f"{argument}[estimator.get_feature_names_out()]."
            )


def check_codes(X, n_columns):
    """Raise ``ValueError`` if X does not have the shape of codes, with ``n_columns`` columns."""
    if X.ndim != 2 or X.shape[1] != n_columns:
        raise ValueError(
            f"X must have shape (n_samples, {n_columns}), as transform returns it; got {X.shape}."
        )


def checked_codes(estimator, X, n_columns, dtype):
    """Return codes as an array in C order or a CSR matrix, with ``n_columns`` columns."""
    check_order_of_codes(estimator, X)
    codes = named_array(X, "X", accept_sparse="csr", dtype=dtype, order="C")
    check_codes(codes, n_columns)
    return codes
