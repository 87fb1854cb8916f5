"""Models in files that hold data only: unlike reading a pickle, reading one runs no code from it."""

import io
import zipfile
from typing import Any

from sklearn.base import BaseEstimator

from .._typing import PathLike
from ..training.files import replacing

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
    "skae.autoencoders._imputation.JointNormal",
    "skae.autoencoders._imputer.Imputer",
    "skae.autoencoders._normal.JointNormal",  # in files of 0.1.0
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
