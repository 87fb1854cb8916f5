"""Columns that nearly depend on each other, with a label in the small differences between them.

All parameters of skae but ``random_state`` have their defaults, unless a name says more; ``CAE`` is ``ContractiveAE``,
``DAE`` ``DenoisingAE``, ``stack`` ``StackedAEClassifier`` or ``StackedAERegressor``, and *linear*
``LogisticRegression(max_iter=2000)`` or ``RidgeCV()``. *Whitened* is what the warning of the auto-encoders tells:
``make_pipeline(StandardScaler(), PCA(n, whiten=True))`` before the method, with a component for each five rows, at most
one for each column. *Masked* is with the noise that the stack adds to other data.

- bands: 300 spectra of 500 columns, sums of eight broad bands with a baseline; classes differ in the place of a peak;
- smooth: 250 smooth random functions at 500 points; three classes differ in the place of a peak;
- smooth, y: the same, and the height of one peak is the target; the coefficient of determination, in percent;
- 20 columns: 400 rows of 20 mixtures of three sources, with noise whose largest direction is the class.

``corruption="auto"`` was chosen on other draws of *bands*.

    python benchmarks/bench_correlated.py [--seeds 5] [--threads 1]

The table has means over the seeds with 95% intervals (Student). Measurements are kept in ``bench_correlated.jsonl`` and skipped
when the script is started again; those of skae are repeated when its sources change.
"""

from functools import partial

import numpy as np
from outcomes.bench import argument_parser, fitted, print_table, rows
from records import Records
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ContractiveAE, DenoisingAE, StackedAEClassifier, StackedAERegressor

N_POINTS, N_TEST = 500, 1000


def _peak(points, center, width):
    return np.exp(-0.5 * ((points - center) / width) ** 2)


def bands(seed, n=300):
    """Return mixtures of broad bands with a small peak, and the place of the peak."""
    rng, points, n_rows = (
        np.random.default_rng(1000 + seed),
        np.linspace(0, 1, N_POINTS),
        n + N_TEST,
    )
    centers, widths = rng.uniform(0, 1, 8), rng.uniform(0.05, 0.3, 8)
    X = np.exp(0.3 * rng.standard_normal((n_rows, 8))) @ _peak(
        points, centers[:, np.newaxis], widths[:, np.newaxis]
    )
    X += 0.3 * (rng.standard_normal((n_rows, 1)) + rng.standard_normal((n_rows, 1)) * points)
    y = rng.integers(2, size=n_rows)
    X += 0.15 * _peak(points, np.array([[0.2], [0.8]]), 0.008)[y]
    return X + 0.03 * rng.standard_normal(X.shape), y


def smooth(seed, n=250, values=False):
    """Return smooth random functions with a small peak, and its place or its height."""
    rng, points, n_rows = (
        np.random.default_rng(2000 + seed),
        np.linspace(0, 1, N_POINTS),
        n + N_TEST,
    )
    covariance = _peak(points, points[:, np.newaxis], 0.15)
    variances, directions = np.linalg.eigh(covariance)
    X = rng.standard_normal((n_rows, N_POINTS)) * np.sqrt(np.maximum(variances, 0)) @ directions.T
    if values:
        y = rng.random(n_rows)
        X += 0.5 * y[:, np.newaxis] * _peak(points, 0.5, 0.01)
    else:
        y = rng.integers(3, size=n_rows)
        X += 0.25 * _peak(points, np.array([[0.3], [0.5], [0.7]]), 0.01)[y]
    return X + 0.03 * rng.standard_normal(X.shape), y


def few_columns(seed, n=400):
    """Return 20 mixtures of three sources with noise, and the class that the noise has."""
    rng, n_rows = np.random.default_rng(3000 + seed), n + N_TEST
    mixing, noise = rng.standard_normal((3, 20)), rng.standard_normal((n_rows, 20))
    hidden = noise @ np.linalg.svd(mixing)[2][3:].T
    y = np.column_stack([hidden[:, :2], -hidden[:, :2].sum(axis=1)]).argmax(axis=1)
    return rng.standard_normal((n_rows, 3)) @ mixing + 0.1 * noise, y


SETS = {
    "bands": bands,
    "smooth": smooth,
    "smooth, y": partial(smooth, values=True),
    "20 columns": few_columns,
}


def methods_for(title, seed, n_rows, n_columns):
    """Return the methods by name."""
    real = title.endswith(", y")
    linear = RidgeCV() if real else LogisticRegression(max_iter=2000)
    stack = (StackedAERegressor if real else StackedAEClassifier)(random_state=seed)
    whitening = StandardScaler(), PCA(min(n_rows // 5, n_columns), whiten=True)
    coded = {
        "CAE, linear": make_pipeline(ContractiveAE(random_state=seed), linear),
        "DAE, linear": make_pipeline(DenoisingAE(random_state=seed), linear),
        "stack": stack,
    }
    methods = {"columns, linear": make_pipeline(StandardScaler(), linear), **coded}
    if n_columns == N_POINTS:  # with fewer there is no noise
        masked = {"corruption": "masking", "corruption_level": 0.3, "random_state": seed}
        methods["masked stack"] = type(stack)(**masked)
    methods["whitened, linear"] = make_pipeline(*whitening, linear)
    return methods | {
        f"whitened, {name}": make_pipeline(*whitening, model) for name, model in coded.items()
    }


def measured(title, method, seed):
    """Return what one method reaches on the test rows, in percent."""
    X, y = SETS[title](seed)
    X, X_test, y, y_test = X[:-N_TEST], X[-N_TEST:], y[:-N_TEST], y[-N_TEST:]
    model, cpu = fitted(methods_for(title, seed, *X.shape)[method], X, y)
    return {"result": round(100 * model.score(X_test, y_test), 3), **cpu}


def table(bench):
    """Measure and return the lines."""
    yield f"{'set':14s} {'method':24s} {'accuracy or R2, %':>20s}"
    for title, draw in SETS.items():
        X = draw(0)[0]
        runs = {
            method: bench.runs(
                {"set": title, "method": method},
                lambda seed, title=title, method=method: measured(title, method, seed),
                ours="stack" in method or "AE" in method,
            )
            for method in methods_for(title, 0, len(X) - N_TEST, X.shape[1])
        }
        yield from rows(title, runs, ("result",), 1)


def main():
    """Measure what is missing and print the table."""
    arguments = argument_parser(__doc__).parse_args()
    print_table(Records(arguments.results, "bench_correlated"), "correlated", table, arguments)


if __name__ == "__main__":
    main()
