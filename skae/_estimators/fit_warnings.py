"""Warnings about fits that went wrong, each with a remedy."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._arrays.namespace import some_rows
from .._warnings import warn
from ..nn.losses import Extremes
from .columns import (
    LARGEST_WHOLE,
    NARROW,
    ROWS_FOR_DIRECTIONS,
    dwarfed_columns,
    few_directions,
    known_means,
    placeholders,
)
from .squares import scale_of_values

_CONSTANT = 1e-3  # standard deviation of a constant code unit, as a fraction of the largest code
_ROWS = 1024  # rows to look at
_CELLS = 2**20  # cells to look at
_ROWS_OF_FAR_VALUES = 4096  # to look for them
_FAR = 3.0  # least size of a scaled mean that is far from the rows in which the scale was found
_FACTOR = 10.0  # least ratio of the scales of earlier and later rows that is warned of
_STEADY = 1e-3  # relative rise of a loss that does not count
_WORSE = 3.0  # warn above this multiple of the objective of constant outputs
_OVERSHOOT = 0.1  # values beyond the range of training that do not count, as a fraction of it
# Missing values that numpy or pandas has converted to text.
_LIKE_MISSING = {"", "nan", "NaN", "NaT", "<NA>"}
_CURE_OF_DRIFT = (
    "Give the first call rows of all kinds, or set standardize=False and scale X yourself, by a StandardScaler that has seen "
    "more rows."
)
_DWARFED = 100.0  # warn above this multiple of the median deviation of the columns
_ROWS_PER_COMPONENT = 5
_FAR_FROM_ZERO = 10.0  # warn above this multiple of the deviations of the columns


def warn_of_constant_codes(encode, rows, name, cure):
    """Warn if most code units are nearly constant over some rows."""
    if rows.shape[0] < 2:
        return
    x = some_rows(rows, _ROWS)
    codes = encode(x)
    constant = codes.std(axis=0) <= _CONSTANT * np.abs(codes).max()
    if constant.mean() > 0.5:
        if are_equal(x):
            cure = "So are the rows of X: give rows that differ."
        elif not codes[:, constant].any():
            cure = "They are 0 in every row: lower learning_rate_init."
        warn(
            f"{constant.mean():.0%} of the codes of {name} are constant on the training data: the codes say little about "
            f"X. {cure}"
        )


def are_equal(rows):
    """Return whether all of several rows are the same."""
    return len(rows) > 1 and bool((rows == rows[0]).all())


def few_directions_of(inputs, units):
    """Return how many directions have nearly all variance of the real columns, and their share; None if not a few do.

    Parameters
    ----------
    inputs : array of shape (n_samples, n_inputs)
        Scaled columns, and perhaps others after them.
    units : Units
        Which of the columns are real.
    """
    n_looked_at = min(_ROWS, max(ROWS_FOR_DIRECTIONS, _CELLS // inputs.shape[1]))
    real = units.gaussian_inputs
    return few_directions(some_rows(inputs, n_looked_at)[:, : len(real)][:, real])


def warn_of_few_directions(inputs, units, name, n_rows=None):
    """Return whether a few directions have nearly all variance of the real columns, and warn then.

    Parameters
    ----------
    inputs : array of shape (n_samples, n_inputs)
        Scaled columns, and perhaps others after them.
    units : Units
        Which of the columns are real, and whether there was a warning already that one of them dwarfs the others.
    name : str
        The estimator's.
    n_rows : int, default=None
        Number of training rows, if ``inputs`` has only some of them.
    """
    found = few_directions_of(inputs, units)
    if found is None:
        return False
    if units.one_dwarfs_others:
        return True
    k, share = found
    directions = "One principal component has" if k == 1 else f"{k} principal components have"
    # Components that a few rows do not determine are noise, which whitening would amplify.
    most = max(k + 1, (n_rows or inputs.shape[0]) // _ROWS_PER_COMPONENT)
    n_components = f"{most}, " if most < units.gaussian_inputs.sum() else ""
    warn(
        f"{directions} {share:.0%} of the variance of the scaled real columns: {name} learns little of the rest, the small "
        f"differences between columns. If they matter, put make_pipeline(StandardScaler(), PCA({n_components}whiten=True)) before "
        "it. To impute, leave X as it is."
    )
    return True


def warn_of_rising_loss(curve, name, has_rate):
    """Warn if training ended with a larger loss than it began with, beyond random differences between epochs."""
    if len(curve) < 2:
        return
    cure = "lower learning_rate_init" if has_rate else "raise batch_size"
    # Differences between epochs vary little in a steady rise, and as much as their size in noise.
    with np.errstate(over="ignore"):
        chance = max(2 * np.std(np.diff(curve)), _STEADY * abs(curve[0]))
    if curve[-1] - curve[0] > chance:
        warn(
            f"The loss of {name} rose from {curve[0]:.4g} in the first epoch to {curve[-1]:.4g} in the last: {cure}.",
            ConvergenceWarning,
        )


def warn_of_useless_outputs(objective, constant, name):
    """Warn if training ended with an objective far above that of constant outputs."""
    if objective > _WORSE * constant > 0:
        warn(
            f"{name} is worse than constant outputs: its objective is {objective:.3g}, theirs {constant:.3g}. Lower "
            "learning_rate_init or the weights of penalties, or raise max_iter.",
            ConvergenceWarning,
        )


def warn_of_max_iter(max_iter, name, has_rate):
    """Warn if training did not stop by itself."""
    other = ", or set learning_rate='cosine', which ends at max_iter" if has_rate else ""
    warn(
        f"{name} stopped at max_iter={max_iter} before it converged: raise max_iter or tol{other}.",
        ConvergenceWarning,
    )


def warn_of_scales(columns, names, cure="Set standardize='auto', or scale X.", *, warns=True):
    """Return whether one column's deviation dwarfs most others, in a model that does not scale them, and warn then."""
    deviations = columns.deviation
    present = deviations[columns.varies]
    # Codes of a layer below have a common range.
    if max(columns.high.max(), -columns.low.min()) <= 1:
        return False
    largest, median = present.max(), np.median(present)
    dwarfs = bool(largest > _DWARFED * median > 0)
    if dwarfs and warns:
        column = names[int(deviations.argmax())]
        warn(
            f"Column {column!r} has a standard deviation of {largest:.3g}, {largest / median:.3g} times the median of "
            f"the columns: the model will learn little else. {cure}"
        )
    return dwarfs


def warn_of_means(columns, name):
    """Warn if the means of the columns dwarf their deviations, when the model does not center them."""
    with np.errstate(over="ignore"):
        ratio = np.linalg.norm(columns.mean) / (np.linalg.norm(columns.deviation) or np.inf)
    if ratio > _FAR_FROM_ZERO:
        warn(
            f"The means of the columns are {ratio:.3g} times their standard deviations: the codes of {name} will say "
            "little else. Center X (StandardScaler)."
        )


def warn_of_rounded(X, columns, names):
    """Warn if float32 has rounded different values of a column, such as times in seconds, to nearly the same ones."""
    if X.dtype != np.float32:
        return
    with np.errstate(invalid="ignore", over="ignore"):
        large = np.maximum(np.abs(columns.low), np.abs(columns.high)) > LARGEST_WHOLE
        constant = ~columns.varies | (columns.deviation == 0)
        lost = large & (columns.high > columns.low) & constant
    if lost.any():
        j = int(lost.argmax())
        warn(
            f"Column {names[j]!r} has values from {columns.low[j]:.10g} to {columns.high[j]:.10g} in float32, which rounds them "
            "by almost as much: it counts as constant. Give X in float64, or subtract the smallest value "
            "of the column before X becomes float32."
        )


def warn_of_far_values(X, stats, names):
    """Warn if columns have values far from all others: as -999, which seems to stand for missing ones, or a heavy tail."""
    x = some_rows(X, max(1, min(_ROWS_OF_FAR_VALUES, _CELLS // X.shape[1])))
    dwarfed, found = dwarfed_columns(x, stats.deviation) & stats.varies, placeholders(x)
    if found:
        dwarfed[[each.column for each in found]] = False
        first = found[0]
        warn(
            f"Column {names[first.column]!r}{_others(np.ones(len(found)))} has a value far from all others: {first.value:.10g} in "
            f"{first.fraction:.1%} of the rows, the others are from {first.low:.4g} to {first.high:.4g}. If it stands for missing "
            "values, put NaN in its place, and an Imputer of skae before estimators that refuse NaN."
        )
    if dwarfed.any():
        j = int(dwarfed.argmax())
        warn(
            f"A few values of column {names[j]!r}{_others(dwarfed)} dwarf all others, which look nearly equal when it is scaled: nine "
            f"tenths of them are within {NARROW:g} standard deviations. Take logarithms, or put QuantileTransformer("
            "output_distribution='normal') before it, unless such values are the anomalies that you look for."
        )


def warn_of_text_like_missing(classes, cure):
    """Warn if a class is blank, or text that stands for missing values elsewhere."""
    found = [each for each in classes if isinstance(each, str) and each.strip() in _LIKE_MISSING]
    if found:
        warn(
            f"y has the labels {list(map(str, found))}, which look like missing values, but are taken for classes. {cure}"
        )


def warn_of_class_like_unlabeled(classes, labeled):
    """Warn if -1, which marks the rows that are not ``labeled``, looks like a class among ``classes``, some numbers.

    It does beside other negative numbers, and beside 0 and 1 in fewer rows than these.
    """
    is_sign = classes.tolist() == [0, 1] and labeled.sum() > labeled.size / 2
    if classes[0] < 0 or is_sign:
        warn(
            f"y has -1 in {labeled.size - labeled.sum()} rows, which count as rows without a label beside the classes "
            f"{classes.tolist()}. If -1 is a class, give y - y.min()."
        )


def warn_of_constant_targets(values, constant):
    """Warn if columns of y, numbers or labels that rows have or not, are ``constant``; ``values`` are those of a row."""
    if constant.any():
        j = int(constant.argmax())
        where = "y" if len(values) == 1 else f"Column {j} of y"
        warn(
            f"{where}{_others(constant)} is {values[j]:.4g} in all rows of the training data, so that nothing is learned of it: "
            "give a y that varies."
        )


def warn_of_range(X, columns, scaling, names, parameter):
    """Warn if later rows have other values than the ``columns`` had where ``fit`` chose cross-entropy as their loss.

    Return whether they have.
    """
    columns = columns[scaling.varies[columns]]
    extremes, center, scale = Extremes(X), scaling.center[columns], scaling.scale[columns]
    low, high = extremes.min(axis=0)[columns], extremes.max(axis=0)[columns]
    outside = (low < center - _OVERSHOOT * scale) | (high > center + (1 + _OVERSHOOT) * scale)
    if outside.any():
        j = int(outside.argmax())
        warn(
            f"Column {names[columns[j]]!r} has values from {low[j]:g} to {high[j]:g}, and had {center[j]:g} to "
            f"{center[j] + scale[j]:g} when {parameter}='auto' chose bernoulli: the loss of other values has no minimum. Clip "
            f"or leave out such values, or fit anew with {parameter}='gaussian'."
        )
    return bool(outside.any())


def warn_of_categories(X, groups, names, parameter):
    """Warn if later rows have more than one category of ``groups`` of columns, of which the rows of ``fit`` had one each.

    Zeros alone are an unknown category. Return whether there are such rows.
    """
    for columns in groups:
        values = X[:, columns]
        many = np.ravel(values.sum(axis=1)) > 1 + _OVERSHOOT
        n_wrong = np.sum(many | (np.ravel((values < 0).sum(axis=1)) > 0))
        if n_wrong:
            warn(
                f"Columns {names[columns[0]]!r} to {names[columns[-1]]!r} had a single 1 in each row when {parameter}='auto' chose "
                f"multinomial, and have a sum above 1, or negative values, in {n_wrong} of these rows: their loss is that of "
                f"categories. Encode them as in fit, or fit anew on rows of all kinds, or with {parameter}='gaussian'."
            )
            return True
    return False


def warn_of_drift(X, sample_weight, units, names):
    """Warn if later rows are far from those in which the scale of the columns was found; return whether they are."""
    scaling = units.scaling
    if scaling.identity:  # the user scales X, and no column is left out
        return False
    has_new = warn_of_new_values(X, scaling, names)
    gaussian = dict(units.column_losses).get("gaussian")
    if gaussian is None or units.limits is None:
        return has_new
    means, columns = known_means(X, sample_weight), np.flatnonzero(scaling.varies)
    z, (low, high) = scaling.apply(means), units.limits
    # About ten deviations of a normal column, whatever its scaled variance is.
    beyond = (z > 2 * high - low) | (z < 2 * low - high)
    far = beyond & (np.abs(z) > _FAR)
    if not far.any():
        return has_new
    far &= np.isin(columns, gaussian)
    if far.any():
        j = int(np.argmax(np.where(far, np.abs(z), 0)))
        limits = scaling.invert(np.stack([low, high]))[:, columns[j]]
        warn(
            f"Column {names[columns[j]]!r}{_others(far)} has drifted: its mean is {means[columns[j]]:.4g} in these rows; when "
            f"its scale was found, it had values from {limits[0]:.4g} to {limits[1]:.4g}. {_CURE_OF_DRIFT}"
        )
    return bool(has_new or far.any())


def warn_of_unknown_scale(units):
    """Warn if the first rows of several calls are all the same, by ``units`` that are made of them."""
    low, high = units.limits
    if (low == high).all():
        warn(
            f"The rows of the first call are all the same, so that the scale of the columns is not known. {_CURE_OF_DRIFT}"
        )


def warn_of_new_scale(X, sample_weight, before, alpha):
    """Warn if later rows of a coder have another scale than the first ones, the number ``before``, or None if unknown.

    Return whether they have.
    """
    now = scale_of_values(X, sample_weight)
    if before is None or not abs(X).max() > 0 or 1 / _FACTOR < now / before < _FACTOR:
        return False
    warn(
        f"The root mean square of X is {now:.4g} in these rows, and was {before:.4g} in the first ones: with the same "
        f"alpha={alpha:g} their codes are {'less' if now > before else 'more'} sparse. Scale all rows alike."
    )
    return True


def warn_of_new_values(X, scaling, names, cure=_CURE_OF_DRIFT):
    """Warn if columns that are left out, since they were constant, have other values; return whether they have."""
    constant = ~scaling.varies
    if not constant.any():
        return False
    extremes, center = Extremes(X), scaling.center[constant]
    low, high = extremes.min(axis=0)[constant], extremes.max(axis=0)[constant]
    rounding = 10 * np.finfo(X.dtype).eps * np.fmax(np.abs(low), np.abs(high))
    new = np.fmax(high - center, center - low) > rounding
    if new.any():
        j = int(new.argmax())
        warn(
            f"Column {names[np.flatnonzero(constant)[j]]!r}{_others(new)} was always {center[j]:.4g} when its scale was found, and is "
            f"left out; in these rows it has values from {low[j]:.4g} to {high[j]:.4g}. {cure}"
        )
    return bool(new.any())


def _others(mask):
    """Return how many columns other than the one named before are in ``mask``, as a part of a sentence."""
    n_others = int(mask.sum()) - 1
    if n_others == 0:
        return ""
    return f" (like {n_others} other {'column' if n_others == 1 else 'columns'})"
