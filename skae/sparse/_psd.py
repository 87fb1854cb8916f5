"""Predictive sparse decomposition."""

from dataclasses import field
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np

from .._compat import HasMethods, Interval, StrOptions
from .._estimators.code_warnings import warn_of_gaps
from .._estimators.fitting import by_block
from .._estimators.layer import Layer
from .._estimators.needs import Need
from .._estimators.parameters import estimator
from .._estimators.squares import loss_of_zeros
from .._estimators.unit_atoms import UnitAtoms
from .._typing import FloatArray, Schedule, StepSolverLike
from ..nn.activations import Diagonal
from ..nn.code_encoders import ENCODERS, make_encoder
from ..nn.layer import LinearLayer
from ..nn.linear_maps import ProductMap
from ..training.loop import Problem
from ._base import USED_AFTER_FIT, BaseCoder
from ._inference import chosen_algorithm, infer_codes, squared_norms
from ._prediction import PSDObjective
from ._problems import Lasso
from ._topography import SmoothGroups, pooling


@Layer.register
@estimator
class PSD(BaseCoder):
    """Sparse coding with a fast encoder, learned jointly, that predicts the codes.

    Minimizes the mean over samples of ``||x - h D||^2 / 2 + alpha ||h||_1 + beta ||h - f(x)||^2 / 2``, summed over
    features, over codes h, atoms D of norm 1 and the encoder f. The code step minimizes all three terms: it is a lasso
    with Gram matrix ``D D' + beta I`` and linear term ``D x + beta f(x)``.

    Parameters
    ----------
    n_components : int, default=100
        Number of atoms.
    alpha : float, 'auto' or str, default='auto'
        Weight of the sparsity penalty on the codes. ``'auto'`` is the root of the mean variance of the columns of X in
        the first ``fit``, so that the scale of X does not matter: 1 for standardized columns. ``'0.3*auto'`` is a
        multiple.
    beta : float, default=1.0
        Weight of half the squared distance between codes and their predictions.
    encoder : {'tanh', 'soft_threshold', 'lista'}, default='soft_threshold'
        Form of the encoder: ``g tanh(K x + b)``, as in the paper and required in a stack; a soft threshold of ``K x``;
        or ``n_steps`` learned steps of ISTA. The last two can be exactly zero, as codes are, and predict them better.
    n_steps : int, default=3
        Number of steps of ``'lista'``.
    topology : (int, int), default=None
        Rows and columns of a torus of ``n_components`` units. The sparsity penalty is then ``sum_P sqrt(sum_j w_Pj
        h_j^2)`` over a window P around each unit, which makes neighbors similar. No duality gap is then known.
    pool_size : int, default=5
        Width of the windows of ``topology``.
    transform_algorithm : {'encoder', 'inference', 'lasso'}, default='encoder'
        Codes that ``transform`` returns: f(x); the codes that minimize all three terms; or those of the dictionary
        alone, without the term of the encoder.
    algorithm : {'auto', 'homotopy', 'cd', 'fista', 'ista'}, default='auto'
        Algorithm that finds the codes. ``'auto'`` is ``'fista'``, started at f(x), or ``'homotopy'`` for
        ``transform_algorithm='lasso'``. With ``topology`` it must be ``'auto'``, which is then majorize-minimize.
    gap_tol : float, default=1e-3
        Maximum duality gap of a code, relative to the objective of the zero code; with ``topology``, inference of a
        code stops when a step changes it by at most this fraction.
    max_inference_iter : int, default=500
        Maximum number of iterations per code.
    solver : {'adam', 'sgd'} or solver, default='adam'
        An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-3
        Step size.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``
        takes constant steps. Training that is resumed then needs the same ``max_iter``.
    batch_size : int, default=100
        Samples in a minibatch.
    max_iter : int or 'auto', default=30
        Maximum number of epochs. ``'auto'`` means two minibatches per sample, but between 1000 and 2000 minibatches,
        and between 12 and 1000 epochs.
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the objective (with ``learning_rate='constant'``)
        or that of held-out samples (with ``early_stopping``) improves by less than this fraction.
    shuffle : bool or int, default=True
        Whether to shuffle the samples in each epoch. An int shuffles within blocks of that many consecutive samples
        only, so that a file is read in order.
    early_stopping : bool, default=False
        Whether to stop when the error on held-out samples no longer improves, and keep the weights at which it was
        least.
    validation_fraction : float, default=0.1
        Share of samples to hold out for ``early_stopping``.
    n_iter_no_change : int, default=5
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, optimizer state included. ``n_components``, ``encoder`` and
        ``n_steps`` have to stay, other parameters may change in between.
    n_jobs : int, default=None
        Number of threads of the inference, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Random seed of the initial atoms and of shuffling.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` continues from ``checkpoint`` if the file exists, with bitwise the same result as without the
        interruption.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms.
    alpha_ : float
        ``alpha``, or what ``'auto'`` stands for.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Mean objective of each epoch, on training and on held-out samples.
    converged_ : bool
        Whether training stopped by itself.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Kavukcuoglu, K. et al. Fast inference in sparse coding algorithms with applications to object recognition.
    2008 (arXiv 1010.3467), equations 4 to 6.

    Kavukcuoglu, K. et al. Learning invariant features through topographic filter maps. CVPR 2009.

    Gregor, K. & LeCun, Y. Learning fast approximations of sparse coding. ICML 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import PSD
    >>> X = load_digits().data / 16
    >>> PSD(50, alpha=0.3, max_iter=2, random_state=0).fit_transform(X).shape
    (1797, 50)
    """

    n_components: int = field(default=100, kw_only=False)
    beta: float = 1.0
    encoder: Literal["tanh", "soft_threshold", "lista"] = "soft_threshold"
    n_steps: int = 3
    topology: tuple[int, int] | None = None
    pool_size: int = 5
    transform_algorithm: Literal["encoder", "inference", "lasso"] = "encoder"
    algorithm: Literal["auto", "homotopy", "cd", "fista", "ista"] = "auto"
    gap_tol: float = 1e-3
    max_inference_iter: int = 500
    solver: StepSolverLike = "adam"
    learning_rate_init: float = 3e-3
    learning_rate: Schedule = "cosine"
    batch_size: int = 100
    max_iter: int | Literal["auto"] = 30
    n_iter_no_change: int = 5

    _scale = 1.0  # of the values of X, in models of versions that had none
    sparse_output: ClassVar[bool] = False
    split_sign: ClassVar[bool] = False

    _parameter_constraints: ClassVar[dict] = {
        **BaseCoder._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "encoder": [StrOptions(set(ENCODERS))],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "topology": [tuple, list, None],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "transform_algorithm": [StrOptions({"encoder", "inference", "lasso"})],
        "algorithm": [StrOptions({"auto", *Lasso.algorithms})],
        "solver": [StrOptions({"adam", "sgd"}), HasMethods(["start", "step"])],
    }

    _needs: ClassVar[tuple] = (
        Need.of_value("n_steps", "encoder", "lista"),
        Need("pool_size", "topology", "topology", lambda self: self.topology is not None),
    )

    _used_after_fit = (
        *USED_AFTER_FIT,
        *("beta", "topology", "pool_size", "transform_algorithm", "algorithm"),
    )

    def _wanted_shape(self, n_features):
        self._check_topology(self.n_components)
        return {"n_components": self.n_components, "encoder": self.encoder, "n_steps": self.n_steps}

    def _resolve_algorithm(self, atoms):
        chosen_algorithm(self._code_problem(atoms, self.beta), self.algorithm)

    def _initial_params(self, atoms):
        first = self._make_encoder().initial(atoms, self._alpha, self.beta)
        return np.concatenate([atoms.ravel(), first]).astype(atoms.dtype)

    def layer_shapes(self):
        """Return width and activation of the encoder, as a stack needs them; its gains belong to the decoder.

        Returns
        -------
        shapes : list of (int, str)
            From the input to the code.
        """
        if self.encoder != "tanh":
            raise ValueError(f"A PSD in a stack needs encoder='tanh'; got {self.encoder!r}.")
        return [(self.n_components, "tanh")]

    def layer_weights(self):
        """Return encoder weights, encoder bias, decoder weights and decoder bias.

        Returns
        -------
        weights : list of tuple of ndarray
            From the input to the code.
        """
        gains, filters, biases = self.encoder_parameters_
        bias = np.zeros(self.n_features_in_, filters.dtype)
        return [(filters, biases, gains[:, np.newaxis] * self.components_, bias)]

    @property
    def model_(self) -> Any:
        """The fitted encoder, which takes rows of X."""
        flat = self._history("model_")["params"]
        return _FittedEncoder(self._make_encoder(), flat, self.components_)

    @property
    def encoder_parameters_(self) -> list[FloatArray]:
        """Gains, filters and biases of ``'tanh'``, or the parameters of the other encoders: list of ndarray."""
        flat = self._history("encoder_parameters_")["params"]
        return self._make_encoder().coefficients(flat[self.components_.size :])

    def _check_topology(self, n_atoms):
        if self.topology is None:
            return
        whole = all(isinstance(length, Integral) and length > 0 for length in self.topology)
        if not whole or len(self.topology) != 2 or np.prod(self.topology) != n_atoms:
            raise ValueError(
                f"topology must be (rows, columns) with rows * columns = n_components={n_atoms}; got {self.topology!r}."
            )

    def _make_encoder(self):
        shape, n_features = self._shape, self.n_features_in_
        return make_encoder(
            shape["encoder"], shape["n_components"], n_features, shape["n_steps"], self._scale
        )

    def _make_solver(self):
        return UnitAtoms(super()._make_solver(), self._n_atoms, self.n_features_in_, self._alpha)

    def _problem(self, X, weights):
        objective = PSDObjective(self._make_encoder(), self._infer, self.beta, self._n_atoms)
        return Problem(objective, X, weights, constant_loss=loss_of_zeros(X, weights))

    def _code_problem(self, dictionary, ridge):
        self._check_topology(self._n_atoms)
        if self.topology is None:
            return Lasso(dictionary, self._alpha, ridge=ridge)
        pools = pooling(self.topology, self.pool_size)
        return SmoothGroups(dictionary, self._alpha, pools, ridge=ridge)

    def _infer(self, dictionary, X, prediction):
        problem = self._code_problem(dictionary, self.beta)
        codes, _ = self._solve(X, problem, "fista", init=prediction, prior=prediction)
        return codes, self._alpha * problem.size(codes)

    def _solve(self, X, problem, default, **start):
        """Return codes and gaps of ``infer_codes``, in which ``'auto'`` is the algorithm ``default`` if possible."""
        algorithm = self.algorithm
        if algorithm == "auto" and default in problem.algorithms:
            algorithm = default
        options = {"tol": self.gap_tol, "max_iter": self.max_inference_iter, "n_jobs": self.n_jobs}
        return infer_codes(X, problem, algorithm=algorithm, **options, **start)

    def _codes(self, X, sparse_output):
        atoms = self.components_
        encoder, params = self._make_encoder(), self._state["params"][atoms.size :]
        prediction = by_block(X, lambda x: encoder.forward(params, x)[0], self._n_atoms)
        if self.transform_algorithm == "encoder":
            return prediction
        if self.transform_algorithm == "inference":
            problem, default, prior = self._code_problem(atoms, self.beta), "fista", prediction
        else:
            problem, default, prior = self._code_problem(atoms, 0.0), "homotopy", None
        codes, gaps = self._solve(X, problem, default, init=prediction, prior=prior, certify=True)
        squares = squared_norms(X) + problem.ridge * squared_norms(prediction)
        warn_of_gaps(gaps, squares, self.gap_tol, self.max_inference_iter)
        return codes


class _FittedEncoder:
    """An encoder with its parameters, which stand behind the atoms in ``flat``."""

    def __init__(self, encoder, flat, atoms):
        self._encoder, self._params = encoder, flat[atoms.size :]
        self.dtype, self.n_outputs = flat.dtype, len(atoms)

    def linear_map(self, x):
        """Return dh/dx at dense rows as a linear map."""
        weights, diagonal = self._encoder.linearize(self._params, x)
        return ProductMap([LinearLayer(weights, Diagonal(diagonal))], len(x))
