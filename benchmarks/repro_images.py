"""CIFAR-10, MNIST and digits of Larochelle et al.: convolutional features, learned without labels, and a classifier.

CIFAR-10 is read from ``cifar10_jpeg.npz``: JPEG files of the images, of about 30 dB, while published figures are for
the originals; the test images are also encoded without JPEG. Rotated digits (rot) and digits on images (bg-img) are
regenerated (``skae.datasets``). For each fit, the table has the accuracy on all test images, with the 95% interval, and
the CPU and wall-clock minutes. The classifier is linear, unless a Gaussian kernel with least squares is named. Its
penalty, and the width of the kernel, are chosen on the last training rows: a fifth, or the 2,000 published ones. It is
then fitted to these rows, too.

In names, "half size" is a second stage on images of half the size, whose features are appended to those of the first
one; "mirrored" is the sum of the features of an image and of its mirror image; "turned" is that of an image rotated by
0, 90, 180 and 270 degrees; and "root" is the square root of each feature after that.

Last, few labels: for draws of 1000 labels of CIFAR-10, lasso codes of patches are compared with the soft threshold of
the same dictionary, both split into positive and negative parts and pooled in quadrants. Only ``alpha`` of each is
chosen, on images that are in no draw. The classifier is least squares with the penalty that gives the best
leave-one-out predictions.

    python benchmarks/repro_images.py --data DIR [--threads 2] [--only NAME ...] [--list] [--short]

Each fit is kept in ``repro_images.jsonl``, and skipped when the script is started again. ``--short`` takes an eighth of
the training images and of the filters, leaves out few labels, and writes ``repro_images_short``.
"""

import argparse
import io
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import repro_larochelle
from kernel import KernelClassifier
from linear import LinearClassifier
from records import Records, half_interval, half_width
from sklearn.base import BaseEstimator
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from skae import SparseCoder
from skae.images import ConvolutionalFeatures

RESULTS = Path(__file__).parent / "results"
PENALTIES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
WIDTHS, NOISES = (0.1, 0.2), (0.01, 0.03, 0.1)  # of kernels, and their penalties


class Recipe(NamedTuple):
    """Data, published accuracy (of PCANet where it is of digits), stages side by side, and what is done to their features.

    Stage k has images of which each side is 1 / (k + 1) as long. Features of all ``views`` of an image are added.
    """

    source: str
    published: str
    stages: tuple[BaseEstimator, ...]
    views: tuple[Callable, ...] = (np.asarray,)
    root: bool = False
    classifier: Callable = partial(LinearClassifier, PENALTIES)

    def fit(self, images):
        """Learn the filters."""
        for k, stage in enumerate(self.stages):
            stage.fit(shrunk(images, k + 1))
        return self

    def transform(self, images):
        """Return features as rows."""
        blocks = list(gen_batches(len(images), 1000))
        first = self._block(images[blocks[0]])
        features = np.empty((len(images), first.shape[1]), np.float32)
        features[blocks[0]] = first
        for rows in blocks[1:]:
            features[rows] = self._block(images[rows])
        return features

    def _block(self, images):
        parts = []
        for k, stage in enumerate(self.stages):
            smaller = shrunk(images, k + 1)
            parts.append(sum(stage.transform(view(smaller)) for view in self.views))
        features = np.hstack(parts)
        return np.sqrt(features) if self.root else features


def mirrored(images):
    """Return images with left and right exchanged."""
    return images[:, :, ::-1]


MIRRORED = np.asarray, mirrored
TURNED = tuple(partial(np.rot90, k=k, axes=(1, 2)) for k in range(4))


def shrunk(images, factor):
    """Return images of which each pixel is the mean of ``factor`` x ``factor`` ones."""
    if factor == 1:
        return images
    n, height, width, n_channels = images.shape
    squares = images.reshape(n, height // factor, factor, width // factor, factor, n_channels)
    return squares.mean(axis=(2, 4), dtype=np.float32)


def load_cifar(folder):
    """Return images (n, 32, 32, 3) of 8 bits and labels; of the test images without JPEG too."""
    from PIL import Image

    data = {}
    with np.load(os.path.join(folder, "cifar10_jpeg.npz")) as file:
        for part in ("train", "test"):
            content, ends = file[f"bytes_{part}"], file[f"ends_{part}"]
            parts = np.split(content, ends[:-1])
            images = [np.asarray(Image.open(io.BytesIO(each.tobytes()))) for each in parts]
            data[part] = np.stack(images), file[f"y_{part}"].astype(np.int64)
    with np.load(os.path.join(folder, "cifar10.npz")) as file:
        planes = file["x_test"].reshape(-1, 3, 32, 32)
        data["lossless"] = planes.transpose(0, 2, 3, 1), file["y_test"].astype(np.int64)
    return data


def load_mnist(folder):
    """Return images (n, 28, 28) of 8 bits and labels."""
    with np.load(os.path.join(folder, "mnist.npz")) as file:
        return {
            part: (file[f"x_{part}"].reshape(-1, 28, 28), file[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        }


def load_digits_of(name, folder):
    """Return images (n, 28, 28) and labels of a set of Larochelle et al., those for the choice behind those for training."""
    parts = repro_larochelle.load(name, folder)
    known = [np.concatenate(each) for each in zip(parts["train"], parts["validation"])]
    return {
        part: (X.reshape(-1, 28, 28).astype(np.float32), y.astype(np.int64))
        for part, (X, y) in (("train", known), ("test", parts["test"]))
    }


# Of each set its loader, and how many rows for training choose the penalty.
SOURCES = {
    "cifar": (load_cifar, 10_000),
    "mnist": (load_mnist, 12_000),
    "rot": (partial(load_digits_of, "rot"), 2_000),
    "bg-img": (partial(load_digits_of, "bg-img"), 2_000),
}


def omp(n_filters):
    """Return a dictionary of which each patch takes one atom (OMP-1)."""
    return SparseCoder(n_filters, algorithm="omp", n_nonzero_coefs=1, max_iter=10)


def recipes(part):
    """Return recipes by name, with one of ``part`` filters."""
    cifar = {"patch_size": 6, "n_patches": 400_000 // part}
    sharp = {"contrast": 0.01, **cifar}
    threshold = {"encoder": "threshold", **sharp}
    patches = {"dictionary": "patches", "encoder": "threshold", "alpha": 0.5, "contrast": 0.1}
    patches |= cifar
    digits = {"patch_size": 7, "encoder": "threshold", "alpha": 0.5, "dictionary": "patches"}
    digits |= {"whitening": None, "pooling": "l2", "pool_grid": 4}

    def stage(n_filters=None, **options):
        if n_filters is not None:
            options["n_filters"] = n_filters // part
        return ConvolutionalFeatures(random_state=0, **options)

    ours = {"views": MIRRORED, "root": True}
    many = {**ours, "classifier": partial(LinearClassifier, PENALTIES[1:])}
    two_sizes = stage(1600, pool_grid=3, **cifar), stage(2400, **cifar)
    gaussian = {**ours, "classifier": partial(KernelClassifier, WIDTHS, NOISES)}
    return {
        "k-means 1600, triangle": Recipe("cifar", "77.9", (stage(1600, **sharp),)),
        "patches 1600, threshold": Recipe(
            "cifar", "79.1", (stage(1600, dictionary="patches", **threshold),)
        ),
        "OMP-1 1600, threshold": Recipe(
            "cifar", "79.4", (stage(dictionary=omp(1600 // part), **threshold),)
        ),
        "k-means 1600, mirrored, root": Recipe("cifar", "77.9", (stage(1600, **cifar),), **ours),
        "k-means 4000, mirrored, root": Recipe("cifar", "79.6", (stage(4000, **cifar),), **ours),
        "k-means 800, 3 x 3; half size 1600; mirrored, root": Recipe(
            "cifar", "", (stage(800, pool_grid=3, **cifar), stage(1600, **cifar)), **many
        ),
        "k-means 1600, 3 x 3; half size 2400; mirrored, root": Recipe(
            "cifar", "", two_sizes, **many
        ),
        "the same, Gaussian kernel": Recipe("cifar", "", two_sizes, **gaussian),
        "patches 800, threshold, 3 x 3, mirrored": Recipe(
            "cifar", "", (stage(800, pool_grid=3, **patches),), views=MIRRORED
        ),
        "patches 500, threshold, l2": Recipe("mnist", "99.34", (stage(500, **digits),)),
        "patches 400 of 10 x 10, threshold, l2": Recipe(
            "mnist", "99.34", (stage(400, **digits | {"patch_size": 10}),)
        ),
        "patches 300 of 12 x 12, threshold, l2, turned": Recipe(
            "rot", "92.63", (stage(300, **digits | {"patch_size": 12}),), TURNED
        ),
        "patches 300 of 10 x 10, threshold, l2": Recipe(
            "bg-img", "89.05", (stage(300, **digits | {"patch_size": 10}),)
        ),
    }


def measured(recipe, data, n_validation):
    """Return accuracy in percent, minutes, and what was chosen."""
    X, y = data["train"]
    clocks = time.process_time, time.perf_counter
    start = [clock() for clock in clocks]
    Z = recipe.fit(X).transform(X)
    middle = time.process_time()
    classifier = recipe.classifier(n_validation).fit(Z, y)
    n_features = Z.shape[1]
    del Z
    images, labels = data["test"]
    accuracy = round(100 * classifier.score(recipe.transform(images), labels), 2)
    cpu, wall = (clock() - begin for clock, begin in zip(clocks, start))
    record = {"accuracy": accuracy, "n_test": len(labels)}
    if "lossless" in data:
        images, labels = data["lossless"]
        record["lossless"] = round(100 * classifier.score(recipe.transform(images), labels), 2)
    return record | {
        "n_features": n_features,
        **classifier.chosen_,
        "validation": round(100 * max(classifier.validation_.values()), 2),
        "cpu_minutes": round(cpu / 60, 1),
        "cpu_minutes_of_features": round((middle - start[0]) / 60, 1),
        "minutes": round(wall / 60, 1),
    }


FEW, DRAWS, N_TUNING = 1000, 5, 2000
FEW_NAME = "1000 labels"
ENCODINGS = {"inference": (0.5, 1.0, 1.5, 2.5), "soft_threshold": (0.1, 0.25, 0.5, 1.0)}


def few_labels(data, threads):
    """Return the accuracies of both encodings for all draws of labels, and what was chosen."""
    (X, y), (X_test, y_test) = data["train"], data["test"]
    options = {"patch_size": 6, "n_patches": 100_000, "encoder": "code", "rectification": "split"}
    coder = SparseCoder(256, alpha=1.0, gap_tol=1e-2, max_iter=5)
    stage = ConvolutionalFeatures(dictionary=coder, n_jobs=threads, random_state=0, **options)
    stage.fit(X[:10_000])
    order = np.random.default_rng(0).permutation(len(X))
    known, others = order[:FEW], order[FEW : FEW + N_TUNING]
    draws = order[FEW + N_TUNING :][: DRAWS * FEW]

    def accuracies(Z, labels, Z_test, labels_test):
        model = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(0, 6, 13)))
        hits = [
            100 * np.mean(model.fit(Z[rows], labels[rows]).predict(Z_test) == labels_test)
            for rows in gen_batches(len(Z), FEW)
        ]
        return np.round(hits, 2).tolist()

    record = {"n_test": len(y_test)}
    for encoding, alphas in ENCODINGS.items():
        tuning = {}
        for alpha in alphas:
            stage.dictionary_.set_params(transform_encoder=encoding, alpha=alpha)
            parts = (stage.transform(X[known]), y[known], stage.transform(X[others]), y[others])
            tuning[alpha] = accuracies(*parts)[0]
        stage.dictionary_.set_params(alpha=max(tuning, key=tuning.get))
        start = time.process_time()
        features = stage.transform(X[draws]), y[draws], stage.transform(X_test), y_test
        seconds = time.process_time() - start
        found = {"alpha": max(tuning, key=tuning.get), "tuning": list(tuning.items())}
        found["accuracies"] = accuracies(*features)
        record[encoding] = found | {"cpu_minutes_of_features": round(seconds / 60, 1)}
    return record


def compare_with_few_labels(arguments, loaded, wanted):
    """Measure, if that is wanted and was not done, and print the table."""
    records = Records(arguments.results, "repro_images_labels", measuring=wanted)

    def measure():
        if "cifar" not in loaded:
            loaded["cifar"] = load_cifar(arguments.data)
        with threadpool_limits(arguments.threads):
            return few_labels(loaded["cifar"], arguments.threads)

    record = records.once({"data": "cifar", "model": FEW_NAME}, measure)
    if record is None:
        return
    lines = [
        f"{FEW} labels of CIFAR-10 (JPEG), {DRAWS} draws, 256 atoms, {record['n_test']} test images"
    ]
    for name, found in ((each, record[each]) for each in ENCODINGS):
        lines.append(
            f"{name:15s} {np.mean(found['accuracies']):.2f} % right, alpha {found['alpha']:g}, "
            f"{found['cpu_minutes_of_features']} CPU min"
        )
    differences = np.subtract(*(record[each]["accuracies"] for each in ENCODINGS))
    each = ", ".join(f"{value:+.2f}" for value in differences)
    lines.append(
        f"difference      {differences.mean():+.2f} +- {half_interval(differences):.2f}; of each draw {each}"
    )
    records.table("\n".join(lines))


def main():
    """Fit what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of fits")
    parser.add_argument("--list", action="store_true", help="print the table of what is there")
    parser.add_argument("--short", action="store_true", help="the order, in ten minutes")
    arguments = parser.parse_args()
    form, part = ("repro_images_short", 8) if arguments.short else ("repro_images", 1)
    records = Records(arguments.results, form, measuring=not arguments.list)
    loaded, lines = {}, []
    for name, recipe in recipes(part).items():
        loader, n_validation = SOURCES[recipe.source]
        n_validation //= part
        wanted = not arguments.only or name in arguments.only

        def measure(recipe=recipe, loader=loader, n_validation=n_validation):
            if recipe.source not in loaded:
                loaded[recipe.source] = loader(arguments.data)
                X, y = loaded[recipe.source]["train"]
                loaded[recipe.source]["train"] = X[: len(X) // part], y[: len(y) // part]
            with threadpool_limits(arguments.threads):
                for stage in recipe.stages:
                    stage.set_params(n_jobs=arguments.threads)
                found = measured(recipe, loaded[recipe.source], n_validation)
            return found | {"threads": arguments.threads}

        stored = records if wanted else Records(arguments.results, form, measuring=False)
        record = stored.once({"data": recipe.source, "model": name}, measure)
        if record is not None:
            percent = record["accuracy"]
            width = half_width(100 - percent, record.get("n_test", 10_000))
            lines.append(
                f"{recipe.source:6s} {name:51s} {percent:6.2f} +- {width:.2f} {record.get('lossless', '')!s:>8s}"
                f" {recipe.published:>10s} {record['n_features']:9d} {record['cpu_minutes']:8.1f}"
                f" {record['minutes']:8.1f} ({record['threads']})"
            )
    head = (
        "Accuracy in percent on all test images; CIFAR-10 as JPEG, published on the originals"
        f"{'; an eighth of the training images, and of the filters that are named' if arguments.short else ''}\n"
        f"{'data':6s} {'features':51s} {'ours':>14s} {'no JPEG':>8s} {'published':>10s} {'columns':>9s} {'CPU min':>8s} {'minutes':>8s} (threads)"
    )
    records.table("\n".join([head, *lines]))
    if not arguments.short:
        wanted = not arguments.list and (not arguments.only or FEW_NAME in arguments.only)
        compare_with_few_labels(arguments, loaded, wanted)


if __name__ == "__main__":
    main()
