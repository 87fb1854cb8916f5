"""How well and how fast PSD's encoders predict exact codes, compared with a soft threshold of the same dictionary.

Whitened 12 x 12 patches of natural images, 144 atoms. R^2 is that of held-out codes of the dictionary alone
(lasso), for the encoder and for the best of a grid of soft thresholds. Accuracies are those of a linear
classifier on digits with predicted and with exact codes. Times are per 10,000 rows, with one thread.

    python benchmarks/bench_psd.py --data DIR
"""

import argparse
import os
import statistics
import time

import numpy as np
from bench_sparse import load_images
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import PSD
from skae.images import ZCA, sample_patches

ALPHA = 0.5
CONSTANT = {"learning_rate": "constant"}
ENCODERS = ("tanh", "soft_threshold", "lista")


def r2(codes, prediction):
    """Return the explained share of the codes' variance."""
    return 1 - np.sum((codes - prediction) ** 2) / np.sum((codes - codes.mean(axis=0)) ** 2)


def best_soft_threshold(X, atoms, codes):
    """Return the best R^2 of scaled soft thresholds."""
    pre_activations = X @ atoms.T
    best = -np.inf
    for threshold in (0.1, 0.25, 0.5, 1.0, 1.5, 2.0):
        soft = np.sign(pre_activations) * np.maximum(np.abs(pre_activations) - threshold, 0)
        scale = np.vdot(soft, codes) / max(np.vdot(soft, soft), 1e-12)
        best = max(best, r2(codes, scale * soft))
    return best


def timed(call, repeats=5):
    """Return the median seconds and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def digits_accuracy(encoder):
    """Return the mean accuracy over three folds with predicted and with exact codes."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    scores = []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        options = {"encoder": encoder, **CONSTANT, "learning_rate_init": 1e-2, "max_iter": 60}
        psd = PSD(100, alpha=0.1, **options, random_state=0).fit(X[train])
        pair = []
        for algorithm in ("encoder", "lasso"):
            codes = psd.set_params(transform_algorithm=algorithm).transform(X)
            linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
            pair.append(linear.fit(codes[train], y[train]).score(codes[test], y[test]))
        scores.append(pair)
    return np.mean(scores, axis=0)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    arguments = parser.parse_args()
    patches = sample_patches(load_images(arguments.data), (12, 12), 40_000, random_state=0)
    white = ZCA(epsilon=0.1).fit_transform(patches.astype(np.float32))
    white /= white.std()
    train, test = white[:30_000], white[30_000:]
    print("encoder         R2  soft  inference s  encoder s  ratio  digits: encoder  exact")
    for encoder in ENCODERS:
        options = {"encoder": encoder, **CONSTANT, "learning_rate_init": 3e-3, "max_iter": 10}
        psd = PSD(144, alpha=ALPHA, **options, n_jobs=2, random_state=0).fit(train)
        psd.set_params(n_jobs=1)
        fast, prediction = timed(lambda psd=psd: psd.transform(test))
        psd.set_params(transform_algorithm="lasso")
        slow, codes = timed(lambda psd=psd: psd.transform(test))
        soft = best_soft_threshold(test, psd.components_, codes)
        predicted, exact = digits_accuracy(encoder)
        print(
            f"{encoder:14s} {r2(codes, prediction):5.3f} {soft:5.3f} {slow:11.3f} {fast:10.4f} "
            f"{slow / fast:6.1f} {predicted:16.3f} {exact:6.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
