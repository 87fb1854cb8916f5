"""Rows that are held out of a training, whose error decides when it stops."""

import numpy as np
from sklearn.model_selection import train_test_split


def held_out_rows(rows, fraction, strata, seed):
    """Return the rows to train on and the held-out ones, both in order.

    Parameters
    ----------
    rows : ndarray of int
    fraction : float
        Fraction of the rows to hold out.
    strata : ndarray of shape (n_samples,) or None
        Classes, whose fractions are the same among held-out rows as among all.
    seed : int

    Raises
    ------
    ValueError
        If there are too few rows, or too few of a class.
    """
    n_held_out = int(fraction * len(rows))
    if not 0 < n_held_out < len(rows):
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves {n_held_out} of {len(rows)} samples for "
            "validation (rows of weight 0 do not count); use more samples or another fraction."
        )
    strata = None if strata is None else strata[rows]
    try:
        parts = train_test_split(rows, test_size=n_held_out, random_state=seed, stratify=strata)
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} holds out {n_held_out} of {len(rows)} samples, with "
            f"the same fraction of each of {len(np.unique(strata))} classes: that needs two samples or more of each, and as "
            "many held-out samples as classes. Use more samples, another fraction, or early_stopping=False."
        ) from error
    return tuple(map(np.sort, parts))
