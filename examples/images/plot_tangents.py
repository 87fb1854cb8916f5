"""
Tangents of digits
==================

A contractive auto-encoder learns the manifold of the digits: near each digit, its code varies along few directions, the
tangents of the manifold. Moving a digit along them gives another digit of the same kind. The baseline is local PCA, the
principal components of a digit's neighbors, which are estimated for each digit on its own. The same tangents then train
a classifier with few labels (Rifai et al. 2011). Prints how smooth the tangents are, and accuracies.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skae import ContractiveAE, ManifoldTangentClassifier
from skae.manifold import LocalPCA
from skae.plotting import TangentDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
options = {"loss": "bernoulli", "batch_size": 64, "learning_rate_init": 3e-3, "max_iter": 200}
cae = ContractiveAE(200, contraction=1.0, **options, random_state=0).fit(X)


def likeness(tangents):
    """Return the correlation of neighboring pixels in tangents."""
    images = tangents.reshape(-1, 8, 8) - tangents.mean(axis=-1).reshape(-1, 1, 1)
    down, across = images[:, 1:] * images[:, :-1], images[:, :, 1:] * images[:, :, :-1]
    return (down.mean() + across.mean()) / (2 * np.mean(images**2))


# %%
# Six digits, their tangents, and moves along the first one; on the right those of local PCA.
digits = X[[np.flatnonzero(y == digit)[0] for digit in (0, 2, 3, 5, 7, 9)]]
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, name, model in zip(axes, ("contractive", "local PCA"), (cae, LocalPCA(30).fit(X))):
    display = TangentDisplay.from_estimator(model, digits, steps=(-1.5, -0.75, 0.75, 1.5), ax=ax)
    words = f"{name}: neighboring pixels of tangents correlate by {likeness(display.basis):.2f}"
    print(words)
    ax.set_xlabel(words)
figure.suptitle(
    "Tangents of a contractive auto-encoder are smoother than those of local PCA", weight="bold"
)
figure.savefig("tangents.png")

# %%
# With 50 labels, the tangents add what the labels do not tell.
test = np.arange(len(y)) >= 1000
few = {"batch_size": 10, "max_iter": 100, "learning_rate_init": 3e-3, "random_state": 0}
penalties, accuracies = (0.0, 1.0, 3.0, 10.0), []
print("tangent penalty   test accuracy with 50 labels, mean of 5 draws")
for penalty in penalties:
    scores, tangents = [], {"n_tangents": 10} if penalty else {}
    for draw in range(5):
        rng = np.random.default_rng(draw)
        labeled = [
            rng.choice(np.flatnonzero((y == c) & ~test), 5, replace=False) for c in range(10)
        ]
        labeled = np.concatenate(labeled)
        mtc = ManifoldTangentClassifier(
            cae, prefit=True, tangent_penalty=penalty, **tangents, **few
        )
        scores.append(mtc.fit(X[labeled], y[labeled]).score(X[test], y[test]))
    print(f"{penalty:15.1f}   {np.mean(scores):.3f}")
    accuracies.append(100 * np.array(scores))

# %%
means = np.mean(accuracies, axis=1)
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(accuracies, color="0.8", label=["five draws of labels"] + 4 * [None])
ax.plot(means, "o-", color="C3", linewidth=3, label="mean")
ax.set_xticks(range(len(penalties)), ["none", *penalties[1:]])
ax.set(xlabel="tangent penalty", ylabel="right on held-out digits (%)")
ax.set_title(f"With 50 labels, tangents add {means.max() - means[0]:.0f} points")
ax.legend()
figure.savefig("tangents_accuracy.png")
print("saved tangents.png and tangents_accuracy.png")
