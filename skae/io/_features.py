"""Weights of a sparse auto-encoder in the format of SAELens and similar tools."""

import json
import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import PathLike
from .._version import __version__
from .._warnings import warn
from ..autoencoders import SparseAutoEncoder
from ..training.files import replacing
from ._safetensors import read_arrays, write_arrays

_MAX_ROUNDING = 0.01  # largest error of codes, which are about 1, by rounding
_CONFIG, _WEIGHTS = "cfg.json", "sae_weights.safetensors"
_NAMES = "W_enc", "b_enc", "W_dec", "b_dec"
_ARCHITECTURES = {
    "topk": "topk",
    "batch_topk": "jumprelu",
    "jumprelu": "jumprelu",
    "relu": "standard",
}


def save_features(model: Any, folder: PathLike) -> None:
    """Write the weights of a sparse auto-encoder in the format of SAELens and similar tools.

    The folder has ``sae_weights.safetensors`` with ``W_enc`` of shape (n_features, n_components), ``b_enc``, ``W_dec``
    of shape (n_components, n_features), ``b_dec`` and, except for ``'topk'`` and ``'relu'``, ``threshold``; and
    ``cfg.json`` with the architecture (``'topk'``, ``'standard'`` for ``'relu'``, ``'jumprelu'`` for the others),
    ``d_in``, ``d_sae`` and, for ``'topk'``, ``k``. The weights take and return X in its own units: codes are those of
    ``transform``, and rows of ``W_dec`` are directions times ``scale_``.

    Parameters
    ----------
    model : fitted SparseAutoEncoder
        Model whose weights are written.
    folder : path-like
        Folder to write to, created if it does not exist.

    Warns
    -----
    UserWarning
        If the columns of X are so far from 0 that codes computed from these weights in float32 would be wrong by 0.01.
    """
    if not isinstance(model, SparseAutoEncoder):
        raise TypeError(f"model must be a SparseAutoEncoder; got {model!r}.")
    check_is_fitted(model)
    center, scale = model.center_.astype(float), model.scale_.astype(float)
    weights, dtype = model.components_ / scale, model.model_.dtype
    _warn_of_rounding(weights, center, dtype)
    arrays = {
        "W_enc": weights.T,
        "b_enc": model.encoder_bias_ - weights @ center,
        "W_dec": model.decoder_components_ * scale,
        "b_dec": model.decoder_bias_ * scale + center,
    }
    network = model.model_.network
    architecture = _ARCHITECTURES[network.activation]
    if architecture == "jumprelu":
        arrays["threshold"] = model.thresholds_
    config = {
        "architecture": architecture,
        "d_in": len(center),
        "d_sae": len(weights),
        "dtype": str(dtype),
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"skae_version": __version__},
    }
    if architecture == "topk":
        config |= {"k": network.training.k, "rescale_acts_by_decoder_norm": False}
    folder = os.fsdecode(folder)
    os.makedirs(folder, exist_ok=True)
    write_arrays(
        os.path.join(folder, _WEIGHTS),
        {name: array.astype(dtype) for name, array in arrays.items()},
    )
    with replacing(os.path.join(folder, _CONFIG)) as file:
        file.write(json.dumps(config, indent=2).encode())


def _warn_of_rounding(weights, center, dtype):
    """Warn if codes computed in ``dtype`` from X itself would be differences of numbers that are far larger."""
    sums = np.abs(weights) @ np.abs(center)
    error = np.finfo(dtype).eps * sums.max()
    if error > _MAX_ROUNDING:
        warn(
            f"The columns of X are so far from 0 that codes computed from W_enc and b_enc in {dtype} are wrong by about {error:.1g}: "
            "subtract a constant from the columns, or give X.astype('float64'), and fit again."
        )


def load_features(folder: PathLike) -> SparseAutoEncoder:
    """Return the sparse auto-encoder in a folder that :func:`save_features` or SAELens wrote.

    Parameters
    ----------
    folder : path-like
        Folder with ``cfg.json`` and ``sae_weights.safetensors``.

    Returns
    -------
    model : SparseAutoEncoder
        See :meth:`skae.SparseAutoEncoder.from_weights`.

    Raises
    ------
    ValueError
        If a file is damaged, or describes another kind of model.
    OSError
        If a file cannot be opened.
    """
    folder = os.fsdecode(folder)
    arrays = read_arrays(os.path.join(folder, _WEIGHTS))
    with open(os.path.join(folder, _CONFIG), "rb") as file:
        try:
            config = dict(json.load(file))
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{_CONFIG} in {folder} cannot be read: {error}") from error
    missing = set(_NAMES).difference(arrays)
    if missing:
        raise ValueError(f"{_WEIGHTS} in {folder} has no {sorted(missing)}.")
    shapes = [arrays[name].shape for name in _NAMES]
    d_sae, d_in = arrays["b_enc"].size, arrays["b_dec"].size
    if shapes != [(d_in, d_sae), (d_sae,), (d_sae, d_in), (d_in,)]:
        raise ValueError(
            f"{', '.join(_NAMES)} in {folder} must have the shapes (d_in, d_sae), (d_sae,), (d_sae, d_in), (d_in,); got "
            f"{shapes}. Transpose the weights if another program wrote them so."
        )
    if config.get("normalize_activations", "none") not in (None, "none"):
        raise ValueError(
            f"normalize_activations={config['normalize_activations']!r} is not known: fold the scale into the weights first."
        )
    return SparseAutoEncoder.from_weights(
        *_folded(config, arrays), **_activation_of(config, arrays)
    )


def _folded(config, arrays):
    """Return the weights and biases with all that a configuration does beside them, in float32 or float64."""
    weights, bias, atoms, base = (arrays[name].astype(float) for name in _NAMES)
    weights = weights.T
    if config.get("apply_b_dec_to_input", True):
        bias = bias - weights @ base
    if config.get("rescale_acts_by_decoder_norm", False):
        norms = np.linalg.norm(atoms, axis=1)
        weights, bias = weights * norms[:, np.newaxis], bias * norms
        atoms = atoms / np.where(norms > 0, norms, 1)[:, np.newaxis]
    # Sums in float16 would be rounded to a thousandth.
    dtype = np.float32 if arrays["W_enc"].dtype == np.float32 else np.float64
    return [each.astype(dtype) for each in (weights, bias, atoms, base)]


def _activation_of(config, arrays):
    """Return the activation that a configuration describes, with k or thresholds."""
    architecture = config.get("architecture", "standard")
    kind = config.get("activation_fn_str", config.get("activation_fn", "relu"))
    if architecture == "topk" or (architecture == "standard" and kind == "topk"):
        k, options = config.get("k"), config.get("activation_fn_kwargs")
        if k is None and isinstance(options, dict):
            k = options.get("k")
        return {"activation": "topk", "k": k}
    if architecture == "jumprelu":
        return {"activation": "jumprelu", "thresholds": arrays.get("threshold")}
    if architecture != "standard" or kind != "relu":
        raise ValueError(
            f"architecture={architecture!r} with {kind!r} is none of 'standard', 'topk' and 'jumprelu'."
        )
    return {"activation": "relu"}
