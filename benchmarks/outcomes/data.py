"""The data sets of ``bench_outcomes.py``, as raw as users have them, and their splits."""

import os
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

BUNDLED = {"digits", "digits, folds", "digits, thirds", "breast cancer", "wine", "iris"}


@dataclass(frozen=True)
class Table:
    """Rows and labels.

    Attributes
    ----------
    X : ndarray or DataFrame
    y : ndarray of int
    sizes : tuple of (int or float, int or None)
        Training and test rows of a split, as ``train_test_split`` takes them.
    n_first : int, default=0
        How many rows the training rows are drawn from, where the others are the test rows; 0 draws both from all.
    peak : float, default=0
        The largest pixel; 0 for what is no image.
    n_real : int or None, default=None
        How many of the first columns are quantities, where the others are categories.
    categories : tuple of str, default=()
        Columns to be encoded.
    n_folds : int, default=0
        Instead of a split, that many folds of rows in their order, as ``cross_val_score`` takes them.
    """

    X: object
    y: np.ndarray
    sizes: tuple = (0.7, None)
    n_first: int = 0
    peak: float = 0.0
    n_real: int | None = None
    categories: tuple = ()
    n_folds: int = 0

    def encoder(self):
        """Return what makes numbers of the columns: categories one-hot, the others as they are."""
        if not self.categories:
            return "passthrough"
        one_hot = OneHotEncoder(handle_unknown="ignore")
        return ColumnTransformer(
            [("one_hot", one_hot, list(self.categories))],
            remainder="passthrough",
            sparse_threshold=0,
        )


def bundled(load, peak, folder, short, **options):
    """Return a set that comes with scikit-learn."""
    X, y = load(return_X_y=True)
    return Table(X, y, peak=peak, **options)


def mnist(n_train, n_test, peak, folder, short):
    """Return MNIST; training rows are drawn from the first 50,000."""
    with np.load(os.path.join(folder, "mnist.npz")) as file:
        X = np.concatenate([file["x_train"][:50_000], file["x_test"]])
        y = np.concatenate([file["y_train"][:50_000], file["y_test"]]).astype(int)
    if peak == 1:
        X = X.astype(np.float32) / 255
    if short:
        n_train, n_test = n_train // 3, 2000
    return Table(X, y, (n_train, n_test), 50_000, peak)


def olivetti(folder, short):
    """Return the faces, in bytes."""
    with np.load(os.path.join(folder, "olivetti.npz")) as file:
        return Table(file["x"], file["y"].astype(int), peak=255.0)


def covertype(n_train, n_test, folder, short):
    """Return the cover types; 10 quantities, then the two one-hot groups."""
    with np.load(os.path.join(folder, "covtype.npz")) as file:
        sizes = (n_train // 5, 2000) if short else (n_train, n_test)
        return Table(file["x"], file["y"].astype(int), sizes, n_real=10)


def mammography(folder, short):
    """Return the set with 1 for the 260 anomalies."""
    path = os.path.join(folder, "mammography.csv.gz")
    frame = pd.read_csv(path, header=None, quotechar="'", dtype=float)
    return Table(frame.iloc[:, :6].to_numpy(), (frame[6] == 1).to_numpy(int))


def adult(folder, short):
    """Return the census as a frame; '?' is a category; training rows are drawn from the original ones."""
    frame = pd.read_csv(os.path.join(folder, "adult.csv.gz"))
    y = (frame.pop("income") == ">50K").to_numpy(int)
    categories = tuple(name for name in frame if not pd.api.types.is_numeric_dtype(frame[name]))
    sizes = (2000, 2000) if short else (10_000, 10_000)
    return Table(frame, y, sizes, 32_561, categories=categories)


def reuters(folder, short):
    """Return the counts of 2,000 words, not sparse, and whether a text has the first topic."""
    with np.load(os.path.join(folder, "reuters.npz")) as file:
        parts = [
            sparse.csr_array(
                tuple(file[f"{name}_{part}"] for name in ("data", "indices", "indptr")),
                shape=(len(file[f"y_{part}"]), len(file["vocab"])),
            ).toarray()
            for part in ("train", "test")
        ]
        y = np.concatenate([file[f"y_{part}"][:, 0] for part in ("train", "test")]).astype(int)
    sizes = (1000, 1000) if short else (3000, 3000)
    return Table(np.concatenate(parts), y, sizes, len(parts[0]))


SETS = {
    "digits": partial(bundled, load_digits, 16.0),
    "digits, folds": partial(bundled, load_digits, 16.0, n_folds=5),
    "digits, thirds": partial(bundled, load_digits, 0.0, n_folds=3),
    "breast cancer": partial(bundled, load_breast_cancer, 0.0),
    "wine": partial(bundled, load_wine, 0.0),
    "iris": partial(bundled, load_iris, 0.0),
    "MNIST 0-255": partial(mnist, 3000, 5000, 255.0),
    "MNIST 0-1": partial(mnist, 3000, 5000, 1.0),
    "MNIST 10,000": partial(mnist, 10_000, 10_000, 1.0),
    "Olivetti": olivetti,
    "Covertype": partial(covertype, 10_000, 10_000),
    "Covertype 5k": partial(covertype, 5000, 5000),
    "Covertype 20k": partial(covertype, 20_000, 20_000),
    "mammography": mammography,
    "Adult": adult,
    "Reuters acq": reuters,
}


@lru_cache(maxsize=2)
def load(name, folder, short):
    """Return the ``Table`` of a name in ``SETS``."""
    return SETS[name](folder, short)


@lru_cache(maxsize=2)
def split(name, folder, short, seed):
    """Return X, X_test, y and y_test, drawn by ``seed`` with the shares of the classes."""
    table = load(name, folder, short)
    everything = np.arange(len(table.y))
    n_train, n_test = table.sizes
    if table.n_first:
        train = drawn(everything[: table.n_first], table.y, n_train, seed)
        test = drawn(everything[table.n_first :], table.y, n_test, seed)
    else:
        train, test = train_test_split(
            everything,
            train_size=n_train,
            test_size=n_test,
            stratify=table.y,
            random_state=seed,
        )
    X = table.X.iloc if isinstance(table.X, pd.DataFrame) else table.X
    return X[train], X[test], table.y[train], table.y[test]


def drawn(candidates, y, size, seed):
    """Return ``size`` of the candidates, with the shares of the classes; all of them if there are no more."""
    if size >= len(candidates):
        return candidates
    return train_test_split(candidates, train_size=size, stratify=y[candidates], random_state=seed)[
        0
    ]
