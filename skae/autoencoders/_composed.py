"""What estimators share that compose an auto-encoder, their parameter ``base``."""

from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import DTYPES, validated_frame
from .._estimators.subestimators import is_ours, is_prefit, unfrozen, without


def take_tags_of_base(tags, base, default):
    """Let ``tags`` say of sparse X and of NaN what ``base`` says, or ``default`` if that is None."""
    # A class is refused by fit.
    base = default if base is None or isinstance(base, type) else base
    theirs = base.__sklearn_tags__().input_tags
    tags.input_tags.sparse, tags.input_tags.allow_nan = theirs.sparse, theirs.allow_nan


def validated_for_base(whole, X, *, reset):
    """Return X as an array, or as a CSR matrix if the tags of ``whole`` allow it."""
    sparse = whole.__sklearn_tags__().input_tags.sparse
    return validated_frame(
        whole, X, accept_sparse="csr" if sparse else False, dtype=DTYPES, reset=reset
    )


def with_names(X, rows):
    """Return X if its columns have names, which the base knows, else its validated ``rows``."""
    return X if hasattr(X, "columns") else rows


def reading_rows(base, X, rows):
    """Return the fitted ``base`` and what it reads: validated ``rows`` if it can, since it would validate X once more.

    The whole has compared the names of the columns of X, or warned that it has none; other classes than ours may look
    columns up by their names.
    """
    if isinstance(base, FittedNetwork) or is_ours(base):
        return without(base, "feature_names_in_"), rows
    return base, with_names(X, rows)


def base_or_default(whole, default):
    """Return ``whole.base``, out of its ``FrozenEstimator`` if it is in one, or ``default`` if it is None.

    With ``prefit=True`` there is no default, since ``whole`` then needs a fitted base.
    """
    is_open = whole.base is None and not is_prefit(whole)
    return default if is_open else unfrozen(whole.base)
