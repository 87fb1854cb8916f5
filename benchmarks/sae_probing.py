"""How well one, five and twenty features predict a topic or a digit: k-sparse probing (Gurnee et al. 2023).

For each target against the rest, a logistic regression uses the features with the largest F statistic on training rows.
The table has the mean over targets of the area under the ROC curve on test rows, with a 95 % interval from 200
resamples of these. Targets are the ten digits of scikit-learn, and the ten most frequent topics of Reuters-21578, whose
TF-IDF weights are reduced to 100 columns by a truncated SVD (the folder SKAE_DATA holds ``reuters.npz``; without it,
only digits are used). All models have 256 features, except PCA and the columns themselves.

    python benchmarks/sae_probing.py [--data DIR] [--results benchmarks/results]
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse
from records import Records
from scipy.stats import rankdata
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from threadpoolctl import threadpool_limits

from skae import PSD, SparseAutoEncoder, SparseCoder

N_COMPONENTS, COUNTS, N_RESAMPLES = 256, (1, 5, 20), 200


def digits():
    """Return training and test rows of variance 1 on average, and 0/1 targets for each digit."""
    X, y = load_digits(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std()
    rows = train_test_split(X, np.eye(10)[y], test_size=0.4, random_state=0, stratify=y)
    return rows[0], rows[1], rows[2], rows[3]


def reuters(folder):
    """Return the same for topics."""
    with np.load(Path(folder) / "reuters.npz") as file:
        counts = []
        for part in ("train", "test"):
            arrays = (file[f"{name}_{part}"] for name in ("data", "indices", "indptr"))
            shape = (len(file[f"indptr_{part}"]) - 1, len(file["vocab"]))
            counts.append(scipy.sparse.csr_matrix(tuple(arrays), shape=shape).astype(float))
        y_train, y_test = file["y_train"], file["y_test"]
    encode = make_pipeline(TfidfTransformer(sublinear_tf=True), TruncatedSVD(100, random_state=0))
    X_train, X_test = encode.fit_transform(counts[0]), encode.transform(counts[1])
    scale = X_train.std()
    frequent = np.argsort(-y_train.sum(axis=0), kind="stable")[:10]
    return X_train / scale, X_test / scale, y_train[:, frequent], y_test[:, frequent]


def sparse_autoencoder(activation):
    """Return a function that makes one of about 8 active features."""
    options = {"alpha": 0.5} if activation == "jumprelu" else {"k": 8}
    shared = {"standardize": "shared", "sparse_output": False, "random_state": 0}
    return lambda: SparseAutoEncoder(N_COMPONENTS, activation=activation, **options, **shared)


CONSTANT_STEPS = {"learning_rate": "constant", "learning_rate_init": 1e-3}
MODELS = {
    "columns": None,
    "PCA": lambda: PCA(random_state=0),
    "SparseCoder": lambda: SparseCoder(N_COMPONENTS, alpha=1.0, max_iter=10, random_state=0),
    "PSD": lambda: PSD(N_COMPONENTS, alpha=1.0, **CONSTANT_STEPS, random_state=0),
    "TopK": sparse_autoencoder("topk"),
    "BatchTopK": sparse_autoencoder("batch_topk"),
    "JumpReLU": sparse_autoencoder("jumprelu"),
}


def probabilities(codes, targets, test_codes, count):
    """Return the scores of test rows by the ``count`` best features for each target, of shape (n_rows, n_targets)."""
    scores = []
    for target in targets.T:
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant features
            statistics = np.nan_to_num(f_classif(codes, target)[0])
        best = np.argsort(-statistics, kind="stable")[:count]
        model = make_pipeline(MaxAbsScaler(), LogisticRegression(C=10.0, max_iter=1000))
        scores.append(model.fit(codes[:, best], target).decision_function(test_codes[:, best]))
    return np.stack(scores, axis=1)


def area(targets, scores, rows=slice(None)):
    """Return the mean over targets of the area under the ROC curve."""
    ranks, positive = rankdata(scores[rows], axis=0), targets[rows] > 0
    n_positive = positive.sum(axis=0)
    sums = np.sum(ranks * positive, axis=0) - n_positive * (n_positive + 1) / 2
    return np.mean(sums / (n_positive * (len(positive) - n_positive)))


def measured(make, data):
    """Return areas with their intervals, for each number of features."""
    X_train, X_test, y_train, y_test = data
    figures, rng = {}, np.random.default_rng(0)
    if make is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make().fit(X_train)
        X_train, X_test = model.transform(X_train), model.transform(X_test)
    figures["active"] = round(float(np.mean(np.sum(X_test != 0, axis=1))), 1)
    for count in COUNTS:
        scores = probabilities(X_train, y_train, X_test, count)
        resampled = [
            area(y_test, scores, rng.integers(0, len(y_test), len(y_test)))
            for _ in range(N_RESAMPLES)
        ]
        bounds = np.percentile(resampled, [2.5, 97.5])
        figures[str(count)] = [round(float(each), 4) for each in (area(y_test, scores), *bounds)]
    return figures


def main():
    """Measure what the result file does not have, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=Path(__file__).parent / "results")
    options = parser.parse_args()
    records = Records(options.results, "sae_probing")
    data = {"digits": digits}
    if options.data:
        data["reuters"] = lambda: reuters(options.data)
    lines = [
        "data     model        active   "
        + "".join(f"{count:>3d} features          " for count in COUNTS)
    ]
    for name, load in data.items():
        loaded = load()
        for model, make in MODELS.items():
            with threadpool_limits(1):
                found = records.once(
                    {"data": name, "model": model},
                    lambda make=make, loaded=loaded: measured(make, loaded),
                )
            areas = (found[str(count)] for count in COUNTS)
            cells = "  ".join(f"{a:.3f} ({low:.3f}-{high:.3f})" for a, low, high in areas)
            lines.append(f"{name:8s} {model:12s} {found['active']:6.1f}   {cells}")
    records.table("\n".join(lines))


if __name__ == "__main__":
    main()
