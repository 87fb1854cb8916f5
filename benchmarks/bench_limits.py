"""Where codes of skae do not help: accuracies beside what does better, on the same draws.

The seed draws rows, splits and weights. All parameters of skae but ``random_state`` and the number of units have
their defaults. Classifiers on columns see scaled ones, and codes are computed from raw columns. ``CAE`` is ``ContractiveAE``,
``DAE`` ``DenoisingAE``, and ``LR`` ``LogisticRegression(max_iter=2000)``.

- Adult, 10,000 rows: gradient-boosted trees on one-hot columns, on codes, and on both;
- noise: 200 rows, 15 informative columns of 400 (``make_classification``), SVC;
- Hastie: 2000 rows of ``make_hastie_10_2``, ten columns, alone and beside 30 columns of noise;
- lengths: 200 rows of five lengths, each ``exp(0.2 size + noise)``; two classes differ by 2 deviations of the
  noise in four of them;
- money: 2000 rows of ten lognormal columns of four factors, with errors of a factor 1000 in 0.2 % of the cells, and five
  counts; two classes that differ in three logarithms and a count; as they are, and with logarithms;
- checkers: 1500 rows of two uniform columns, on a checkerboard of 64 fields;
- digits: scikit-learn's, gray or 1 above 8: auto-encoders and Boltzmann machines before a linear classifier;
- rare: 40 of 4000 rows have the one class (``make_classification``), none has a wrong label; average precision;
- Reuters: 4000 news with one topic each; of the ten that are nearest to one of 1000 others, how many share its topic.

    python benchmarks/bench_limits.py --data DIR [--seeds 5] [--threads 1]

DIR (or SKAE_DATA) holds adult.csv.gz and reuters.npz; without it Adult and Reuters are left out. The table has means over
the seeds with 95% intervals (Student), and paired gains. Measurements are kept in ``bench_limits.jsonl`` and skipped
when the script is started again; those of skae are repeated when its sources change.
"""

from functools import partial
from pathlib import Path

import numpy as np
from outcomes.bench import accuracies, argument_parser, gain, print_table, rows
from records import Records
from scipy import sparse
from sklearn.datasets import (
    load_digits,
    make_classification,
    make_hastie_10_2,
)
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skae import RBM, ContractiveAE, DenoisingAE, StackedAEClassifier
from skae.boltzmann import DBN

N_TREE_CODES = 20


def trees(seed):
    """Return the methods on Adult; columns are encoded already."""
    boosted = HistGradientBoostingClassifier(random_state=seed)
    codes = ContractiveAE(N_TREE_CODES, random_state=seed)
    return {
        "columns, trees": boosted,
        "both, trees": make_pipeline(make_union(codes, FunctionTransformer()), boosted),
        f"{N_TREE_CODES} codes, trees": make_pipeline(codes, boosted),
    }


def adult(bench, seed):
    """Return rows of Adult, one-hot."""
    X, X_test, y, y_test = bench.split("Adult", seed)
    encoder = bench.load("Adult").encoder().fit(X)
    return encoder.transform(X), encoder.transform(X_test), y, y_test


def noise(bench, seed):
    """Return rows of which most columns say nothing about y."""
    X, y = make_classification(2200, 400, n_informative=15, n_redundant=0, random_state=seed)
    return train_test_split(X, y, train_size=200, stratify=y, random_state=seed)


def before_svc(seed):
    """Return the methods on columns of noise."""
    return {
        "columns, SVC": make_pipeline(StandardScaler(), SVC()),
        "500 codes, SVC": make_pipeline(ContractiveAE(random_state=seed), SVC()),
        "20 codes, SVC": make_pipeline(ContractiveAE(20, random_state=seed), SVC()),
    }


def hastie(bench, seed, n_noise=0):
    """Return rows whose class is whether their norm is large, with columns of noise beside them."""
    X, y = make_hastie_10_2(6000, random_state=seed)
    others = np.random.default_rng(seed).standard_normal((len(X), n_noise))
    X = np.hstack([X, others])
    return train_test_split(X, y, train_size=2000, stratify=y, random_state=seed)


def lengths(bench, seed):
    """Return lengths that are nearly proportional to each other, and two classes that differ in shape."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 1200)
    shape = np.outer(2 * y - 1, [1, -1, 1, -1, 0]) + rng.standard_normal((1200, 5))
    X = 10 * np.exp(0.2 * rng.standard_normal((1200, 1)) + 0.01 * shape)
    return train_test_split(X, y, train_size=200, stratify=y, random_state=seed)


def money(bench, seed, logarithms=False):
    """Return amounts of money and counts, and two classes that differ in logarithms of the amounts."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((4000, 4))
    spread = 0.8 * factors @ rng.standard_normal((4, 10)) + 0.6 * rng.standard_normal((4000, 10))
    amounts = np.exp(1.2 * spread + 7)
    amounts[rng.random(amounts.shape) < 0.002] *= 1000
    counts = rng.poisson(np.exp(0.3 * factors @ rng.standard_normal((4, 5)) + 0.5))
    difference = spread[:, 0] + spread[:, 1] - 0.7 * spread[:, 2] + 0.3 * counts[:, 0]
    y = difference + 0.7 * rng.standard_normal(4000)
    X = np.hstack([np.log(amounts) if logarithms else amounts, counts])
    return train_test_split(X, y > np.median(y), train_size=2000, random_state=seed)


def checkers(bench, seed):
    """Return points of a checkerboard, and the color of their field."""
    X = np.random.default_rng(seed).uniform(0, 8, (6000, 2))
    return train_test_split(X, np.floor(X).sum(axis=1) % 2, train_size=1500, random_state=seed)


def neighbors_or_stack(seed):
    """Return the methods on a checkerboard."""
    return {
        "columns, 5 neighbors": make_pipeline(StandardScaler(), KNeighborsClassifier()),
        "stack": StackedAEClassifier(random_state=seed),
    }


def rare(bench, seed):
    """Return rows of which one in a hundred has the other class."""
    X, y = make_classification(
        8000, 20, n_informative=10, n_redundant=4, weights=[0.99], flip_y=0, random_state=seed
    )
    return train_test_split(X, y, train_size=4000, stratify=y, random_state=seed)


def of_rare_classes(seed):
    """Return an SVM, and stacks with and without dropout."""
    return {
        "columns, SVC": make_pipeline(StandardScaler(), SVC()),
        "stack": StackedAEClassifier(random_state=seed),
        "stack, dropout 0": StackedAEClassifier(dropout=0, random_state=seed),
    }


def before_or_instead(seed):
    """Return methods with a linear classifier, a stack and trees."""
    linear = LogisticRegression(max_iter=2000)
    return {
        "columns, LR": make_pipeline(StandardScaler(), linear),
        "CAE, LR": make_pipeline(ContractiveAE(random_state=seed), linear),
        "stack": StackedAEClassifier(random_state=seed),
        "columns, trees": HistGradientBoostingClassifier(random_state=seed),
    }


def digits(bench, seed, binary=False):
    """Return digits, gray or black and white."""
    X, y = load_digits(return_X_y=True)
    X = (X > 8).astype(float) if binary else X
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)


def before_linear(seed, machines=False):
    """Return methods with a linear classifier, and an SVM or codes of machines."""
    linear = LogisticRegression(max_iter=2000)
    encoders = {
        "columns, LR": StandardScaler(),
        "CAE, LR": ContractiveAE(random_state=seed),
    }
    if machines:
        encoders["RBM, LR"] = RBM(random_state=seed)
        encoders["DBN of 100 and 50, LR"] = DBN([100, 50], random_state=seed)
    else:
        encoders["DAE, LR"] = DenoisingAE(random_state=seed)
    methods = {name: make_pipeline(encoder, linear) for name, encoder in encoders.items()}
    return (
        methods if machines else {**methods, "columns, SVC": make_pipeline(StandardScaler(), SVC())}
    )


CLASSIFY = {
    "Adult": (adult, trees),
    "noise": (noise, before_svc),
    "Hastie": (hastie, before_linear),
    "Hastie, noise": (partial(hastie, n_noise=30), before_linear),
    "lengths": (lengths, before_linear),
    "money": (money, before_or_instead),
    "money, logs": (partial(money, logarithms=True), before_or_instead),
    "checkers": (checkers, neighbors_or_stack),
    "digits, gray": (digits, partial(before_linear, machines=True)),
    "digits, 0/1": (partial(digits, binary=True), partial(before_linear, machines=True)),
}


def classified(bench, title):
    """Return the runs of each method on one set."""
    draw, methods = CLASSIFY[title]

    def measure(seed, method):
        found = accuracies(methods(seed)[method], *draw(bench, seed))
        return {"result": found["accuracy"], "cpu": found["cpu"]}

    return all_runs(bench, title, methods(0), measure)


def ranked(bench):
    """Return the runs of each method on a rare class."""

    def measure(seed, method):
        X, X_test, y, y_test = rare(bench, seed)
        model = of_rare_classes(seed)[method].fit(X, y)
        return {"result": round(100 * get_scorer("average_precision")(model, X_test, y_test), 3)}

    return all_runs(bench, "rare", of_rare_classes(0), measure)


def all_runs(bench, title, methods, measure):
    """Return the runs of each method; those on columns are controls."""
    return {
        method: bench.runs(
            {"set": title, "method": method},
            partial(measure, method=method),
            ours=not method.startswith(("columns", "TF-IDF", "Iterative", "means")),
        )
        for method in methods
    }


TEXTS = {
    "TF-IDF, cosine": (FunctionTransformer, "cosine"),
    "TF-IDF, SVD(100), cosine": (TruncatedSVD, "cosine"),
    "CAE(100), cosine": (ContractiveAE, "cosine"),
    "CAE(100), euclidean": (ContractiveAE, "euclidean"),
    "CAE(), cosine": (ContractiveAE, "cosine"),
}


def news(folder, seed):
    """Return counts of words of 4000 and of 1000 news with one topic, and the topics."""
    with np.load(Path(folder) / "reuters.npz") as file:
        parts = tuple(file[f"{name}_train"] for name in ("data", "indices", "indptr"))
        counts = sparse.csr_array(parts, shape=(len(parts[2]) - 1, len(file["vocab"])))
        topics = file["y_train"]
    single = np.flatnonzero(topics.sum(axis=1) == 1)
    chosen = np.random.default_rng(seed).permutation(single)[:5000]
    X, y = counts[chosen].astype(float), topics[chosen].argmax(axis=1)
    return X[:4000], X[4000:], y[:4000], y[4000:]


def neighbors(bench):
    """Return the runs of each method on Reuters."""

    def measure(seed, method):
        X, X_test, y, y_test = news(bench.folder, seed)
        weights = TfidfTransformer(sublinear_tf=True).fit(X)
        kind, metric = TEXTS[method]
        options = {} if kind is FunctionTransformer else {"random_state": seed}
        encoder = kind(100, **options) if "(100)" in method else kind(**options)
        codes = encoder.fit_transform(weights.transform(X))
        others = encoder.transform(weights.transform(X_test))
        near = NearestNeighbors(n_neighbors=10, metric=metric).fit(codes).kneighbors(others)[1]
        return {"result": round(100 * float(np.mean(y[near] == y_test[:, None])), 3)}

    return all_runs(bench, "Reuters", TEXTS, measure)


def block(title, methods):
    """Return the lines of one set: all methods, and the gains of the first over the others, or of skae over it."""
    yield from rows(title, methods, ("result",), 1)
    first, *others = methods
    for other in others:
        yield gain(title, methods, other, first, "result")


def table(bench):
    """Measure and return the lines."""
    lines = [f"{'set':14s} {'method':24s} {'accuracy %':>20s}"]
    for title in CLASSIFY:
        if bench.folder or title != "Adult":
            lines += block(title, classified(bench, title))
    lines += ["", f"{'set':14s} {'method':24s} {'average precision %':>20s}"]
    lines += block("rare", ranked(bench))
    if bench.folder:
        lines += ["", f"{'set':14s} {'method':24s} {'same topic %':>20s}"]
        lines += block("Reuters", neighbors(bench))
    return lines


def main():
    """Measure what is missing and print the table."""
    arguments = argument_parser(__doc__).parse_args()
    print_table(Records(arguments.results, "bench_limits"), "limits", table, arguments)


if __name__ == "__main__":
    main()
