"""The MNIST digits, from a local file or from OpenML."""

import os
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml

from .._typing import Bunch, PathLike

_SHAPES = (784,), (28, 28)


def fetch_mnist(folder: PathLike | None = None, *, data_home: PathLike | None = None) -> Bunch:
    """Return the 70,000 MNIST digits in their original order.

    The first 60,000 are the training images, the last 10,000 the test images. Papers use the last 10,000 training
    images for validation.

    Parameters
    ----------
    folder : path-like, default=None
        Folder of ``mnist.npz``, with ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (pixels 0 to 255, as rows or
        as 28 x 28 images). If None, the digits come from OpenML, over the network the first time.
    data_home : path-like, default=None
        Folder in which scikit-learn caches OpenML data.

    Returns
    -------
    mnist : Bunch
        ``data``, float32 ndarray of shape (70000, 784) in [0, 1], and ``target``, int ndarray of shape (70000,).

    Raises
    ------
    ValueError
        If the file is damaged, or its images and labels differ in number, have wrong shapes or are out of range.
    OSError
        If there is no such file, or OpenML cannot be reached.

    References
    ----------
    LeCun, Y. et al. Gradient-based learning applied to document recognition. Proceedings of the IEEE 86 (1998).

    Examples
    --------
    >>> from skae.datasets import fetch_mnist
    >>> mnist = fetch_mnist("data")  # doctest: +SKIP
    >>> X, y = mnist.data[:50000], mnist.target[:50000]  # doctest: +SKIP
    """
    if folder is None:
        pixels, labels = fetch_openml(
            "mnist_784", version=1, return_X_y=True, as_frame=False, data_home=data_home
        )
    else:
        path = Path(os.fsdecode(folder)) / "mnist.npz"
        parts = [_checked(*part, path) for part in _stored(path)]
        pixels, labels = map(np.concatenate, zip(*parts))
    data = pixels.reshape(len(pixels), -1).astype(np.float32)
    data /= 255
    return Bunch(data=data, target=labels.astype(np.int64))


def _stored(path):
    """Return images and labels of the training and the test part of the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")]
    except OSError:  # the file does not exist, for instance
        raise
    except Exception as error:  # a file can be damaged in any way
        raise ValueError(
            f"{path} cannot be read as the MNIST digits, with x_train, y_train, x_test and y_test: {error}. "
            "Delete it and get it anew."
        ) from error


def _checked(images, labels, path):
    """Return images as rows, and labels; raise if they are invalid."""
    if images.dtype.kind not in "uif" or images.shape[1:] not in _SHAPES or not len(images):
        raise ValueError(
            f"{path} must have images of 28 x 28 numbers; got {images.dtype} of shape {images.shape}."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{path} must have a label for each image; got {len(images)} images and labels of shape {labels.shape}."
        )
    if not (images.min() >= 0 and 1 < images.max() <= 255):
        raise ValueError(
            f"{path} must have pixels from 0 to 255; got {images.min()} to {images.max()}."
        )
    if labels.dtype.kind not in "uif" or not np.isin(labels, range(10)).all():
        raise ValueError(f"{path} must have the labels 0 to 9; got {np.unique(labels)[:20]}.")
    return images.reshape(len(images), -1), labels
