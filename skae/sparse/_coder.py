"""Sparse coding with a learned or a given dictionary."""

from dataclasses import field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from scipy.sparse import csr_matrix

from .._arrays.namespace import in_numpy
from .._compat import Interval, StrOptions
from .._estimators.checks import check_order_of_codes
from .._estimators.code_warnings import warn_of_gaps
from .._estimators.devices import check_same_backend, dispatched
from .._estimators.needs import Need
from .._estimators.parameters import estimator, warn_of_argument
from .._estimators.reading import named_array
from .._estimators.squares import check_squares
from .._estimators.subestimators import atoms_of
from .._estimators.unit_atoms import unit_rows
from .._typing import ArrayLike, FloatArray, MatrixLike, Self
from ..training.loop import Problem
from ._base import USED_AFTER_FIT, BaseCoder, positive_part
from ._dictionary import DictionaryObjective, DictionarySolver
from ._groups import GroupLasso, group_members
from ._inference import (
    chosen_algorithm,
    fastest_algorithm,
    infer_codes,
    squared_norms,
    threshold_codes,
)
from ._problems import Lasso, Pursuit

_PORTABLE = "fista", "ista"  # algorithms for arrays of any library
_FIXED = {"solver", "learning_rate_init", "learning_rate"}  # the solver has no step size


@estimator
class SparseCoder(BaseCoder):
    """Codes with few nonzeros whose atoms add up to the input (Olshausen & Field 1996).

    ``fit`` minimizes the mean over samples of ``||x - h D||^2 / 2 + alpha ||h||_1 + ridge ||h||^2 / 2``, summed over
    features, over codes h and atoms D of norm at most 1 (Mairal et al. 2010). ``transform`` finds the codes, whose
    objectives exceed their minima by at most ``gap_tol`` times the objective of the zero code. ``infer`` also returns
    bounds on these differences, and accepts initial codes. Parameters of the inference may be changed without another
    ``fit``.

    Parameters
    ----------
    n_components : int, default=None
        Number of atoms; the number of features by default. Not used with ``dictionary``.
    alpha : float, 'auto' or str, default='auto'
        Weight of the absolute values of the codes. The code of x is zero if ``alpha >= max |D x|``; with 0, codes are
        least-squares solutions. ``'auto'`` is the root of the mean variance of the columns of X in the first ``fit``,
        so that the scale of X does not matter: 1 for standardized columns. ``'0.3*auto'`` is a multiple.
    ridge : float, default=0.0
        Weight of half the squared codes (elastic net).
    groups : list of array-like of int, default=None
        Indices of the atoms of each group; each atom is in one or more of them. The penalty is then ``alpha sum_g
        ||h_g||``, which sets whole groups to zero (Jenatton et al. 2011).
    algorithm : {'auto', 'homotopy', 'cd', 'fista', 'ista', 'omp'}, default='auto'
        Algorithm that finds the codes: the exact homotopy path, coordinate descent on working sets, or proximal
        gradient steps with (``'fista'``) and without momentum (``'ista'``), the only two that support ``groups``.
        ``'omp'``, orthogonal matching pursuit, limits the number of atoms instead of penalizing them. ``'auto'`` is the
        algorithm that ``fit`` expects to be fastest, given the number of atoms and the sparsity of some samples: the
        path, or ``'fista'`` if codes are hardly sparse and atoms well conditioned; ``infer`` with ``init`` takes
        coordinate descent. Arrays of libraries other than numpy, with scikit-learn's ``array_api_dispatch``, need
        ``'fista'`` or ``'ista'``.
    n_nonzero_coefs : int, default=10
        Maximum number of nonzeros of a code with ``algorithm='omp'``.
    gap_tol : float, default=1e-4
        Maximum duality gap of a code, relative to the objective of the zero code.
    max_inference_iter : int, default=1000
        Maximum number of iterations per code.
    dictionary : array-like of shape (n_components, n_features), default=None
        Atoms to use as they are; ``fit`` then trains nothing.
    positive : bool, default=False
        Whether codes must not be negative.
    split_sign : bool, default=False
        Whether ``transform`` returns the positive parts followed by the negative parts, in twice as many columns.
    transform_encoder : {'inference', 'soft_threshold'}, default='inference'
        Encoder that ``transform`` uses: inference by ``algorithm``, or the soft threshold of D x at ``alpha``, in which
        atoms do not compete (Coates & Ng 2011).
    sparse_output : bool, default=False
        Whether to return codes as a CSR matrix.
    batch_size : int, default=256
        Samples in a minibatch of learning.
    max_iter : int or 'auto', default=100
        Maximum number of epochs. ``'auto'`` means two minibatches per sample, but between 1000 and 2000 minibatches,
        and between 12 and 1000 epochs.
    tol : float, default=1e-3
        Training stops when, for ``n_iter_no_change`` epochs in a row, the objective or that of held-out samples (with
        ``early_stopping``) improves by less than this fraction.
    shuffle : bool or int, default=True
        Whether to shuffle the samples in each epoch. An int shuffles within blocks of that many consecutive samples
        only, so that a file is read in order.
    early_stopping : bool, default=False
        Whether to stop when the objective of held-out samples no longer improves, and keep the atoms at which it was
        least.
    validation_fraction : float, default=0.1
        Share of samples to hold out for ``early_stopping``.
    n_iter_no_change : int, default=3
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, statistics of its codes included. ``n_components`` has to stay, other
        parameters may change in between.
    n_jobs : int, default=None
        Number of threads, as in joblib.
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
    algorithm_ : str
        Algorithm of the inference in ``fit``: ``algorithm``, or the one that ``'auto'`` chose.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Mean objective of each epoch: on training samples, with the dictionary that each minibatch saw, and on held-out
        samples, with the dictionary after the epoch.
    converged_ : bool
        Whether training stopped by itself.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Olshausen, B. & Field, D. Emergence of simple-cell receptive field properties by learning a sparse code
    for natural images. Nature 381 (1996).

    Jenatton, R. et al. Proximal methods for hierarchical sparse coding. JMLR 12 (2011).

    Mairal, J. et al. Online learning for matrix factorization and sparse coding. JMLR 11 (2010), algorithms 1
    and 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseCoder
    >>> X = load_digits().data / 16
    >>> coder = SparseCoder(100, alpha=0.5, random_state=0).fit(X)
    >>> coder.transform(X[:5]).shape
    (5, 100)
    """

    n_components: int | None = field(default=None, kw_only=False)
    ridge: float = 0.0
    groups: list | None = None
    algorithm: Literal["auto", "homotopy", "cd", "fista", "ista", "omp"] = "auto"
    n_nonzero_coefs: int = 10
    dictionary: ArrayLike | None = None
    positive: bool = False
    split_sign: bool = False
    transform_encoder: Literal["inference", "soft_threshold"] = "inference"
    sparse_output: bool = False
    max_iter: int | Literal["auto"] = 100
    tol: float = 1e-3
    n_iter_no_change: int = 3

    # Class attributes here, not parameters: see _FIXED.
    solver: ClassVar[None] = None
    learning_rate_init: ClassVar[float] = 1.0
    learning_rate: ClassVar[str] = "constant"

    if TYPE_CHECKING:
        algorithm_: str = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        **{k: v for k, v in BaseCoder._parameter_constraints.items() if k not in _FIXED},
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "ridge": [Interval(Real, 0, None, closed="left")],
        "groups": [list, tuple, None],
        "algorithm": [StrOptions({"auto", *Lasso.algorithms, *Pursuit.algorithms})],
        "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left")],
        "dictionary": ["array-like", None],
        "positive": ["boolean"],
        "split_sign": ["boolean"],
        "transform_encoder": [StrOptions({"inference", "soft_threshold"})],
        "sparse_output": ["boolean"],
    }

    _needs: ClassVar[tuple] = (
        Need(
            "n_components batch_size max_iter tol shuffle early_stopping warm_start checkpoint",
            "dictionary",
            "dictionary=None, since a given dictionary is not trained",
            lambda self: self.dictionary is None,
        ),
        Need.of_value("n_nonzero_coefs", "algorithm", "omp"),
        Need(
            "alpha",
            "algorithm transform_encoder",
            "another algorithm than 'omp', or transform_encoder='soft_threshold'",
            lambda self: self.algorithm != "omp" or self.transform_encoder == "soft_threshold",
        ),
        Need(
            "gap_tol max_inference_iter",
            "algorithm",
            "another algorithm than 'omp'",
            lambda self: self.algorithm != "omp",
        ),
    )

    _used_after_fit = (
        *USED_AFTER_FIT,
        *("ridge", "groups", "algorithm", "n_nonzero_coefs", "positive"),
        *("split_sign", "transform_encoder", "sparse_output"),
    )

    @classmethod
    def from_estimator(cls, estimator: Any, **params: Any) -> Self:
        """Return a coder whose atoms are the filters of a fitted estimator, scaled to norm 1.

        One model learns the atoms and another one encodes (Coates & Ng 2011).

        Parameters
        ----------
        estimator : fitted estimator
            Estimator with ``components_`` (an auto-encoder, NMF, RBM) or ``cluster_centers_``.
        **params : dict
            Parameters of the coder.

        Returns
        -------
        coder : SparseCoder
            Unfitted coder, whose ``fit`` checks X, and finds ``alpha_`` if ``alpha='auto'``.
        """
        return cls(dictionary=unit_rows(in_numpy(atoms_of(estimator))), **params)

    def infer(
        self, X: MatrixLike, init: MatrixLike | None = None
    ) -> tuple[FloatArray | csr_matrix, FloatArray]:
        """Return codes, and an upper bound on the distance of each from its optimum.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        init : {array-like, sparse matrix} of shape (n_samples, n_components), default=None
            Initial codes, for instance those of a similar ``alpha``. ``'auto'`` is then coordinate descent;
            ``'homotopy'`` and ``'omp'`` always start from zero.

        Returns
        -------
        codes : {ndarray, csr_matrix} of shape (n_samples, n_components)
            Signed codes, regardless of ``split_sign``.
        gaps : ndarray of shape (n_samples,)
            Upper bound on the objective of each code minus its minimum; for ``'omp'``, half the squared error.

        Raises
        ------
        ValueError
            If X or ``init`` is not finite or of the wrong shape.
        """
        X = self._validated(X, "infer")
        problem = self._code_problem(self._atoms_like(X))
        options = self._inference() | {"sparse_output": self.sparse_output, "certify": True}
        if init is None:
            options["algorithm"] = self._algorithm_for(problem)
        else:
            options["init"] = self._checked_init(init, X)
        return infer_codes(X, problem, **options)

    def _checked_init(self, init, X):
        """Return initial codes for the validated X; warn if the algorithm does not use them."""
        check_same_backend(X, init=init)
        check_order_of_codes(self, init, "init")
        init = named_array(init, "init", accept_sparse="csr", dtype=X.dtype, order="C")
        if init.shape != (X.shape[0], self._n_atoms):
            raise ValueError(
                f"init must be of shape {(X.shape[0], self._n_atoms)}; got {init.shape}."
            )
        if self.algorithm in ("homotopy", "omp"):
            warn_of_argument("init", f"another algorithm than {self.algorithm!r}")
        return positive_part(init) if self.positive else init

    def _wanted_shape(self, n_features):
        return {"n_components": n_features if self.n_components is None else self.n_components}

    def _take_given_dictionary(self, X):
        if self.dictionary is None:
            return False
        atoms = named_array(
            in_numpy(self.dictionary), "dictionary", dtype=X.dtype, order="C", copy=True
        )
        if atoms.shape[1] != X.shape[1]:
            raise ValueError(
                f"dictionary has atoms of {atoms.shape[1]} features, but X has {X.shape[1]}."
            )
        if hasattr(self, "feature_names_in_") and hasattr(self.dictionary, "columns"):
            seen = self.feature_names_in_.tolist()
            if list(self.dictionary.columns) != seen:
                raise ValueError(
                    f"dictionary must have the columns of X in the same order, {seen}; got "
                    f"{list(self.dictionary.columns)}."
                )
        check_squares(X)
        self._measure_scale(X, None)
        self._shape = {"n_components": len(atoms)}
        self._resolve_algorithm(atoms)
        self._state = self._new_state(atoms.ravel(), *self._seed()).to_dict()
        return True

    @property
    def _is_portable(self):
        """Whether codes can be found in arrays of other libraries than numpy: bool."""
        return self.algorithm in _PORTABLE and self.groups is None

    def _check_library(self, X):
        if dispatched(X) and not self._is_portable:
            raise TypeError(
                f"SparseCoder with algorithm={self.algorithm!r} and groups={self.groups!r} takes arrays of numpy only: set "
                "algorithm='fista' and groups=None, or convert X."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = self._is_portable
        return tags

    def _resolve_algorithm(self, atoms):
        self.algorithm_ = chosen_algorithm(self._code_problem(atoms), self.algorithm)

    def _choose_fastest_algorithm(self, X):
        if self.algorithm == "auto":
            problem = self._code_problem(self._atoms)
            self.algorithm_ = fastest_algorithm(problem, X, self.gap_tol, self.max_inference_iter)

    def _make_solver(self):
        objective = DictionaryObjective(self._n_atoms, self._code_problem, self._inference())
        return DictionarySolver(objective)

    def _problem(self, X, weights):
        solver = self._make_solver()
        return Problem(solver.objective, X, weights, solver=solver)

    def _code_problem(self, dictionary):
        options = {"ridge": self.ridge, "positive": self.positive}
        if self.algorithm == "omp":
            if self.positive or self.ridge or self.groups is not None:
                raise ValueError(
                    "algorithm='omp' supports neither positive, ridge nor groups: choose another algorithm."
                )
            return Pursuit(dictionary, self.n_nonzero_coefs)
        if self.groups is None:
            return Lasso(dictionary, self._alpha, **options)
        groups = group_members(self.groups, len(dictionary))
        return GroupLasso(dictionary, self._alpha, groups, **options)

    def _inference(self):
        return {
            "algorithm": self.algorithm,
            "tol": self.gap_tol,
            "max_iter": self.max_inference_iter,
            "n_jobs": self.n_jobs,
        }

    def _codes(self, X, sparse_output):
        atoms = self._atoms_like(X)
        if self.transform_encoder == "soft_threshold":
            options = {"positive": self.positive, "n_jobs": self.n_jobs}
            return threshold_codes(X, atoms, self._alpha, sparse_output=sparse_output, **options)
        problem = self._code_problem(atoms)
        options = self._inference() | {"algorithm": self._algorithm_for(problem), "certify": True}
        codes, gaps = infer_codes(X, problem, sparse_output=sparse_output, **options)
        if problem.has_gaps:
            warn_of_gaps(gaps, squared_norms(X), self.gap_tol, self.max_inference_iter)
        return codes

    def _algorithm_for(self, problem):
        """Return ``algorithm``; for ``'auto'`` the choice of ``fit``, if it can solve ``problem``."""
        known = self.algorithm == "auto" and self.algorithm_ in problem.algorithms
        return self.algorithm_ if known else self.algorithm
