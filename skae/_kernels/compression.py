"""Conversion of rows with few nonzeros to the arrays of a CSR matrix."""

from ._jit import kernel


@kernel
def count_nonzeros(codes, counts):
    """counts_i <- the number of nonzeros of row i; return their sum."""
    total = 0
    for i in range(codes.shape[0]):
        count = 0
        for j in range(codes.shape[1]):
            count += codes[i, j] != 0
        counts[i] = count
        total += count
    return total


@kernel
def compress(codes, indices, values):
    """Fill in columns and values of the nonzeros, row after row."""
    place = 0
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            if codes[i, j] != 0:
                indices[place] = j
                values[place] = codes[i, j]
                place += 1
