"""Types in public signatures, for mypy and pyright; nothing here is needed at run time."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NewType, Protocol, TypeAlias, TypeVar

import numpy as np
from sklearn import base, utils
from sklearn.utils import metaestimators

if TYPE_CHECKING:
    # Both type checkers ship this module; Python 3.10 has neither name.
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
    from numpy.typing import ArrayLike as ArrayLike
    from numpy.typing import NDArray
    from typing_extensions import Self as Self
    from typing_extensions import dataclass_transform as dataclass_transform

    # The classes of scikit-learn have no types, and a class with an untyped base takes any parameters.
    class BaseEstimator:
        n_features_in_: int
        feature_names_in_: "NDArray[np.object_]"

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def get_metadata_routing(self) -> Any: ...
        def __getattr__(self, name: str) -> Any: ...

    class TransformerMixin:
        def fit_transform(
            self, X: "MatrixLike", y: object = None, **fit_params: Any
        ) -> "FloatArray": ...
        def set_output(
            self, *, transform: Literal["default", "pandas", "polars"] | None = None
        ) -> Self: ...
        def get_feature_names_out(
            self, input_features: ArrayLike | None = None
        ) -> "NDArray[np.object_]": ...

    class Bunch(dict[str, Any]):
        def __getattr__(self, name: str) -> Any: ...

    class ClassNamePrefixFeaturesOutMixin: ...

    class MetaEstimatorMixin: ...

    class OneToOneFeatureMixin: ...

    class OutlierMixin:
        def fit_predict(self, X: "MatrixLike", y: object = None, **options: Any) -> "IntArray": ...

    class ClassifierMixin:
        classes_: "AnyArray"

        def score(
            self, X: "MatrixLike", y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...

    class RegressorMixin:
        def score(
            self, X: "MatrixLike", y: ArrayLike, sample_weight: ArrayLike | None = None
        ) -> float: ...

    class CallbackSupportMixin:
        def set_callbacks(self, *callbacks: Any) -> Self: ...

    class _BaseComposition(BaseEstimator): ...
else:
    BaseEstimator = base.BaseEstimator
    Bunch = utils.Bunch
    ClassifierMixin = base.ClassifierMixin
    ClassNamePrefixFeaturesOutMixin = base.ClassNamePrefixFeaturesOutMixin
    MetaEstimatorMixin = base.MetaEstimatorMixin
    OneToOneFeatureMixin = base.OneToOneFeatureMixin
    OutlierMixin = base.OutlierMixin
    RegressorMixin = base.RegressorMixin
    TransformerMixin = base.TransformerMixin

    Axes = Figure = Self = Any

    def dataclass_transform(**_):
        """Return the decorated class unchanged."""
        return lambda function: function


class SparseMatrix(Protocol):
    """A sparse matrix or array of scipy."""

    def tocsr(self) -> Any: ...


class LazyFrame(Protocol):
    """A lazy frame of polars."""

    def collect(self) -> Any: ...


class DaskCollection(Protocol):
    """An array or data frame of Dask."""

    def compute(self) -> Any: ...


class Dataset(Protocol):
    """A dataset or table of pyarrow."""

    def to_batches(self) -> Any: ...


Estimator = TypeVar("Estimator")
Function = TypeVar("Function", bound=Callable[..., Any])


class Solver(Protocol):
    """An instance of a solver of :mod:`skae.training`, or of a class with the same methods."""

    def start(self, params: Any, /) -> Any: ...


class SameType(Protocol):
    """A decorator whose result has the signature of the decorated function."""

    def __call__(self, function: Function, /) -> Function: ...


if TYPE_CHECKING:
    FloatArray: TypeAlias = NDArray[np.floating[Any]]
    IntArray: TypeAlias = NDArray[np.signedinteger[Any]]
    TextArray: TypeAlias = NDArray[np.str_]
    AnyArray: TypeAlias = NDArray[Any]
    MatrixLike: TypeAlias = (
        ArrayLike | SparseMatrix | LazyFrame | DaskCollection | Dataset | Iterable[Any]
    )
else:
    # ``help`` and the tooltips of notebooks print names; an alias would be printed as ten lines of its parts.
    ArrayLike = NewType("ArrayLike", object)
    FloatArray = NewType("FloatArray", np.ndarray)
    IntArray = NewType("IntArray", np.ndarray)
    TextArray = NewType("TextArray", np.ndarray)
    AnyArray = NewType("AnyArray", np.ndarray)
    MatrixLike = NewType("MatrixLike", object)
Targets: TypeAlias = ArrayLike | DaskCollection | None
PathLike: TypeAlias = str | os.PathLike[str]
RandomState: TypeAlias = int | np.random.RandomState | None
ImageShape: TypeAlias = tuple[int, ...] | None
NamedLayers: TypeAlias = Sequence[tuple[str, Any]]

ActivationName: TypeAlias = Literal["sigmoid", "tanh", "relu", "softplus", "identity"]
ClassWeight: TypeAlias = Literal["balanced"] | dict[Any, float] | Sequence[dict[Any, float]] | None
Corruption: TypeAlias = (
    Literal["masking", "salt_and_pepper", "gaussian", "swap"] | Callable[..., Any]
)
Loss: TypeAlias = (
    Literal["auto", "gaussian", "bernoulli", "multinomial"] | Sequence[tuple[str, Any]]
)
BiasInit: TypeAlias = Literal["auto", "off", "zeros"]
Schedule: TypeAlias = Literal["constant", "cosine"]
SolverLike: TypeAlias = Literal["adam", "sgd", "lbfgs"] | Solver
StepSolverLike: TypeAlias = Literal["adam", "sgd"] | Solver
Standardize: TypeAlias = Literal["auto", "columns", "shared", False]

available_if: Callable[[Callable[[Any], Any]], SameType] = metaestimators.available_if
