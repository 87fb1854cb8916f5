"""Test error with few labels of one network, pre-trained in three ways: the claim is c < b < a.

(a) no pre-training: random initial weights; (b) greedily with the labels, each layer as the hidden layer of a network
(Bengio et al. 2006); (c) without labels on all training images, as contractive auto-encoders (digits) or denoising ones
(MNIST). All three are then fine-tuned in the same way with the labels, for the same number of steps, enough to bring
the training error to zero. Each seed draws labeled rows (stratified), initial weights and noise; the error is that of
all test rows.

    python benchmarks/bench_pretraining.py --data DIR [--seeds 5]

It runs once with sigmoids, as in those papers, and once with rectifiers. The last column is the mean over seeds of the
difference to (a), with its standard error.

DIR (or SKAE_DATA) holds mnist.npz; scikit-learn's digits are used in any case. For (c), labels are used only in
fine-tuning: the layers of a seed are pre-trained once, and later fits load them from their checkpoints.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skae import ContractiveAE, DenoisingAE, StackedAEClassifier

PRETRAINING = {
    "(a) none": None,
    "(b) supervised": "supervised",
    "(c) unsupervised": "unsupervised",
}


@dataclass
class Task:
    """Data of a seed, how many labels, and the settings that were chosen for it."""

    name: str
    activation: str
    data: Callable
    label_counts: tuple
    widths: tuple
    unsupervised_epochs: int
    steps: int
    batch_size: int
    layer: BaseEstimator


def mnist(folder, n_rows):
    """Return the first ``n_rows`` training images and all test images."""
    with np.load(os.path.join(folder, "mnist.npz")) as file:
        X, X_test = (file[f"x_{part}"].astype(np.float32) / 255 for part in ("train", "test"))
        return X[:n_rows], X_test, file["y_train"][:n_rows].astype(int), file["y_test"].astype(int)


def digits(seed):
    """Return scikit-learn's digits, 600 of them for the test, others for each seed."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32) / 16
    return train_test_split(X, y, test_size=600, random_state=seed, stratify=y)


def partly_labeled(y, n_labels, seed):
    """Return ``y`` with -1 for all but ``n_labels`` rows, drawn with the shares of the classes."""
    labeled, _ = train_test_split(
        np.arange(len(y)), train_size=n_labels, random_state=seed, stratify=y
    )
    partly = np.full_like(y, -1)
    partly[labeled] = y[labeled]
    return partly


def classifier(task, kind, n_labels, seed, checkpoint):
    """Return the net, ready to be fitted."""
    epochs = task.steps * task.batch_size // n_labels
    layer_epochs = epochs // 2 if kind == "supervised" else task.unsupervised_epochs
    options = {"batch_size": task.batch_size}
    layers = [
        (
            f"layer{depth}",
            clone(task.layer).set_params(
                n_components=width,
                activation=task.activation,
                loss="auto" if depth > 1 else "bernoulli",
                max_iter=layer_epochs,
                **options,
            ),
        )
        for depth, width in enumerate(task.widths, 1)
    ]
    return StackedAEClassifier(
        layers,
        pretraining=kind,
        dropout=0.0,
        max_iter=epochs,
        random_state=seed,
        checkpoint=checkpoint if kind == "unsupervised" else None,
        resume=True,
        **options,
    )


def errors(task, seed):
    """Yield the kind of pre-training, the number of labels, training and test error."""
    X, X_test, y, y_test = task.data(seed)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "stack")
        for n_labels in task.label_counts:
            partly = partly_labeled(y, n_labels, seed)
            labeled = partly >= 0
            for name, kind in PRETRAINING.items():
                model = classifier(task, kind, n_labels, seed, checkpoint).fit(X, partly)
                # Other labels are another fine-tuning; the layers below stay.
                checkpoint.unlink(missing_ok=True)
                train = 1 - model.score(X[labeled], y[labeled])
                yield name, n_labels, train, 1 - model.score(X_test, y_test)


def print_task(task, n_seeds):
    """Print means and standard errors over the seeds."""
    start = time.perf_counter()
    results = {}
    for seed in range(n_seeds):
        for name, n_labels, *pair in errors(task, seed):
            results.setdefault((n_labels, name), []).append(pair)
    minutes = (time.perf_counter() - start) / 60
    n_rows, n_features = task.data(0)[0].shape
    net = "-".join(str(width) for width in (n_features, *task.widths, 10))
    print(
        f"{task.name}: {net} {task.activation}, {n_rows} training images, {task.unsupervised_epochs} epochs a layer "
        f"without labels ({task.layer}), {task.steps} steps of fine-tuning, {n_seeds} seeds, {minutes:.1f} minutes"
    )
    print(
        "labels  pre-training           training error %  test error %  standard error  (a) minus it"
    )
    for n_labels in task.label_counts:
        rows = {
            name: 100 * np.array(pairs) for (n, name), pairs in results.items() if n == n_labels
        }
        none = rows["(a) none"][:, 1]
        for name, pairs in rows.items():
            train, test = pairs.T
            gain, scale = none - test, np.sqrt(len(test))
            print(
                f"{n_labels:6d}  {name:22s} {train.mean():16.2f} {test.mean():13.2f} "
                f"{test.std(ddof=1) / scale:15.2f}  {gain.mean():5.2f} +- {gain.std(ddof=1) / scale:.2f}",
                flush=True,
            )


def main():
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--activations", nargs="+", default=["sigmoid", "relu"])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    counts, contractive, denoising = (
        (500, 1000),
        ContractiveAE(),
        DenoisingAE(corruption_level=0.25),
    )
    sets = {"digits": (digits, counts, (200,) * 3, 300, 4000, 20, contractive)}
    if arguments.data:
        data = mnist(arguments.data, arguments.samples)
        sets["MNIST"] = lambda seed: data, counts, (300,) * 3, 10, 3000, 50, denoising
    with threadpool_limits(arguments.threads):
        for activation in arguments.activations:
            for name, settings in sets.items():
                print_task(Task(name, activation, *settings), arguments.seeds)


if __name__ == "__main__":
    main()
