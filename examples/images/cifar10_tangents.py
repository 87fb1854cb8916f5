"""
CIFAR-10: tangents of color images
==================================

Along the tangents of the data, an image becomes a similar one. A contractive auto-encoder has one map for all images,
whose tangents are compared with those of local PCA, the principal components of an image's neighbors (Rifai et al.
2011). Prints how much of a small move to the right lies in 30 tangents. The gallery does not run it, since it downloads
the images. With the first of their files it printed 18.8 and 17.7%, after 56 CPU seconds; :doc:`/reproductions` has the
picture, other moves and PCA.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_openml

from skae import ContractiveAE
from skae.manifold import LocalPCA, tangent_basis
from skae.plotting import TangentDisplay

X = fetch_openml("CIFAR_10", version=1, as_frame=False).data[:10_000].astype(np.float32) / 255
# Rows have a plane of pixels for each color.
X = X.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(len(X), -1)
train, test = X[:9000], X[9000:9300]

# %%
models = {
    "contractive": ContractiveAE(contraction=3.0, random_state=0).fit(train),
    "local PCA": LocalPCA(300).fit(train),
}
moves = np.gradient(test.reshape(-1, 32, 32, 3), axis=2).reshape(test.shape)
figure, axes = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
for ax, (name, model) in zip(axes, models.items()):
    basis = tangent_basis(model, test, n_tangents=30).basis
    inside = np.einsum("nkd,nd->nk", basis, moves)
    share = 100 * np.mean(np.sum(inside**2, axis=1) / np.sum(moves**2, axis=1))
    print(f"{name}: {share:.1f}% of a move to the right lies in 30 tangents")
    TangentDisplay.from_estimator(
        model, test[[4, 7, 13, 20]], steps=(-10, -5, 5, 10), image_shape=(32, 32, 3), ax=ax
    )
    ax.set_title(f"{name}: {share:.1f}% of a move to the right")
figure.savefig("cifar10_tangents.png")
