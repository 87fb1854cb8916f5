"""Whether a second stage of convolutional features is worth its time: one stage, and two with as many features.

The second stage sees each map of the first one alone, as a gray image, with the same filters for all maps; its features
are appended to those of one stage, which the control has more of. A linear classifier by least squares has the penalty
that is best on 2000 other training images. The table has the error on test images in percent, how much less that is
than the control's, with the 95% interval of the pairs of predictions, and CPU seconds of learning and computing
features. CIFAR-10 is read from JPEG files.

    python benchmarks/second_stage.py --data DIR [--only cifar-3000 ...]
"""

import argparse
import os
import time

import numpy as np
from repro_images import load_cifar, load_mnist

from skae.images import ConvolutionalFeatures

N_VALIDATION, BLOCK = 2000, 500
PENALTIES = 1e-3, 1e-2, 1e-1, 1.0, 10.0
# Images to learn from, and for the test.
RUNS = (
    ("mnist", 300, 5000),
    ("mnist", 1000, 5000),
    ("mnist", 3000, 10_000),
    ("mnist", 10_000, 10_000),
    ("cifar", 1000, 3000),
    ("cifar", 3000, 3000),
)


class MapsAlone:
    """Features of ``beside``, and of a stage on each map of the stage below alone."""

    def __init__(self, below, above, beside):
        self.below, self.above, self.beside = below, above, beside

    def fit(self, X):
        """Learn the stages, one after the other."""
        self.below.fit(X)
        self.above.fit(self._maps(X))
        self.beside.fit(X)
        return self

    def transform(self, X):
        """Return the features of both."""
        parts = (X[start : start + BLOCK] for start in range(0, len(X), BLOCK))
        return np.vstack([self._features(part) for part in parts])

    def _features(self, X):
        second = self.above.transform(self._maps(X)).reshape(len(X), -1)
        return np.hstack([self.beside.transform(X), second])

    def _maps(self, X):
        rows, columns, n_maps = self.below.map_shape_
        maps = self.below.transform(X).reshape(-1, rows, columns, n_maps)
        return maps.transpose(0, 3, 1, 2).reshape(-1, rows, columns)


def stage(*args, **options):
    """Return a stage with a seed."""
    return ConvolutionalFeatures(*args, random_state=0, **options)


def recipes(source):
    """Return the control first, and the others."""
    low = {"patch_size": 5, "pool_size": 2}
    if source == "cifar":
        return {
            "one stage, 512 filters": stage(512),
            "256, and 16 on each of 16 maps": MapsAlone(
                stage(16, encoder="triangle", **low), stage(16, patch_size=5), stage(256)
            ),
        }
    digits = {"patch_size": 10, "encoder": "threshold", "alpha": 0.5, "dictionary": "patches"}
    digits |= {"whitening": None, "pooling": "l2"}
    return {
        "one stage, 384 patches of 10 x 10": stage(384, **digits),
        "128 patches of 10 x 10, and 16 on each of 32 maps": MapsAlone(
            stage(16, encoder="threshold", **low), stage(16, patch_size=5), stage(128, **digits)
        ),
    }


def are_wrong(train, validation, test):
    """Return which test images are told wrongly, with the penalty that is best on validation images."""
    mean, scale = train[0].mean(axis=0), train[0].std(axis=0)
    scale[scale < 1e-6 * scale.max()] = np.inf
    Z, Z_validation, Z_test = (
        ((each[0] - mean) / scale).astype(np.float32) for each in (train, validation, test)
    )
    targets = np.eye(10, dtype=np.float32)[train[1]]
    offset = targets.mean(axis=0)
    targets -= offset
    dual = len(Z) < Z.shape[1]
    gram = (Z @ Z.T / Z.shape[1] if dual else Z.T @ Z / len(Z)).astype(np.float64)
    right = targets / Z.shape[1] if dual else Z.T @ targets / len(Z)
    found = []
    for penalty in PENALTIES:
        ridge = penalty * np.trace(gram) / len(gram) * np.eye(len(gram))
        weights = np.linalg.solve(gram + ridge, right).astype(np.float32)
        weights = Z.T @ weights if dual else weights
        errors, wrong = (
            (each @ weights + offset).argmax(axis=1) != labels
            for each, (_, labels) in ((Z_validation, validation), (Z_test, test))
        )
        found.append((errors.mean(), wrong))
    return min(found, key=lambda each: each[0])[1]


def compare(source, n_train, data):
    """Print a line for each recipe."""
    (X, y), (X_test, y_test) = data["train"], data["test"]
    chosen = slice(50_000, 52_000) if source == "mnist" else slice(n_train, n_train + N_VALIDATION)
    images, labels = (X[:n_train], X[chosen], X_test), (y[:n_train], y[chosen], y_test)
    control = None
    for name, model in recipes(source).items():
        start = time.process_time()
        model.fit(images[0])
        features = [model.transform(each) for each in images]
        seconds = time.process_time() - start
        wrong = are_wrong(*zip(features, labels))
        control = wrong if control is None else control
        gain = 100 * (control.astype(float) - wrong)
        width = 1.96 * gain.std() / np.sqrt(len(gain))
        print(
            f"{source:5s} {n_train:6d} {name:50s} {features[0].shape[1]:5d} {100 * wrong.mean():6.2f} of {len(wrong):5d} "
            f"{gain.mean():+.2f} +- {width:.2f} {seconds:4.0f}",
            flush=True,
        )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--only", nargs="*", help="for instance mnist-300")
    arguments = parser.parse_args()
    print(f"{'images':12s} {'features':50s} number  % wrong      gain (%)     seconds")
    for source, n_train, n_test in RUNS:
        if not arguments.only or f"{source}-{n_train}" in arguments.only:
            data = (load_mnist if source == "mnist" else load_cifar)(arguments.data)
            data["test"] = tuple(each[:n_test] for each in data["test"])
            compare(source, n_train, data)


if __name__ == "__main__":
    main()
