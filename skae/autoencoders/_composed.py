"""What estimators share that compose an auto-encoder, their parameter ``base``."""

from sklearn.utils import check_random_state

from .._estimators.fitting import DTYPES, validated_rows
from .._estimators.frozen import is_prefit, unfrozen
from .._estimators.subestimators import check_prefit_for, fit_or_publish, ready_copy


def take_tags_of_base(tags, base, default):
    """Let ``tags`` say of sparse X and of NaN what ``base`` says, or ``default`` if that is None."""
    # A class is refused by fit.
    base = default if base is None or isinstance(base, type) else base
    theirs = base.__sklearn_tags__().input_tags
    tags.input_tags.sparse, tags.input_tags.allow_nan = theirs.sparse, theirs.allow_nan


def validated_for_base(whole, X, *, reset):
    """Return X as an array, or as a CSR matrix if the tags of ``whole`` allow it."""
    sparse = whole.__sklearn_tags__().input_tags.sparse
    return validated_rows(
        whole, X, accept_sparse="csr" if sparse else False, dtype=DTYPES, reset=reset
    )


def with_names(X, rows):
    """Return X if its columns have names, which the base knows, else its validated ``rows``."""
    return X if hasattr(X, "columns") else rows


def fitted_base(whole, default, X, sample_weight, publish):
    """Return ``whole.base`` if that is fitted already, else a copy of it, or of ``default``, fitted to X.

    ``publish(base)`` is called if the training of the copy is cut short.
    """
    if is_prefit(whole):
        base = unfrozen(whole.base)
        check_prefit_for(X, base)
        return base
    base = default if whole.base is None else whole.base
    rng = check_random_state(whole.random_state)
    base = ready_copy("base", base, whole, rng)
    return fit_or_publish(base, X, sample_weight, publish)
