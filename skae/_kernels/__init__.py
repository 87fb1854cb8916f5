"""Numba leaf functions on C-ordered float32 and float64 arrays, one subject a file."""
