"""Arrays in a file of the safetensors format: a header in JSON, then the values. It contains no code."""

import json
import math

import numpy as np

from .._typing import AnyArray, PathLike
from ..training.files import replacing

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
_NAMES = {np.dtype(value): name for name, value in _DTYPES.items()}
_MAX_HEADER = 10**7


def write_arrays(
    path: PathLike, arrays: dict[str, AnyArray], metadata: dict[str, str] | None = None
) -> None:
    """Write a dict of arrays of floats, and a dict of texts, in one move."""
    header, place = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, array in arrays.items():
        end = place + array.nbytes
        kind = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the values
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def read_arrays(path: PathLike) -> dict[str, AnyArray]:
    """Return the arrays in a file, by name; see :func:`read_file`."""
    return read_file(path)[0]


def read_file(path: PathLike) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """Return the arrays and the texts in a file, by name.

    Raises
    ------
    ValueError
        If the file is damaged, or has values other than floats of 16, 32 and 64 bits.
    """
    with open(path, "rb") as file:
        content = memoryview(file.read())  # parts of which are no copies
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 0 < size <= min(_MAX_HEADER, len(content) - 8):
        raise ValueError(
            f"{path} is no safetensors file: it is shorter than its header says, or has none."
        )
    try:
        header = json.loads(bytes(content[8 : 8 + size]))
        metadata = dict(header.pop("__metadata__", {}))
        numbers = content[8 + size :]
        return {name: _array(numbers, name, **each) for name, each in header.items()}, metadata
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} cannot be read as a safetensors file: {type(error).__name__}: {error}"
        ) from error


def _array(numbers, name, dtype, shape, data_offsets):
    """Return the array ``name``, which lies within ``numbers`` whatever the header says."""
    if dtype not in _DTYPES:
        raise ValueError(
            f"{name!r} has the dtype {dtype}, and skae reads {', '.join(_DTYPES)}: convert it, as tensor.float() of "
            "PyTorch does, and write the file again."
        )
    start, end = data_offsets
    kind = np.dtype(_DTYPES[dtype])
    whole = all(isinstance(each, int) and each >= 0 for each in (start, end, *shape))
    if not (whole and end - start == math.prod(shape) * kind.itemsize):
        raise ValueError(f"{name!r}, of shape {shape}, is at {data_offsets}")
    if end > len(numbers):
        raise ValueError(
            f"{name!r} ends at byte {end}, and there are {len(numbers)}: the file was cut. Write or download it again."
        )
    array = np.frombuffer(numbers[start:end], kind).reshape(shape)
    return array.astype(kind.newbyteorder("="))
