"""Weights of any estimator in a safetensors file."""

import json
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import to_numpy
from .._estimators.subestimators import check_estimator
from .._typing import FloatArray, PathLike
from .._version import __version__
from ._families import described
from ._safetensors import read_file, write_arrays


def save_weights(estimator: Any, path: PathLike) -> None:
    """Write the weights of a fitted estimator to a safetensors file, for programs in any language.

    The user guide has the :ref:`names and formulas <weights>`. The metadata of the file have a key ``config``, a JSON
    object with the class (``estimator``), its plain parameters (``parameters``), ``skae_version`` and what else the
    formulas need, such as names of activations. Parameters are those of now: after ``set_params``, fit again first.

    Parameters
    ----------
    estimator : fitted estimator
        Auto-encoder, stack, RBM, DBN, DBM, classifier, regressor, SparseCoder, PSD, ZCA or convolutional estimator.
    path : path-like
        File to write, in one move. The usual extension is ``.safetensors``.

    Raises
    ------
    TypeError
        If the estimator has no weights of its own.

    See Also
    --------
    save : Write a model that skae can load again.
    save_features : Write a SparseAutoEncoder for SAELens.
    skae.onnx.to_onnx : Export the computation too.

    Examples
    --------
    >>> from skae import AutoEncoder
    >>> from skae.io import load_weights, save_weights
    >>> model = AutoEncoder(2, max_iter=5).fit([[0.0, 1.0], [1.0, 0.0]])  # doctest: +SKIP
    >>> save_weights(model, "model.safetensors")  # doctest: +SKIP
    >>> arrays, config = load_weights("model.safetensors")  # doctest: +SKIP
    >>> arrays["encoder.0.weight"].shape, config["encoder"]  # doctest: +SKIP
    ((2, 2), ['sigmoid'])
    """
    check_estimator(estimator)
    check_is_fitted(estimator)
    arrays, config = described(estimator)
    config["skae_version"] = __version__
    arrays = {name: to_numpy(array) for name, array in arrays.items()}
    write_arrays(path, arrays, {"config": json.dumps(config, default=_number)})


def load_weights(path: PathLike) -> tuple[dict[str, FloatArray], dict[str, Any]]:
    """Return the arrays and the configuration in a file that :func:`save_weights` wrote.

    Parameters
    ----------
    path : path-like
        File of the safetensors format.

    Returns
    -------
    arrays : dict of ndarray
        Arrays by name.
    config : dict
        What :func:`save_weights` wrote beside them; empty if another program wrote the file.

    Raises
    ------
    ValueError
        If the file is damaged, or has values other than floats of 16, 32 and 64 bits.
    OSError
        If the file cannot be opened.
    """
    arrays, metadata = read_file(path)
    try:
        return arrays, dict(json.loads(metadata.get("config", "{}")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"config in the metadata of {path} cannot be read: {error}") from error


def _number(value):
    """Return a number of numpy as one of Python, and other values of classes as texts."""
    return value.item() if isinstance(value, np.generic) else str(value)
