"""Images side by side in one axes."""

import numpy as np


def square_shape(n_features):
    """Return the height and width of square images; raise ``ValueError`` where there is none."""
    side = int(round(n_features**0.5))
    if side * side != n_features:
        raise ValueError(
            f"image_shape must be given: {n_features} features do not make a square image."
        )
    return side, side


def new_axes(ax):
    """Return ``ax``, or the axes of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
    return ax


def tile(images, n_columns):
    """Return one picture of ``images`` (n, height, width) in rows of ``n_columns``, NaN in between."""
    n, height, width = images.shape
    n_rows = -(-n // n_columns)
    sheet = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1), np.nan)
    for k, image in enumerate(images):
        top, left = k // n_columns * (height + 1), k % n_columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet
