"""Numbers of data frames."""

from contextlib import suppress

import numpy as np


def values_of_pandas(frame):
    """Return the values of a data frame of pandas; the missing ones of nullable columns are NaN."""
    dtypes = [getattr(each, "numpy_dtype", each) for each in frame.dtypes]
    if not all(isinstance(each, np.dtype) and each.kind in "fiub" for each in dtypes):
        values = np.asarray(frame)
        if values.dtype.kind not in "fiub":
            values = _numbers_among_objects(frame)
        return values
    dtype = np.result_type(*dtypes)
    if not frame.isna().any(axis=None):
        return frame.to_numpy(dtype)
    return frame.to_numpy(dtype if dtype.kind == "f" else np.float64, na_value=np.nan)


def _numbers_among_objects(frame):
    """Return the values of a data frame of pandas, some of them objects, as of decimals or of booleans beside None."""
    columns = []
    for place, (name, dtype) in enumerate(frame.dtypes.items()):
        values = np.asarray(frame.iloc[:, place])
        if values.dtype == object:
            with suppress(TypeError, ValueError):  # of text, dates and sequences
                values = np.asarray(list(values), np.float64)
        if values.dtype.kind not in "fiub" or values.ndim > 1:
            refuse_column(name, dtype)
        columns.append(values)
    return np.column_stack(columns)


def values_of_polars(frame):
    """Return the values of a data frame of polars, in a dtype that does not depend on whether values are missing."""
    from polars import Decimal, Float64

    for name, dtype in frame.schema.items():
        if not (dtype.is_numeric() or str(dtype) == "Boolean"):
            refuse_column(name, dtype)
    frame = frame.cast({name: Float64 for name, each in frame.schema.items() if each == Decimal})
    if not any(frame.null_count().row(0)):
        return frame.to_numpy()
    dtype = frame.clear().to_numpy().dtype
    return frame.cast(Float64).to_numpy().astype(dtype if dtype.kind == "f" else np.float64)


def refuse_column(name, dtype):
    """Raise because of a column that has no numbers."""
    raise ValueError(f"X has the column {name!r} of {dtype}: encode or drop it.")
