"""Checks of X for visible units."""

import numpy as np
from sklearn.utils import gen_batches

from .._estimators.fitting import BLOCK
from ..nn.losses import Multinomial


def check_group_sums(X, units):
    """Raise unless each multinomial group of ``X`` sums to 1 in each row."""
    groups = [part.columns for part in units.parts if isinstance(part, Multinomial)]
    for rows in gen_batches(X.shape[0], BLOCK):
        for columns in groups:
            x = X[rows]
            sums = np.asarray(x[:, columns].sum(axis=1))
            if np.abs(sums - 1).max() > 1e-3:
                raise ValueError(
                    "visible='multinomial' needs groups of columns that sum to 1 in each row; encode them with "
                    "OneHotEncoder."
                )
