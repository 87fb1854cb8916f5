"""Methods of fitted sparse features: encode, decode, and report."""

from numbers import Integral

import numpy as np
import scipy.sparse
from sklearn.utils import check_scalar, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense, in_numpy
from .._estimators.checks import checked_codes
from .._estimators.devices import check_backend, dispatched, shown
from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import BLOCK, DTYPES, rows_at_once, validated_rows
from .._estimators.parameters import check_sparse_output
from .._estimators.reading import named_array
from .._threads import team
from .._typing import Bunch, FloatArray, MatrixLike
from ..nn.model import Model
from ..nn.sparse_network import sparse_network_of
from ..nn.sparse_units import Above


class FittedFeatures(FittedNetwork):
    """The methods of a fitted ``SparseNetwork``, whose codes are CSR matrices, or dense arrays of other libraries."""

    def transform(self, X: MatrixLike) -> FloatArray | scipy.sparse.csr_matrix:
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : {csr_matrix, ndarray} of shape (n_samples, n_components)
            Codes; a dense array of the library of X if that is not numpy.
        """
        if dispatched(X):
            return self._by_block(X, Model.encode, self._width(), method="transform")
        if self.sparse_output:
            check_sparse_output(self)
        blocks = self._blocks(X, "transform")
        codes = scipy.sparse.vstack([codes for _, codes in blocks], "csr")
        return codes if self.sparse_output else codes.toarray()

    def inverse_transform(self, X: MatrixLike) -> FloatArray:
        """Return decoded codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Samples, on the scale of the training data.
        """
        check_is_fitted(self)
        if dispatched(X):
            return super().inverse_transform(X)
        check_backend(self._backend, X, f"{type(self).__name__}.inverse_transform")
        codes = checked_codes(self, X, self.n_components_, self._params.dtype)
        return self._unscaled(codes)

    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Return r(x), the decoded code of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of X.
        """
        if dispatched(X):
            return super().reconstruct(X)
        blocks = [self._unscaled(codes) for _, codes in self._blocks(X, "reconstruct")]
        return np.concatenate(blocks)

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return minus half the squared reconstruction error of each sample, summed over scaled columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        if dispatched(X):
            return super().score_samples(X)
        blocks = self._blocks(X, "score_samples")
        # Rows far from all others have a score of minus infinity.
        with np.errstate(over="ignore"):
            return np.concatenate(
                [-0.5 * np.sum((z - self._decoded(codes)) ** 2, axis=1) for z, codes in blocks]
            )

    def report(self, X: MatrixLike) -> Bunch:
        """Return how well X is reconstructed, and with how many features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        report : Bunch
            ``unexplained``, the squared error over the squared deviation from the mean of X, both summed over scaled
            columns, and NaN if all rows are equal; ``n_active``, the mean number of active features of a sample;
            ``dead``, the fraction of features that are active in no sample; ``largest_cosine``, the largest cosine
            between two rows of D; ``frequencies``, the fraction of samples in which each feature is active.

        Raises
        ------
        ValueError
            If X is invalid, or so far from the columns of fit that squares of errors overflow.
        """
        counts, n_samples = np.zeros(self._width(), np.int64), 0
        error, sums, squares, near = 0.0, 0.0, 0.0, None
        for z, codes in self._blocks(X, "report"):
            counts += np.bincount(codes.indices, minlength=len(counts))
            n_samples += len(z)
            # Squares of values far from 0 would lose their deviations to rounding.
            near = z[0].astype(float) if near is None else near
            with np.errstate(over="ignore"):
                error += float(np.sum((z - self._decoded(codes)) ** 2, dtype=float))
                sums, squares = sums + (z - near).sum(axis=0), squares + np.sum((z - near) ** 2)
        if not np.isfinite([error, squares]).all():
            raise ValueError(f"X has values whose squares overflow in {z.dtype}: scale X.")
        variation = squares - np.sum((sums / n_samples) ** 2) * n_samples
        return Bunch(
            unexplained=float(error / variation) if variation > 0 else np.nan,
            n_active=float(counts.sum() / n_samples),
            dead=float(np.mean(counts == 0)),
            largest_cosine=largest_cosine(self.model_.params.decoder_weights[0]),
            frequencies=counts / n_samples,
        )

    def top_samples(self, X: MatrixLike, feature: int, n_samples: int = 10) -> Bunch:
        """Return the samples in which a feature is largest.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        feature : int
            Index of the feature, a column of the codes.
        n_samples : int, default=10
            Maximum number of samples.

        Returns
        -------
        samples : Bunch
            ``indices`` of rows of X, the largest code first, and their ``codes``. Samples without the feature are left
            out.
        """
        last = self._width() - 1
        check_scalar(feature, "feature", Integral, min_val=0, max_val=last)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        blocks = self._blocks(X, "top_samples")
        codes = np.concatenate([codes[:, [int(feature)]].toarray().ravel() for _, codes in blocks])
        first = np.argsort(-codes, kind="stable")[:n_samples]
        first = first[codes[first] > 0]
        return Bunch(indices=first, codes=codes[first])

    @property
    def thresholds_(self) -> FloatArray:
        """Thresholds of pre-activations, where codes do not depend on each other: ndarray of shape (n_components,)."""
        activation = self._fitted_params("thresholds_").encoder_layers[0].activation
        if not isinstance(activation, Above):
            raise AttributeError(
                "thresholds_ exists with activation='batch_topk', 'jumprelu' and 'relu' only."
            )
        return shown(self._backend, activation.limits)

    def _width(self):
        check_is_fitted(self)
        return self.n_components_

    def _blocks(self, X, method):
        """Yield blocks of the rows of X, scaled, and their codes as a CSR matrix, for the public ``method``."""
        check_is_fitted(self)
        check_backend(self._backend, X, f"{type(self).__name__}.{method}")
        X = in_numpy(validated_rows(self, X, dtype=self._params.dtype, reset=False))
        model, width = self.model_, 2 * X.shape[1] + self.n_components_
        n_rows = min(rows_at_once(BLOCK, width, X.dtype), X.shape[0])
        encoder = model.network.encoder(model.params, X.shape[0])
        space = np.empty((n_rows, self.n_components_), X.dtype)
        for rows in gen_batches(X.shape[0], n_rows):
            with team():
                z = model.inputs(dense(X[rows]))
                codes = encoder.codes(z, space[: len(z)])
            yield z, codes.matrix(self.n_components_)

    def _unscaled(self, codes):
        """Return h D + c on the scale of X."""
        return self._units.scaling.invert(self._decoded(codes))

    def _decoded(self, codes):
        """Return h D + c, in scaled columns."""
        params = self.model_.params
        return codes @ params.decoder_weights[0] + params.decoder_biases[0]

    @property
    def _network(self):
        return sparse_network_of(**self._shape)


def group_ends(groups, n_components):
    """Return the ends of nested groups of features, or raise ``ValueError``."""
    if groups is None:
        return [n_components]
    ends = np.asarray(groups)
    whole = ends.ndim == 1 and ends.size > 0 and np.issubdtype(ends.dtype, np.integer)
    if not whole or ends[0] < 1 or (np.diff(ends) < 1).any() or ends[-1] != n_components:
        raise ValueError(
            f"groups must be integers that increase to n_components={n_components}, such as "
            f"{(max(n_components // 4, 1), n_components)}; got {groups!r}."
        )
    return ends.tolist()


def largest_cosine(atoms):
    """Return the largest cosine between two of the ``atoms``, which have norm 1; NaN if there is only one."""
    largest = np.nan
    for rows in gen_batches(len(atoms), BLOCK):
        cosines = atoms[rows] @ atoms.T
        cosines[np.arange(len(cosines)), np.arange(len(atoms))[rows]] = -np.inf
        if len(atoms) > 1:
            largest = np.fmax(largest, cosines.max())
    return float(largest)


def given_parameters(
    components, encoder_bias, decoder_components, decoder_bias, activation, k, thresholds
):
    """Return given weights as the parts of a ``SparseNetwork``'s parameters, or raise ``ValueError``."""
    weights = named_array(components, "components", dtype=DTYPES)
    parts = {
        "decoder_components": (decoder_components, weights.shape),
        "encoder_bias": (encoder_bias, weights.shape[:1]),
        "decoder_bias": (decoder_bias, weights.shape[1:]),
    }
    if activation not in ("topk", "jumprelu", "relu"):
        raise ValueError(f"activation must be 'topk', 'jumprelu' or 'relu'; got {activation!r}.")
    if (activation == "jumprelu") != (thresholds is not None):
        raise ValueError("thresholds must be given for activation='jumprelu', and for no other.")
    if (activation == "topk") != (k is not None):
        raise ValueError("k must be given for activation='topk', and for no other.")
    if k is not None and (isinstance(k, bool) or not isinstance(k, Integral) or k < 1):
        raise ValueError(f"k must be a positive integer; got {k!r}.")
    if thresholds is not None:
        parts["thresholds"] = thresholds, weights.shape[:1]
    arrays = {}
    for name, (value, shape) in parts.items():
        array = named_array(value, name, dtype=weights.dtype, ensure_2d=False)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}; got {array.shape}.")
        arrays[name] = array
    order = arrays["decoder_components"], weights, arrays["encoder_bias"], arrays["decoder_bias"]
    if thresholds is None:
        return order
    limits = arrays["thresholds"]
    if (limits < 0).any():
        raise ValueError("thresholds must not be negative.")
    return (*order, np.log(np.maximum(limits, np.finfo(limits.dtype).tiny)))
