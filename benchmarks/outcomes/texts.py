"""Reuters with topics for some of 4000 news, TF-IDF: networks and codes, with linear classifiers of the same words."""

import os
from functools import lru_cache

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skae import ContractiveAE, StackedAEClassifier

from .bench import accuracies, gain, rows

N_ROWS, N_TEST, N_TOPICS = 4000, 2000, 10
LINEAR = LogisticRegression(C=10, max_iter=2000)
STACK, SUPERVISED = "stack", "stack, labeled rows"
CODES, SVD = "CAE(100), LR", "SVD(100), LR"
METHODS = (STACK, SUPERVISED, CODES, SVD, "LR", "LinearSVC")
OURS = (STACK, SUPERVISED, CODES)
PAIRS = ((STACK, "LinearSVC"), (SUPERVISED, "LinearSVC"), (STACK, SUPERVISED), (CODES, SVD))


@lru_cache(maxsize=1)
def news(folder):
    """Return counts of 2000 words in the news with one of the ten most frequent topics and no other, and the topics."""
    with np.load(os.path.join(folder, "reuters.npz")) as file:
        parts = tuple(file[f"{name}_train"] for name in ("data", "indices", "indptr"))
        counts = sparse.csr_array(parts, shape=(len(parts[2]) - 1, len(file["vocab"])))
        topics = file["y_train"]
    topics = topics[:, np.argsort(-topics.sum(axis=0), kind="stable")[:N_TOPICS]]
    with_one = topics.sum(axis=1) == 1
    return counts[with_one].astype(np.float32), topics[with_one].argmax(axis=1)


def build(method, seed):
    """Return an unfitted classifier."""
    if method in (STACK, SUPERVISED):
        return StackedAEClassifier(random_state=seed)
    if method == CODES:
        return make_pipeline(ContractiveAE(100, random_state=seed), clone(LINEAR))
    if method == SVD:
        return make_pipeline(TruncatedSVD(100, random_state=seed), clone(LINEAR))
    return clone(LINEAR) if method == "LR" else LinearSVC()


def measured(bench, n_labels):
    """Return the runs of each method with so many labels. Only the stack also learns from the other rows."""

    def measure(seed, method):
        counts, topics = news(bench.folder)
        drawn = np.random.default_rng(seed).permutation(len(topics))
        train, test = drawn[:N_ROWS], drawn[-N_TEST:]
        weights = TfidfTransformer(sublinear_tf=True).fit(counts[train])
        y = np.where(np.arange(N_ROWS) < n_labels, topics[train], -1)
        used = slice(None) if method == STACK else y >= 0
        X, X_test = (weights.transform(counts[part]).astype(np.float32) for part in (train, test))
        return accuracies(build(method, seed), X[used], X_test, y[used], topics[test])

    return {
        method: bench.runs(
            {"labels": n_labels, "method": method},
            lambda seed, method=method: measure(seed, method),
            ours=method in OURS,
        )
        for method in METHODS
    }


def table(bench):
    """Measure and return the lines."""
    lines = [f"{'labels':14s} {'method':24s} {'accuracy %':>20s} {'CPU seconds':>20s}"]
    for n_labels in (100, 1000) if bench.short else (100, 300, 1000, 3000):
        title = str(n_labels)
        methods = measured(bench, n_labels) if bench.folder else {}
        lines += rows(title, methods, ("accuracy", "cpu"))
        lines += filter(None, (gain(title, methods, *pair) for pair in PAIRS))
    return lines
