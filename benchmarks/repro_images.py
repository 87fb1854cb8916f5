"""CIFAR-10 and MNIST with convolutional features that are learned without labels, and a linear classifier.

CIFAR-10 is read from ``cifar10_jpeg.npz``: JPEG files of the pictures, of about 30 dB, while published figures are of the
originals; the test pictures are encoded without JPEG too. Each fit has its accuracy on all 10,000 test pictures, with the
95% interval, and its minutes of CPU and by the clock. The penalty of the classifier is chosen on the last fifth of the
training pictures.

    python benchmarks/repro_images.py --data DIR [--threads 2] [--only NAME ...] [--list]

Each fit is kept in ``repro_images.jsonl``, and skipped when the script is started again.
"""

import argparse
import io
import os
import time
from pathlib import Path

import numpy as np
from linear import LinearClassifier
from records import Records, half_width
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from skae import SparseCoder
from skae.images import ConvolutionalFeatures

RESULTS = Path(__file__).parent / "results"
PENALTIES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def load_cifar(folder):
    """Return pictures (n, 32, 32, 3) of 8 bits and labels; of the test pictures without JPEG too."""
    from PIL import Image

    data = {}
    with np.load(os.path.join(folder, "cifar10_jpeg.npz")) as file:
        for part in ("train", "test"):
            content, ends = file[f"bytes_{part}"], file[f"ends_{part}"]
            parts = np.split(content, ends[:-1])
            pictures = [np.asarray(Image.open(io.BytesIO(each.tobytes()))) for each in parts]
            data[part] = np.stack(pictures), file[f"y_{part}"].astype(np.int64)
    with np.load(os.path.join(folder, "cifar10.npz")) as file:
        planes = file["x_test"].reshape(-1, 3, 32, 32)
        data["lossless"] = planes.transpose(0, 2, 3, 1), file["y_test"].astype(np.int64)
    return data


def load_mnist(folder):
    """Return pictures (n, 28, 28) of 8 bits and labels."""
    with np.load(os.path.join(folder, "mnist.npz")) as file:
        return {
            part: (file[f"x_{part}"].reshape(-1, 28, 28), file[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        }


def omp(n_filters):
    """Return a dictionary of which each patch takes one atom (OMP-1)."""
    return SparseCoder(n_filters, algorithm="omp", n_nonzero_coefs=1, max_iter=10)


def recipes():
    """Return, by name: data, published accuracy, features, and whether those of mirrored pictures are added.

    That of MNIST is of PCANet.
    """
    triangle = {"patch_size": 6, "encoder": "triangle", "n_patches": 400_000}
    threshold = {"patch_size": 6, "encoder": "threshold", "n_patches": 400_000}

    def stage(*args, **options):
        return ConvolutionalFeatures(*args, random_state=0, **options)

    digits = {"patch_size": 7, "encoder": "threshold", "alpha": 0.5, "contrast": 0.3}
    digits |= {"whitening": None, "pooling": "l2", "pool_grid": 4}
    patches = {"dictionary": "patches"}
    return {
        "k-means 1600, triangle": ("cifar", "77.9", stage(1600, **triangle), False),
        "patches 1600, threshold": ("cifar", "79.1", stage(1600, **patches, **threshold), False),
        "OMP-1 1600, threshold": ("cifar", "79.4", stage(dictionary=omp(1600), **threshold), False),
        "k-means 4000, triangle": ("cifar", "79.6", stage(4000, **triangle), False),
        "patches 800, threshold, 3 x 3, mirrored": (
            "cifar",
            "",
            stage(800, alpha=0.5, contrast=0.1, pool_grid=3, **patches, **threshold),
            True,
        ),
        "patches 1600, threshold, 3 x 3, mirrored": (
            "cifar",
            "",
            stage(1600, alpha=0.5, contrast=0.1, pool_grid=3, **patches, **threshold),
            True,
        ),
        "patches 500, threshold, l2": ("mnist", "99.34", stage(500, **patches, **digits), False),
    }


def measured(features, mirror, data):
    """Return accuracy in percent, minutes, and what was chosen."""
    X, y = data["train"]
    clocks = time.process_time, time.perf_counter
    start = [clock() for clock in clocks]

    def encoded(pictures):
        Z = features.transform(pictures).astype(np.float32, copy=False)
        if mirror:
            for rows in gen_batches(len(Z), 1000):
                Z[rows] += features.transform(pictures[rows, :, ::-1])
        return Z

    features.fit(X)
    Z = encoded(X)
    middle = time.process_time()
    classifier = LinearClassifier(PENALTIES, len(X) // 5).fit(Z, y)
    pictures, labels = data["test"]
    accuracy = round(100 * classifier.score(encoded(pictures), labels), 2)
    cpu, wall = (clock() - begin for clock, begin in zip(clocks, start))
    record = {"accuracy": accuracy}
    if "lossless" in data:
        pictures, labels = data["lossless"]
        record["lossless"] = round(100 * classifier.score(encoded(pictures), labels), 2)
    return record | {
        "n_features": Z.shape[1],
        "penalty": classifier.penalty_,
        "validation": round(100 * classifier.validation_[classifier.penalty_], 2),
        "cpu_minutes": round(cpu / 60, 1),
        "cpu_minutes_of_features": round((middle - start[0]) / 60, 1),
        "minutes": round(wall / 60, 1),
    }


def main():
    """Fit what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of fits")
    parser.add_argument("--list", action="store_true", help="print the table of what is there")
    arguments = parser.parse_args()
    records = Records(arguments.results, "repro_images", measuring=not arguments.list)
    loaders, loaded, lines = {"cifar": load_cifar, "mnist": load_mnist}, {}, []
    for name, (source, published, features, mirror) in recipes().items():
        wanted = not arguments.only or name in arguments.only

        def measure(source=source, features=features, mirror=mirror):
            if source not in loaded:
                loaded[source] = loaders[source](arguments.data)
            with threadpool_limits(arguments.threads):
                features.set_params(n_jobs=arguments.threads)
                return measured(features, mirror, loaded[source]) | {"threads": arguments.threads}

        stored = records if wanted else Records(arguments.results, "repro_images", measuring=False)
        record = stored.once({"data": source, "model": name}, measure)
        if record is not None:
            percent = record["accuracy"]
            lines.append(
                f"{source:6s} {name:34s} {percent:6.2f} +- {half_width(100 - percent, 10_000):.2f}"
                f" {record.get('lossless', '')!s:>8s} {published:>10s} {record['n_features']:9d} {record['cpu_minutes']:8.1f}"
                f" {record['minutes']:8.1f} ({record['threads']})"
            )
    head = (
        "Accuracy in percent on 10,000 test pictures, all training pictures; CIFAR-10 as JPEG, published on the originals\n"
        f"{'data':6s} {'features':34s} {'ours':>14s} {'no JPEG':>8s} {'published':>10s} {'columns':>9s} {'CPU min':>8s} {'minutes':>8s} (threads)"
    )
    records.table("\n".join([head, *lines]))


if __name__ == "__main__":
    main()
