"""Models in files that hold data only: unlike reading a pickle, reading one runs no code from it.

``save`` and ``load`` need skops (``skae[io]``).
"""

import io
import json
import os
import zipfile
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._safetensors import read_arrays, write_arrays
from ._typing import PathLike
from ._version import __version__
from ._warnings import warn
from .autoencoders import SparseAutoEncoder
from .training.files import replacing

# The classes of skae in a fitted model. The classes of numpy and scikit-learn that skops knows are allowed too.
TRUSTED = (
    "skae._arrays.namespace.Constant",
    "skae._estimators.labels.Classes",
    "skae._estimators.labels.Values",
    "skae._estimators.subestimators.AsPart",
    "skae._estimators.units.Units",
    "skae.autoencoders._autoencoder.AutoEncoder",
    "skae.autoencoders._contractive.ContractiveAE",
    "skae.autoencoders._denoising.DenoisingAE",
    "skae.autoencoders._detector.AnomalyDetector",
    "skae.autoencoders._imputation.Imputation",
    "skae.autoencoders._imputer.Imputer",
    "skae.autoencoders._normal.JointNormal",
    "skae.autoencoders._sparse.SparseAutoEncoder",
    "skae.boltzmann._classifier.BoltzmannClassifier",
    "skae.boltzmann._dbm.DBM",
    "skae.boltzmann._dbn.DBN",
    "skae.boltzmann._rbm.RBM",
    "skae.deep._classifier.StackedAEClassifier",
    "skae.deep._recurrent.RecurrentAE",
    "skae.deep._regressor.StackedAERegressor",
    "skae.deep._stacked.StackedAE",
    "skae.generative._energy.EnergyAE",
    "skae.generative._joint.JointEnergy",
    "skae.images._convolution.Convolution",
    "skae.images._encoders.Coder",
    "skae.images._encoders.Linear",
    "skae.images._encoders.Threshold",
    "skae.images._encoders.Triangle",
    "skae.images._features.ConvolutionalFeatures",
    "skae.images._maps.Contrast",
    "skae.images._maps.FeatureMaps",
    "skae.images._maps.Pooling",
    "skae.images._psd.ConvolutionalPSD",
    "skae.images._stack.ConvolutionalStack",
    "skae.images._tiles.PatchGrid",
    "skae.images._whitening.ZCA",
    "skae.manifold._classifier.ManifoldTangentClassifier",
    "skae.manifold._local_pca.LocalPCA",
    "skae.manifold._neighbors.TangentNeighborsClassifier",
    "skae.manifold._search.Search",
    "skae.nn.losses.Bernoulli",
    "skae.nn.losses.Gaussian",
    "skae.nn.losses.Multinomial",
    "skae.nn.losses.Reconstruction",
    "skae.nn.scaling.Scaling",
    "skae.nn.sparse_units.TopK",
    "skae.sparse._coder.SparseCoder",
    "skae.sparse._psd.PSD",
    "skae.training.solvers.Adam",
    "skae.training.solvers.LBFGS",
    "skae.training.solvers.SGD",
)

_CURE = (
    "Give texts, lists, arrays of numpy and instances of skae and scikit-learn as parameters, remove callbacks by "
    "set_callbacks(), or use pickle, for files that only you read."
)
_MAX_ROUNDING = 0.01  # largest error of codes, which are about 1, by rounding
_CONFIG, _WEIGHTS = "cfg.json", "sae_weights.safetensors"
_ARCHITECTURES = {
    "topk": "topk",
    "batch_topk": "jumprelu",
    "jumprelu": "jumprelu",
    "relu": "standard",
}


def save(model: Any, path: PathLike) -> None:
    """Write a model to a file that :func:`load` reads.

    Parameters
    ----------
    model : estimator
        Estimator of skae, or of scikit-learn with parts from skae, such as a pipeline; fitted or not.
    path : path-like
        File to write, in one move. The usual extension is ``.skops``.

    Raises
    ------
    TypeError
        If the model holds objects that :func:`load` refuses, such as functions, or custom corruptions and solvers.
    ImportError
        If skops is not installed.

    Examples
    --------
    >>> from skae import AutoEncoder
    >>> from skae.io import load, save
    >>> model = AutoEncoder(2, max_iter=5).fit([[0.0, 1.0], [1.0, 0.0]])  # doctest: +SKIP
    >>> save(model, "model.skops")  # doctest: +SKIP
    >>> load("model.skops").transform([[0.0, 1.0]])  # doctest: +SKIP
    """
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"model must be an estimator, not a class; got {model!r}.")
    skops = _skops()
    try:
        content = skops.dumps(model)
    except Exception as error:  # of what is in the model, whatever that is
        raise TypeError(
            f"The model holds what skae.io cannot write ({type(error).__name__}: {error}). {_CURE} Its type is "
            f"{type(model).__name__}."
        ) from error
    refused = _refused(skops, content)
    if refused:
        raise TypeError(
            f"The model holds {refused}, which skae.io does not load. {_CURE} Its type is {type(model).__name__}."
        )
    with replacing(path) as file:
        file.write(content)


def load(path: PathLike) -> Any:
    """Return the model in a file that :func:`save` wrote.

    Only classes in ``skae.io.TRUSTED``, and those of numpy and scikit-learn that skops trusts, are created; no code
    comes from the file. This is no guarantee that a file does no harm: skops is not a sandbox.

    Parameters
    ----------
    path : path-like
        File that :func:`save` wrote.

    Returns
    -------
    model : estimator
        The model as it was saved.

    Raises
    ------
    ValueError
        If the file is damaged, compressed, or holds anything else.
    OSError
        If the file cannot be opened.
    ImportError
        If skops is not installed.

    Warns
    -----
    UserWarning
        If another version of skae wrote the file.
    """
    skops = _skops()
    with open(path, "rb") as file:
        content = file.read()
    try:
        _check_sizes(content)
        refused = _refused(skops, content)
        model = None if refused else skops.loads(content, trusted=list(TRUSTED))
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a model that skae.io.save wrote: {type(error).__name__}: {error}"
        ) from error
    if refused:
        raise ValueError(
            f"{path} holds {refused}, which a model of skae does not consist of. Nothing was loaded."
        )
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"{path} holds no estimator, but {type(model).__name__}.")
    return model


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
        except (ValueError, TypeError) as error:
            raise ValueError(f"{_CONFIG} in {folder} cannot be read: {error}") from error
    missing = {"W_enc", "b_enc", "W_dec", "b_dec"}.difference(arrays)
    if missing:
        raise ValueError(f"{_WEIGHTS} in {folder} has no {sorted(missing)}.")
    if config.get("normalize_activations", "none") not in (None, "none"):
        raise ValueError(
            f"normalize_activations={config['normalize_activations']!r} is not known: fold the scale into the weights first."
        )
    return SparseAutoEncoder.from_weights(
        *_folded(config, arrays), **_activation_of(config, arrays)
    )


def _folded(config, arrays):
    """Return the weights and biases with all that a configuration does beside them, in float32 or float64."""
    names = "W_enc", "b_enc", "W_dec", "b_dec"
    weights, bias, atoms, base = (arrays[name].astype(float) for name in names)
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


def _refused(skops, content):
    """Return the names of types in ``content`` that are not trusted."""
    return sorted(set(skops.get_untrusted_types(data=content)).difference(TRUSTED))


def _check_sizes(content):
    """Raise if the members of the file would be larger than the file: ``save`` does not compress."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = file.infolist()
    if any(each.compress_type != zipfile.ZIP_STORED for each in members):
        raise ValueError("its members are compressed")
    if sum(each.file_size for each in members) > len(content):
        raise ValueError("its members are larger than the file")


def _skops():
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("skae.io needs skops: pip install 'skae[io]'.") from error
    return skops.io
