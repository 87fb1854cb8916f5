"""What forks begin with: numba loads most of itself as it compiles for the first time, and tests import the others."""

import matplotlib.pyplot  # noqa: F401
import numba
import pytest  # noqa: F401

numba.njit("int64(int64)")(lambda number: number)
