"""Kinds and statistics of the columns of X: constant, binary, one-hot or real, and what is strange about them."""

from itertools import product
from typing import NamedTuple

import numpy as np

from .._arrays.namespace import dense, spread_indices
from .._arrays.powers import power_of_two

LARGEST_WHOLE = 2**24  # float32 has all whole numbers up to this one
_CELLS = 2**18  # cells of a dense block
_SAME_SCALE = 0.75  # fraction of the real columns that must have the common range, for all to count as on one scale
_FEWEST_COUNTS = 32  # fewer columns of zeros and some counts are a table
_FEW_ABOVE, _MORE_ABOVE = 0.05, 0.15  # fractions of the cells: of words, and of rare events
_ALIKE = 0.2  # correlation of neighboring columns: of images of lines 0.35 and more, of single words 0.1 at most
_ROWS = 1000  # from which it is estimated
_FEWEST_COMPONENTS = 8  # fewer columns may be in order by chance
_IN_ORDER = 0.95  # rank correlation of the variances of components with their order
_FAR_OFF = 3  # gap between a value that stands for missing ones and the others, in multiples of their range
_FEWEST_EQUAL, _OFTEN = 8, 0.005  # least number and fraction of the rows that have such a value
_FEWEST_VALUES = 10  # fewer other values are categories
NARROW = 0.25  # deviations within which nine tenths of the values are, of a column whose scale a few others make
_FEWEST_ROWS = 20  # fewer rows have no nine tenths
_TINY = 1e-280  # smallest variance from squares with all digits
_NEARLY_ALL = 0.95  # fraction of the variance that few directions have
_NOTHING = 1e-9  # fraction left to the others, if columns are linear functions of each other
_MOST_DIRECTIONS = 10  # that are few
_PER_DIRECTION = 5  # columns, and rows, for each; of fewer, the directions may be all there is
_N_PRODUCTS = 3  # steps of the subspace iteration; such directions stand out after one
_MORE_DIRECTIONS = 3  # that are computed, so that the last ones that count are found too
ROWS_FOR_DIRECTIONS = _MOST_DIRECTIONS * _PER_DIRECTION
# Fraction of the variance of binary columns with the same means; evenly spread values have a third of it.
_NEARLY_BINARY = 0.6


class Columns:
    """Statistics of the columns of X, found in one pass over blocks of rows. Missing values (NaN) are left out.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights: rows of weight 0 do not count, and are left out before.
    names : sequence, default=None
        Names of the columns, for errors; by default their indices.

    Attributes
    ----------
    mean, deviation, low, high : ndarray of shape (n_features,)
        Mean, standard deviation, minimum and maximum of each column, in float64.
    n_low : ndarray of int of shape (n_features,)
        Number of rows that have the minimum of the column.
    zero_one : ndarray of bool of shape (n_features,)
        Mask of the columns that have only the values 0 and 1.
    varies : ndarray of bool of shape (n_features,)
        Mask of the columns that are not constant.
    has_missing : bool
        Whether values are missing.
    n_rows : int
        Number of rows.
    count : float
        Number of rows, or the sum of their weights where that is larger: a row of weight 2 is two rows, but weights
        with a sum of 1 are no single row.
    """

    def __init__(self, X, sample_weight=None, names=None):
        n_features = X.shape[1]
        self.low, self.high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        self.zero_one, self.n_low = np.ones(n_features, bool), np.zeros(n_features, np.int64)
        sums = _Sums(n_features)
        for x, weights in _blocks(X, sample_weight):
            low = np.fmin(self.low, np.fmin.reduce(x, axis=0))
            self.n_low[low < self.low] = 0
            self.n_low += (x == low).sum(axis=0)
            self.low = low
            np.fmax(self.high, np.fmax.reduce(x, axis=0), out=self.high)
            self.zero_one &= ((x == 0) | (x == 1) | np.isnan(x)).all(axis=0)
            sums.add(x, weights)
        self.mean, variance = sums.moments(names)
        self.n_rows, self.count = sums.n_rows, max(sums.total, sums.n_rows)
        self.has_missing = sums.has_missing
        # Columns whose range is larger than rounding errors of their values.
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.maximum(np.abs(self.low), np.abs(self.high))
            rounding = np.maximum(10 * np.finfo(X.dtype).eps * size, np.finfo(X.dtype).tiny)
            self.varies = self.high - self.low > rounding
        if not self.varies.any():
            # The network then sees all columns, although they differ by rounding only.
            variance[:], self.varies[:] = 0, True
        elif not (np.isfinite(variance).all() and (variance[self.varies] > _TINY).all()):
            # A square has overflowed or underflowed.
            sums = _sums(X, sample_weight, size)
            self.mean, variance = sums.moments(names)
        self.deviation = np.sqrt(variance) * sums.unit

    def nearly_binary(self, columns, low, high):
        """Return whether ``columns``, scaled from [low, high] to [0, 1], spread about as much as 0 and 1 would."""
        means = (self.mean[columns] - low) / (high - low)
        variance = np.sum((self.deviation[columns] / (high - low)) ** 2)
        return bool(variance >= _NEARLY_BINARY * (means * (1 - means)).sum())

    def common_range(self, columns):
        """Return (low, high) of the ``columns``, a mask, if three quarters begin at low and reach half of the range; else None."""
        lows, highs = self.low[columns], self.high[columns]
        if len(lows) < 2:
            return None
        low, high = lows.min(), highs.max()
        alike = (lows == low) & (highs - lows >= (high - low) / 2)
        return (low, high) if low < high and alike.mean() >= _SAME_SCALE else None

    def shared_range(self, columns):
        """Return (low, high) of the ``columns``, a mask, if they are on one scale; else None.

        They are if they have a common range, as pixels have, or are counts of words or principal components.
        """
        limits = self.common_range(columns)
        if limits is None and (self._are_counts(columns) or self._are_components(columns)):
            limits = self.low[columns].min(), self.high[columns].max()
        return limits

    def _are_counts(self, columns):
        """Return whether ``columns`` are counts of words, weighted or not.

        They are 32 or more, and three quarters of their cells have the lowest value, 0. It is the minimum of three
        quarters of the columns, and their range is between a third of the median range and three times as much.
        """
        if columns.sum() < _FEWEST_COUNTS:
            return False
        lows, width = self.low[columns], self.high[columns] - self.low[columns]
        usual = np.median(width)
        alike = (lows == lows.min()) & (width >= usual / 3) & (width <= usual * 3)
        mostly_low = self.n_low[columns].mean() >= _SAME_SCALE * self.n_rows
        return bool(mostly_low and alike.mean() >= _SAME_SCALE)

    def _are_components(self, columns):
        """Return whether ``columns`` are principal components: eight or more, in the order of decreasing variance.

        The order need not be exact: other rows than these may have defined the components.
        """
        ranks = self.deviation[columns].argsort(kind="stable").argsort()
        many = len(ranks) >= _FEWEST_COMPONENTS
        return many and bool(np.corrcoef(ranks, -np.arange(len(ranks)))[0, 1] >= _IN_ORDER)


def resembles_words(X):
    """Return whether X is as sparse as counts of words, in some of its rows.

    Outside of one-hot groups, 32 columns or more vary, and at most 5% of their cells are above the least value of their
    column; or 15%, if neighboring columns are not alike, as those of images are.
    """
    if X.shape[1] < _FEWEST_COUNTS:
        return False
    rows = X[spread_indices(X.shape[0], _ROWS)]
    stats = Columns(rows)
    words = stats.varies.copy()
    for start, stop in one_hot_groups(rows, stats.zero_one):
        words[start:stop] = False
    n_above = stats.n_rows - stats.n_low[words]
    if len(n_above) < _FEWEST_COUNTS or n_above.mean() > _MORE_ABOVE * stats.n_rows:
        return False
    are_few = n_above.mean() <= _FEW_ABOVE * stats.n_rows
    return bool(are_few or _likeness_of_neighbors(rows, words, stats.low[words]) <= _ALIKE)


def _likeness_of_neighbors(X, chosen, low):
    """Return how far neighbors among the ``chosen`` columns are above ``low`` in the same rows: 0 by chance, 1 if always."""
    n_above, n_both = np.zeros(len(low)), 0
    for x, _ in _blocks(X, None):
        above = x[:, chosen] > low
        n_above += above.sum(axis=0)
        n_both += np.sum(above[:, 1:] & above[:, :-1])
    products = n_above[1:] * n_above[:-1]
    by_chance, most = products.sum() / X.shape[0], np.sqrt(products).sum()
    return (n_both - by_chance) / (most - by_chance)


def known_means(X, sample_weight):
    """Return the means of the columns of X without missing values; NaN for a column that has no others."""
    return _sums(X, sample_weight).means()


class Placeholder(NamedTuple):
    """A value, as -999, that may stand for missing ones: it is far from the others of its column, and frequent.

    Parameters
    ----------
    column : int
    value, low, high : float
        The value, and the range of the others.
    fraction : float
        Fraction of the rows that have it.
    """

    column: int
    value: float
    low: float
    high: float
    fraction: float


def placeholders(x):
    """Return the ``Placeholder`` of each column that has one in the dense rows ``x``."""
    width, found = max(1, _CELLS // len(x)), []
    for start, sign in product(range(0, x.shape[1], width), (1, -1)):
        # In a block of columns, which takes little memory: values far below the others, or far above them.
        values = sign * x[:, start : start + width].astype(np.float64)
        lowest = np.fmin.reduce(values, axis=0)
        is_lowest = values == lowest
        count = is_lowest.sum(axis=0)
        values[is_lowest] = np.nan
        low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            far = (low - lowest > _FAR_OFF * (high - low)) & (high > low)
            whole = np.abs(lowest - np.round(lowest, 2)) <= 1e-6 * np.abs(lowest)
        often = count >= max(_FEWEST_EQUAL, _OFTEN * len(x))
        for j in np.flatnonzero(far & whole & often & (lowest != 0)):
            if len(np.unique(values[:, j])) > _FEWEST_VALUES:
                ends = sorted([sign * low[j], sign * high[j]])
                place = int(start + j)
                found.append(Placeholder(place, sign * lowest[j], *ends, count[j] / len(x)))
    return found


def dwarfed_columns(x, deviation):
    """Return a mask of the columns of the dense rows ``x`` in which a few values dwarf all others.

    Nine tenths of the others are then within a small part of the ``deviation``, and the middle half of them are not all
    equal, as the zeros of a count would be.
    """
    x = np.sort(x, axis=0)  # missing values come last
    count = (~np.isnan(x)).sum(axis=0)
    places = np.outer([0.05, 0.25, 0.75, 0.95], np.maximum(count - 1, 0)).astype(int)
    low, lower, upper, high = np.take_along_axis(x, places, axis=0)
    with np.errstate(invalid="ignore", over="ignore"):
        narrow = high - low < NARROW * deviation
    return narrow & (upper > lower) & (count >= _FEWEST_ROWS)


def few_directions(z):
    """Return (k, share): the least number k of directions with nearly all of the variance, and their share of it.

    Return None if that takes more than a few, or if the columns do not vary in any others.

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_columns)
        Scaled real columns, NaN where a value is missing.
    """
    most = min(_MOST_DIRECTIONS, z.shape[1] // _PER_DIRECTION, z.shape[0] // _PER_DIRECTION)
    if most == 0:
        return None
    missing = np.isnan(z)
    means = z.sum(axis=0, where=~missing) / np.maximum((~missing).sum(axis=0), 1)
    rounding = 100 * np.finfo(z.dtype).eps * np.abs(z).max(initial=0, where=~missing)
    z = np.where(missing, 0, z - means).astype(np.float64)
    largest = np.abs(z).max(initial=0)
    if largest <= rounding:
        return None
    z /= largest  # fourth powers of large values would overflow
    total = float(np.einsum("ij,ij->", z, z))
    basis = np.random.default_rng(0).standard_normal((len(z), most + _MORE_DIRECTIONS)).T @ z
    for _ in range(_N_PRODUCTS):
        basis = np.linalg.qr((basis @ z.T @ z).T)[0].T
    # Never more than the sums of the largest eigenvalues.
    shares = np.cumsum(np.linalg.svd(z @ basis.T, compute_uv=False) ** 2)[:most] / total
    if not shares[-1] > _NEARLY_ALL:
        return None
    k = int(np.argmax(shares > _NEARLY_ALL))
    return None if shares[k] > 1 - _NOTHING else (k + 1, float(shares[k]))


class _Sums:
    """Weighted sums of the values of each column, and of their squares, in multiples of a power of two near its ``size``."""

    def __init__(self, n_features, size=None):
        self.unit = np.ones(n_features) if size is None else power_of_two(size)
        self.count, self.sum, self.squares = np.zeros((3, n_features))
        self.total, self.n_rows, self.shift, self.has_missing = 0.0, 0, None, False

    def add(self, x, weights):
        """Add the rows ``x``."""
        if self.shift is None:
            # Deviations from some value of the column, since squares of values far from 0 would lose digits.
            low = np.fmin.reduce(x, axis=0)
            self.shift = np.where(np.isfinite(low), low, 0).astype(x.dtype) / self.unit
        missing = np.isnan(x)
        deviations = np.divide(x, self.unit, dtype=np.float64)
        deviations -= self.shift
        deviations[missing] = 0
        any_missing = bool(missing.any())
        self.has_missing |= any_missing
        self.total += weights.sum()
        self.n_rows += len(x)
        self.count += weights.sum() - weights @ missing if any_missing else weights.sum()
        self.sum += weights @ deviations
        with np.errstate(over="ignore"):
            self.squares += weights @ np.square(deviations, out=deviations)

    def moments(self, names):
        """Return the means of the columns, and their variances in multiples of the squared unit.

        Raise if a column, of which ``names`` has the name unless it is None, has no value.
        """
        if not (self.count > 0).all():
            place = int(np.argmin(self.count))
            name = place if names is None else names[place]
            raise ValueError(
                f"Column {name!r} of X has no value in the samples of positive weight: all are NaN. Leave it out."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            variance = np.maximum(self.squares / self.count - (self.sum / self.count) ** 2, 0)
        return self.means(), variance

    def means(self):
        """Return the means of the columns; NaN for a column that has no value."""
        with np.errstate(over="ignore", invalid="ignore"):
            return (self.sum / self.count + self.shift) * self.unit


def _sums(X, sample_weight, size=None):
    """Return the ``_Sums`` of all rows, in multiples of powers of two near the ``size`` of the columns."""
    sums = _Sums(X.shape[1], size)
    for x, weights in _blocks(X, sample_weight):
        sums.add(x, weights)
    return sums


def _blocks(X, sample_weight):
    """Yield dense blocks of the rows of X, and their weights in float64."""
    step = max(1, _CELLS // X.shape[1])
    # gen_batches of scikit-learn takes longer to check its arguments than a small partial_fit to look at its columns.
    for start in range(0, X.shape[0], step):
        rows = slice(start, start + step)
        x = dense(X[rows])
        weights = np.ones(len(x)) if sample_weight is None else sample_weight[rows].astype(float)
        yield x, weights


def one_hot_groups(X, zero_one):
    """Return runs [start, stop) of neighboring 0/1 columns of which exactly one is 1 in every row.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    zero_one : ndarray of bool of shape (n_features,)
        Mask of the columns that have only the values 0 and 1.
    """
    if not zero_one.any():
        return []
    ones, starts = _places_of_ones(X, zero_one)
    n_features, n_rows = len(zero_one), len(starts) - 1
    # ``position`` leads to the next 1 of each row. A group goes from ``column`` to the farthest of these, if no row has
    # a second 1 in between.
    position, ends = starts[:-1].copy(), starts[1:]
    places = np.append(ones, [n_features, n_features])
    groups, column = [], 0
    while column < n_features:
        if not zero_one[column]:
            column += 1
            continue
        first = np.where(position < ends, places[position], n_features)
        if n_rows == 0 or first.max() == n_features:
            break  # a row has no further ones, so that there are no further groups
        second = np.where(position + 1 < ends, places[position + 1], n_features)
        stop = int(first.max()) + 1
        if stop > column + 1 and second.min() >= stop and zero_one[column:stop].all():
            groups.append((column, stop))
            column, position = stop, position + 1
        else:
            position = position + (first == column)
            column += 1
    return groups


def _places_of_ones(X, zero_one):
    """Return the indices of the 0/1 columns that are 1, row after row, and the start of each row."""
    if hasattr(X, "indptr"):
        X = X.copy()
        X.sum_duplicates()
        missing = np.isnan(X.data) & zero_one[X.indices]
        if missing.any():
            # A row with missing values does not show which groups there are.
            X = X[np.diff(np.append(0, np.cumsum(missing))[X.indptr]) == 0]
        kept = zero_one[X.indices] & (X.data == 1)
        counts = np.add.reduceat(np.append(kept, 0), X.indptr[:-1]) * (np.diff(X.indptr) > 0)
        return X.indices[kept], np.concatenate([[0], np.cumsum(counts)])
    columns, counts = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for x, _ in _blocks(X, None):
        # A row with a missing value among them is left out, as above.
        x = x[~np.isnan(x[:, zero_one]).any(axis=1)]
        ones = (x == 1) & zero_one
        columns.append(np.nonzero(ones)[1])
        counts.append(ones.sum(axis=1))
    return np.concatenate(columns), np.concatenate([[0], np.cumsum(np.concatenate(counts))])
