"""Every private or version-dependent import from scikit-learn and its dependencies, and nothing else."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sklearn.base import _fit_context as _untyped_fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._available_if import _AvailableIfDescriptor as AvailableIf
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.metaestimators import _BaseComposition as _UntypedComposition
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _check_sample_weight

from ._typing import SameType

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn < 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

try:
    from sklearn.callback import CallbackSupportMixin as UntypedCallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9
    from contextlib import nullcontext as callback_management_context

    class UntypedCallbackSupportMixin:
        """Stands in for scikit-learn's class where scikit-learn has no callbacks."""


if TYPE_CHECKING:
    from ._typing import CallbackSupportMixin, _BaseComposition
else:
    CallbackSupportMixin = UntypedCallbackSupportMixin
    _BaseComposition = _UntypedComposition

_fit_context: Callable[..., SameType] = _untyped_fit_context


def set_blas_threads(library, n_threads):
    """Set the threads of one BLAS from any thread; threadpoolctl 3.7 and later lets only one Python thread do so."""
    getattr(library, "_real_set_num_threads", library.set_num_threads)(n_threads)


__all__ = [
    "AvailableIf",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_BaseComposition",
    "_VisualBlock",
    "_check_sample_weight",
    "_fit_context",
    "_get_column_indices",
    "_get_output_config",
    "_get_threadpool_controller",
    "_safe_indexing",
    "callback_management_context",
    "set_blas_threads",
    "validate_parameter_constraints",
]
