"""The MNIST digits, from a local file or from OpenML."""

from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch


def fetch_mnist(folder=None, *, data_home=None):
    """Return the 70,000 MNIST digits in their original order.

    The first 60,000 are the training images, of which papers take the last 10,000 for validation; the last 10,000 are
    the test images.

    Parameters
    ----------
    folder : path-like, default=None
        Where ``mnist.npz`` is, with ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (pixels 0 to 255, as rows or
        as 28 x 28 images). Without it the digits come from OpenML, over the network the first time.
    data_home : path-like, default=None
        Where scikit-learn keeps what it has from OpenML.

    Returns
    -------
    mnist : Bunch
        ``data``, ndarray of shape (70000, 784) of float32 in [0, 1], and ``target``, ndarray of shape (70000,) of ints.

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
        with np.load(Path(folder) / "mnist.npz") as file:
            pixels = np.concatenate([file["x_train"], file["x_test"]])
            labels = np.concatenate([file["y_train"], file["y_test"]])
    data = pixels.reshape(len(pixels), -1).astype(np.float32)
    data /= 255
    return Bunch(data=data, target=labels.astype(np.int64))
