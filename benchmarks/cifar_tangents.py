"""Tangents of color images: a contractive auto-encoder beside local PCA and PCA on CIFAR-10 (Rifai et al., NIPS 2011).

A small move of an image, by translation, rotation or zoom, is a direction in which real images vary. The table has
the fraction of its squared length that lies in the space of an image's first tangents, mean over 500 test images;
the moves are differences of half a pixel (rotation and zoom: at the border). Tangents of the auto-encoder are singular
vectors of the Jacobian of its code, those of local PCA principal components of an image's neighbors; PCA has the same
ones for all images. All learn from the first 9000 images of the first training batch. The contraction and the
number of neighbors are chosen by the mean fraction in 30 tangents on 200 of the others.

    python benchmarks/cifar_tangents.py --data DIR [--threads 1]

DIR (or SKAE_DATA) has cifar10.npz. Each row is kept in ``cifar_tangents.jsonl``, and skipped when the script is started
again. ``cifar_tangents.png`` shows four test images with the first tangents of the two.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from records import Records
from scipy.ndimage import affine_transform
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from skae import ContractiveAE
from skae.manifold import LocalPCA, tangent_basis
from skae.plotting import TangentDisplay

RESULTS = Path(__file__).parent / "results"
SHAPE = (32, 32, 3)
N_TRAIN, N_VALIDATION, N_TEST = 9000, 200, 500
COUNTS = (5, 10, 30)
SETTINGS = {
    "contractive": [{"contraction": value} for value in (1.0, 3.0, 10.0)],
    "local PCA": [{"n_neighbors": count} for count in (31, 100, 300)],
    "PCA": [{}],
}
SHOWN = (4, 7, 13, 20)  # test images


def load(folder):
    """Return training, validation and test images with values in [0, 1], one per row."""
    with np.load(os.path.join(folder, "cifar10.npz")) as file:
        planes = [file[part].reshape(-1, 3, 32, 32) for part in ("x_train", "x_test")]
    X, test = ((each.transpose(0, 2, 3, 1).reshape(len(each), -1) / 255) for each in planes)
    X, test = X.astype(np.float32), test.astype(np.float32)
    return X[:N_TRAIN], X[N_TRAIN : N_TRAIN + N_VALIDATION], test[:N_TEST]


def moved(image, *, shift=(0, 0), angle=0.0, zoom=1.0):
    """Return the image after a move around its center."""
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    center = (np.array(SHAPE) - 1) / 2
    offset = center - matrix @ center - np.array([*shift, 0])
    return affine_transform(image, matrix, offset, order=1, mode="nearest")


def moves(X):
    """Return, for each kind of move, the directions in which it takes the images X."""
    half, at_border = 0.5, 0.5 / 16
    kinds = {
        "down": ({"shift": (half, 0)}, {"shift": (-half, 0)}),
        "right": ({"shift": (0, half)}, {"shift": (0, -half)}),
        "rotation": ({"angle": at_border}, {"angle": -at_border}),
        "zoom": ({"zoom": 1 + at_border}, {"zoom": 1 - at_border}),
    }
    images = X.reshape(-1, *SHAPE)
    return {
        kind: np.stack([(moved(x, **there) - moved(x, **back)).ravel() for x in images])
        for kind, (there, back) in kinds.items()
    }


def fitted(name, setting, X):
    """Return the model of a row of the table."""
    if name == "contractive":
        return ContractiveAE(random_state=0, **setting).fit(X)
    return (LocalPCA if name == "local PCA" else PCA)(**setting).fit(X)


def basis(model, X):
    """Return orthonormal tangents of each image: array of shape (n_images, n_tangents, n_features)."""
    if isinstance(model, PCA):
        components = model.components_[: COUNTS[-1]]
        return np.broadcast_to(components, (len(X), *components.shape))
    return tangent_basis(model, X, n_tangents=COUNTS[-1]).basis


def fractions(model, X):
    """Return the mean fraction of each move that lies in so many tangents: {count: {kind: fraction}}."""
    tangents, directions = basis(model, X), moves(X)
    result = {count: {} for count in COUNTS}
    for kind, direction in directions.items():
        squares = np.einsum("nkd,nd->nk", tangents, direction) ** 2
        squares /= np.sum(direction**2, axis=1, keepdims=True)
        for count in COUNTS:
            result[count][kind] = round(float(squares[:, :count].sum(axis=1).mean()), 4)
    return result


def draw(models, X, path):
    """Save images beside their tangents."""
    figure, axes = plt.subplots(1, len(models), figsize=(12, 3.6), layout="constrained")
    for ax, (name, model) in zip(axes, models.items()):
        TangentDisplay.from_estimator(
            model, X[list(SHOWN)], steps=(-10, -5, 5, 10), image_shape=SHAPE, ax=ax
        )
        ax.set_title(name)
    figure.savefig(path, dpi=120, bbox_inches="tight")


def measured(records, name, train, validation, test):
    """Return the row of the setting that is best on the validation images."""

    def measure(setting):
        model = fitted(name, setting, train)
        mean = float(np.mean(list(fractions(model, validation)[COUNTS[-1]].values())))
        return {"validation": round(mean, 4), "test": fractions(model, test)}

    settings = [{"model": name, "setting": setting} for setting in SETTINGS[name]]
    rows = [records.once(key, partial(measure, key["setting"])) for key in settings]
    return max(rows, key=lambda row: row["validation"])


def lines(rows):
    """Yield the lines of the table."""
    yield f"CIFAR-10, {N_TRAIN} images: percent of the squared length of small moves that lies in an image's tangents"
    yield "model        tangents    down   right  rotation    zoom   setting"
    for row in rows:
        setting = " ".join(f"{key} {value}" for key, value in row["setting"].items())
        for count, kinds in row["test"].items():
            down, right, rotation, zoom = (100 * fraction for fraction in kinds.values())
            yield (
                f"{row['model']:12s} {count:>8}  {down:6.1f}  {right:6.1f}  {rotation:8.1f}  {zoom:6.1f}   {setting}"
            )


def main():
    """Measure what is missing, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    train, validation, test = load(options.data)
    records = Records(options.results, "cifar_tangents")
    with threadpool_limits(options.threads):
        rows = [measured(records, name, train, validation, test) for name in SETTINGS]
        records.table("\n".join(lines(rows)))
        models = {row["model"]: fitted(row["model"], row["setting"], train) for row in rows[:2]}
        draw(models, test, options.results / "cifar_tangents.png")


if __name__ == "__main__":
    main()
