"""Sparse coding: inference, dictionary learning."""

from ._coder import SparseCoder

__all__ = ["SparseCoder"]
