"""
Two-dimensional codes of digits: a deep auto-encoder and PCA
============================================================

A stack of auto-encoders reduces the 8 x 8 digits to two dimensions (Hinton & Salakhutdinov 2006, figure 3). Its
layers are trained one after the other and then all together. It is compared with the first two principal components.
Neither uses labels. Prints how accurately nearest neighbors in the plane predict the class of held-out digits, and the
squared error of the reconstructions from two dimensions.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoEncoder, StackedAE
from skae.plotting import CodeDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=500, random_state=0, stratify=y
)

# %%
# The code is linear, so it can spread over the plane.
options = {"loss": "bernoulli", "batch_size": 32, "learning_rate_init": 3e-3, "max_iter": 40}
stack = StackedAE(
    [
        ("wide", AutoEncoder(200, **options)),
        ("middle", AutoEncoder(100, **options)),
        ("narrow", AutoEncoder(30, **options)),
        ("plane", AutoEncoder(2, activation="identity", **options)),
    ],
    fine_tune="reconstruction",
    batch_size=32,
    learning_rate_init=3e-3,
    max_iter=150,
    random_state=0,
)

# %%
models = {"PCA": PCA(2), "deep auto-encoder": stack}
figure, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
for ax, (name, model) in zip(axes, models.items()):
    codes = model.fit(X_train).transform(X_train)
    test_codes = model.transform(X_test)
    neighbors = KNeighborsClassifier(15).fit(codes, y_train)
    accuracy = neighbors.score(test_codes, y_test)
    error = np.sum((X_test - model.inverse_transform(test_codes)) ** 2, axis=1).mean()
    print(f"{name:18s} accuracy of 15 neighbors {accuracy:.3f}, squared error a digit {error:.2f}")
    CodeDisplay.from_estimator(model, X_train, y_train, ax=ax)
    ax.get_legend().remove()
    for digit in range(10):
        ax.text(
            *np.median(codes[y_train == digit], axis=0), digit, fontsize=15, weight="bold",
            ha="center", va="center", bbox={"fc": "white", "alpha": 0.7, "lw": 0, "pad": 1.5},
        )  # fmt: skip
    title = f"{name}: neighbors are right for {accuracy:.0%} of new digits"
    ax.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")
figure.savefig("deep_codes.png")
print("saved deep_codes.png")
