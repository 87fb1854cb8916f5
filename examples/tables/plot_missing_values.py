"""
Missing values: a denoising auto-encoder and scikit-learn's imputers
====================================================================

A fraction of the cells of two tables is removed at random and filled in again. A denoising auto-encoder is trained
to do just that: it accepts NaN in ``fit``, and ``impute`` returns the table without gaps. The error is that of the
removed cells, in standard deviations of their columns, so filling in the mean of the column has an error of 1.

Top: the error as more and more cells are missing. If columns depend on each other linearly, as those of breast cancer
do, IterativeImputer, a regression for each column, is ahead of nearest neighbors; ``impute`` adds what is not linear.
Bottom: digits with half of the pixels missing, and how each method fills them in.
"""

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAE, Imputer

warnings.simplefilter("ignore", ConvergenceWarning)  # of IterativeImputer, which gets 5 rounds
TABLES = {"wine": load_wine().data, "breast cancer": load_breast_cancer().data}
SHARES = [0.1, 0.2, 0.3, 0.5]


def by_auto_encoder(X):
    """Return X without gaps, whatever the scales of its columns."""
    return DenoisingAE(random_state=0).fit(X).impute(X)


def by(imputer):
    """Return a function that fills in standardized columns with an imputer of scikit-learn."""

    def fill(X):
        scaler = StandardScaler().fit(X)
        return scaler.inverse_transform(imputer.fit_transform(scaler.transform(X)))

    return fill


METHODS = {
    "SimpleImputer (means)": by(SimpleImputer(keep_empty_features=True)),
    "KNNImputer": by(KNNImputer(keep_empty_features=True)),
    "IterativeImputer": by(IterativeImputer(max_iter=5, tol=0.01, random_state=0)),
    "DenoisingAE.impute": by_auto_encoder,
}


def with_gaps(X, share, seed=0):
    """Return a copy of X with NaN in a fraction of its cells, and the mask of these cells."""
    gaps = np.random.default_rng(seed).random(X.shape) < share
    return np.where(gaps, np.nan, X), gaps


# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for (name, X), ax in zip(TABLES.items(), axes):
    deviations, errors = X.std(axis=0), {method: [] for method in METHODS}
    for share in SHARES:
        X_gaps, gaps = with_gaps(X, share)
        for method, fill in METHODS.items():
            off = ((fill(X_gaps) - X) / deviations)[gaps]
            errors[method].append(np.sqrt(np.mean(off**2)))
    print(f"{name}, error at {SHARES}")
    for method, values in errors.items():
        print(f"  {method:24s}" + " ".join(f"{value:.3f}" for value in values))
        strong = method == "DenoisingAE.impute"
        style = {"color": "C3", "linewidth": 3, "zorder": 3} if strong else {"alpha": 0.8}
        ax.plot([100 * s for s in SHARES], values, marker="o", label=method, **style)
    ax.set(title=f"table: {name}", xlabel="missing cells, %", ylim=(0, 1.15))
    ax.set_ylabel("error, standard deviations")
    ax.legend(loc="lower right", fontsize="small")
figure.suptitle("Error of the cells that are filled in (lower is better)", weight="bold")
figure.savefig("missing_values.png")

# %%
# ``Imputer`` has ``impute`` of an auto-encoder as its ``transform``: in a pipeline a classifier sees the filled table.
X, y = load_breast_cancer(return_X_y=True)
X_gaps, _ = with_gaps(X, 0.3)
imputers = [SimpleImputer(), KNNImputer(), IterativeImputer(max_iter=5, tol=0.01, random_state=0)]
for imputer in (*imputers, Imputer(random_state=0)):
    pipeline = make_pipeline(StandardScaler(), imputer, LogisticRegression(max_iter=1000))
    accuracy = cross_val_score(pipeline, X_gaps, y).mean()
    print(f"{type(imputer).__name__:24s}accuracy of a linear classifier {accuracy:.3f}")

# %%
digits = load_digits().data
X_gaps, gaps = with_gaps(digits, 0.5)
rows = {"given": X_gaps}
for method, fill in METHODS.items():
    rows[method] = fill(X_gaps)
rows["true"] = digits
figure, axes = plt.subplots(len(rows), 10, figsize=(9, 5), layout="constrained")
for line, (title, X) in zip(axes, rows.items()):
    error = (
        ""
        if title in ("given", "true")
        else f"\nerror {np.sqrt(np.mean((X - digits)[gaps] ** 2)):.1f}"
    )
    for ax, image in zip(line, X):
        ax.imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[], facecolor="lightsteelblue")
    line[0].set_ylabel(title.split(" ")[0] + error, rotation=0, ha="right", va="center")
figure.suptitle("Digits: half of the pixels are missing (blue)", weight="bold")
figure.savefig("missing_pixels.png")
print("saved missing_values.png and missing_pixels.png")
