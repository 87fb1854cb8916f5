"""Sub-estimators: layers and bases of another estimator, copies of them to fit, and their weights in its network.

They may be fitted already: by ``prefit=True``, or as a ``FrozenEstimator``, whose clones stay fitted.
"""

import os
from copy import deepcopy
from itertools import zip_longest
from numbers import Integral
from typing import NamedTuple

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import validate_data

from .._arrays.namespace import in_numpy
from .._warnings import warn
from ..nn.network import Network
from ..training.checkpoint import checked_path
from ..training.loop import DivergenceError
from .fitting import is_fitted
from .layer import NetworkLayer, kind_of_units
from .parameters import DrawnSeed


def is_prefit(estimator, name="base"):
    """Return whether the sub-estimator in the parameter ``name`` of ``estimator`` is used as it is, without being fitted."""
    frozen = isinstance(getattr(estimator, name, None), FrozenEstimator)
    return frozen or getattr(estimator, "prefit", False)


def unfrozen(part):
    """Return the estimator in a ``FrozenEstimator``, and any other one as it is."""
    return part.estimator if isinstance(part, FrozenEstimator) else part


def ready_layers(layers, whole):
    """Return clones of the ``layers`` of ``whole``, each to be fitted on the codes of the one below.

    See :func:`ready_copy`; ``'auto'`` losses become the cross-entropy above sigmoid codes. Codes are not standardized.
    """
    fitted, below = [], None
    rng = check_random_state(whole.random_state)
    for name, layer in layers:
        layer = ready_copy(name, layer, whole, rng, columns_are_known=True)
        if below == "sigmoid" and kind_of_units(layer) == "auto":
            setattr(layer, layer.layer_training().units_parameter, "bernoulli")
        if below is not None and isinstance(layer, NetworkLayer):
            layer.standardize = False
        fitted.append((name, layer))
        below = layer.layer_shapes()[-1][1]
    return fitted


class AsPart(NamedTuple):
    """What a model is to the estimator that fits it.

    Parameters
    ----------
    name : str or None
        Its name there; None if it is fitted by itself.
    columns_are_known : bool
        Whether that estimator has looked at the columns, and warned.
    """

    name: str | None = None
    columns_are_known: bool = False


def ready_copy(name, estimator, whole, rng, *, columns_are_known=False):
    """Return a clone of a sub-estimator, called ``name``, of the estimator ``whole``, which is being fitted.

    Parameters that it leaves open are set. Its seed comes from ``rng``, and is the same in another process only if
    ``whole`` has a seed. ``verbose``, ``checkpoint`` and ``resume`` are those of ``whole``, if it has them; ``name`` is
    appended to the path of the checkpoint. Lines that it prints begin with its name. ``columns_are_known`` is whether
    ``whole`` has warned of the columns of X.
    """
    check_instance(**{name: estimator})
    check_needs_no_y(**{name: estimator})
    # Not get_params: a class of a user may set parameters that it does not take.
    theirs = vars(whole)
    checkpoint, verbose = theirs.get("checkpoint"), theirs.get("verbose", 0)
    if checkpoint is not None:
        checked_path(checkpoint)  # now, since it is written only after the parts are trained
    estimator = clone(estimator)
    estimator._as_part = AsPart(name, columns_are_known)
    params = vars(estimator)
    if params.get("warm_start"):
        warn(
            f"{name}__warm_start=True has no effect: {type(whole).__name__} trains a new copy of {name} in each fit."
        )
    if params.get("random_state", 0) is None:
        seed, given = rng.randint(np.iinfo(np.int32).max), whole.random_state
        # A whole may itself be a part whose seed was drawn.
        if not isinstance(given, Integral) or isinstance(given, DrawnSeed):
            seed = DrawnSeed(seed)
        estimator.random_state = seed
    if verbose and params.get("verbose", 1) == 0:
        estimator.verbose = verbose
    if checkpoint is not None and params.get("checkpoint", "") is None:
        path = f"{os.fsdecode(checkpoint)}.{name}"
        checked_path(path)
        estimator.checkpoint, estimator.resume = path, theirs["resume"]
    return estimator


def check_instance(**parts):
    """Raise if a sub-estimator is a class."""
    for name, part in parts.items():
        if isinstance(part, type):
            raise TypeError(
                f"{name}={part!r} is a class: give an instance of it, {part.__name__}()."
            )


def check_estimator(estimator):
    """Raise if the argument ``estimator`` is a class, or has no ``fit``."""
    check_instance(estimator=estimator)
    if not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be a fitted estimator; got {estimator!r}.")


def check_needs_no_y(**parts):
    """Raise if a sub-estimator that is fitted to X alone needs y."""
    for name, part in parts.items():
        if isinstance(part, BaseEstimator) and get_tags(part).target_tags.required:
            raise TypeError(
                f"{name} is a {type(part).__name__}, which needs y, and is fitted to X alone here: fit it, and give "
                f"{name}=FrozenEstimator({name})."
            )


def fitted_base(whole, base, X, sample_weight, *, on_interrupt=None, rng=None):
    """Return a copy of ``base``, fitted without labels unless it is fitted already.

    If its training is interrupted, cannot write its checkpoint or diverges, ``on_interrupt(base)`` is called, provided
    that it is given and ``base`` has weights. The seed of the copy comes from ``rng``, by default from the
    ``random_state`` of the estimator ``whole``.
    """
    if is_prefit(whole):
        check_prefit(base=base)
        validate_data(base, X, reset=False, skip_check_array=True)  # number and names of columns
        return fitted_copy(base)
    rng = check_random_state(whole.random_state) if rng is None else rng
    base = ready_copy("base", base, whole, rng)
    options = {} if sample_weight is None else {"sample_weight": sample_weight}
    try:
        base.fit(X, **options)
    except (KeyboardInterrupt, OSError, DivergenceError):
        if on_interrupt is not None and is_fitted(base):
            on_interrupt(base)
        raise
    return base


def start_above(self, data, base):
    """Fit ``base`` and take over its encoder, below an output layer; return the first state of the training of both.

    If the training of ``base`` is cut short, the estimator is fitted with what ``base`` has learned so far. A class of
    supervised estimators takes this function as a method.
    """

    def take_over(base):
        model = base.model_
        self.base_, units = base, deepcopy(model.units)  # it may be the user's
        weights, biases, activations = zip(*model.encoder_parameters())
        sizes = (weights[0].shape[1], *map(len, weights))
        state = self._start_network(units, sizes, activations, data)
        layers = [(*layer, None, None) for layer in zip(weights, biases)]
        fill_layers(self._network.views(state.params), 0, layers)
        self._set_state(state)
        return state

    return take_over(fitted_base(self, base, *data.for_part(), on_interrupt=take_over))


def atoms_of(estimator):
    """Return the filters of a fitted estimator: its ``components_``, or else its ``cluster_centers_``."""
    check_instance(estimator=estimator)
    for name in ("components_", "cluster_centers_"):
        atoms = getattr(estimator, name, None)
        if atoms is not None:
            return atoms
    check_estimator(estimator)
    cure = "fit it first"
    if is_fitted(estimator):
        cure = "give one whose atoms have the features of X, such as an auto-encoder without hidden layers or one of a stack's named_layers_"
    raise ValueError(
        f"estimator={estimator!r} has neither components_ nor cluster_centers_: {cure}."
    )


def without(estimator, *names):
    """Return a shallow copy of ``estimator`` without the attributes ``names``."""
    # Not by copy(), which goes through __getstate__ and makes arrays of numpy of those of other libraries.
    copied = object.__new__(type(estimator))
    vars(copied).update({k: value for k, value in vars(estimator).items() if k not in names})
    return copied


def n_dimensions_of_predictions(estimator):
    """Return 1 if a row has one prediction, and 2 if it has several labels or values."""
    # Rows of zeros have no names, and are of numpy.
    estimator = without(estimator, "feature_names_in_", "_backend")
    return estimator.predict(np.zeros((1, estimator.n_features_in_))).ndim


def is_ours(part):
    """Return whether ``part`` is of a class of skae."""
    return type(part).__module__.partition(".")[0] == __package__.partition(".")[0]


def fitted_copy(part):
    """Return a copy of the fitted ``part`` of a whole, which stays as it is when the user fits ``part`` anew."""
    if is_ours(part):
        return without(part)  # our fits replace attributes, and change nothing in place
    return deepcopy(part)


def plain_codes(estimator, X):
    """Return ``transform(X)`` of a fitted estimator as an array or sparse matrix.

    With scikit-learn's ``transform_output`` or ``set_output``, which are meant for users, it would be a data frame, or
    fail if sparse.
    """
    plain = without(estimator, "_sklearn_output_config")
    with config_context(transform_output="default"):
        codes = in_numpy(plain.transform(X))
    return codes if scipy.sparse.issparse(codes) else np.asarray(codes)


def check_prefit(**parts):
    """Raise NotFittedError, a ValueError, unless the given parameter is a fitted estimator."""
    for name, part in parts.items():
        if part is None or not is_fitted(part):
            raise NotFittedError(
                f"prefit=True needs a fitted {name}, and so does FrozenEstimator; got {name}={part!r}."
            )


def layer_weights(params):
    """Return encoder weights, encoder bias, decoder weights and decoder bias (or None) of each layer.

    Returns
    -------
    weights : list of tuple of ndarray
        From the input to the code.
    """
    encoder = params.encoder_weights, params.encoder_biases
    return list(zip_longest(*encoder, params.decoder_weights, params.decoder_biases))


def fill_layers(params, start, weights):
    """Copy the ``weights`` of fitted layers to ``params``, starting at layer ``start`` of the network."""
    tied = params.decoder_weights is params.encoder_weights
    for layer, (encoder, bias, decoder, decoder_bias) in enumerate(weights, start):
        params.encoder_weights[layer][...] = encoder
        params.encoder_biases[layer][...] = bias
        if decoder is None:
            continue
        if layer < len(params.decoder_weights) and not tied:
            params.decoder_weights[layer][...] = decoder
        if layer < len(params.decoder_biases):
            params.decoder_biases[layer][...] = decoder_bias


def without_output(deep, flat):
    """Return shape and parameters of the encoder in ``deep``, a network with an output layer above it."""
    shape = {"sizes": deep.sizes[:-1], "activation": deep.activation_names[:-1], "decoder": None}
    network = Network(**shape)
    params = np.empty(network.size, flat.dtype)
    fill_layers(network.views(params), 0, layer_weights(deep.views(flat))[:-1])
    return shape, params
