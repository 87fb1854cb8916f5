"""
Explaining away with the filters of an auto-encoder
===================================================

A contractive auto-encoder learns 256 filters of 8 x 8 patches of two photographs. The same filters then encode new
patches in two ways: by a soft threshold, where filters do not compete, and by sparse inference, where a filter that
explains a part of the patch suppresses those that would explain it again (Coates & Ng 2011). Prints the number of
active filters, the fraction of the patches that they explain, and the accuracy of a linear classifier that predicts
from the code which photograph a patch comes from.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.linear_model import RidgeClassifier

from skae import ContractiveAE, SparseCoder
from skae.images import sample_patches
from skae.plotting import ReconstructionDisplay

photographs = [image.mean(axis=2).astype(np.float32) / 255 for image in load_sample_images().images]


def patches(halves, n):
    """Return patches and the index of the photograph that each comes from."""
    parts = [sample_patches([half], (8, 8), n // 2, random_state=0) for half in halves]
    return np.concatenate(parts), np.repeat([0, 1], n // 2)


# %%
# Train on the left halves, test on the right ones.
X_train, y_train = patches([image[:, :320] for image in photographs], 8000)
X_test, y_test = patches([image[:, 320:] for image in photographs], 4000)
scale = X_train.std()
X_train, X_test = X_train / scale, X_test / scale
options = {"contraction": 0.1, "learning_rate_init": 3e-3, "max_iter": 20, "random_state": 0}
cae = ContractiveAE(256, **options).fit(X_train)


# %%
def measure(encoder, alpha):
    """Return nonzeros per code, fraction explained at the best scale, accuracy and reconstructions."""
    coder = SparseCoder.from_estimator(cae, alpha=alpha, transform_encoder=encoder, n_jobs=-1)
    H_train, H_test = coder.fit_transform(X_train), coder.transform(X_test)
    sums = H_test @ coder.components_
    sums *= np.vdot(sums, X_test) / np.vdot(sums, sums)
    share = 1 - np.sum((X_test - sums) ** 2) / np.sum(X_test**2)
    classifier = RidgeClassifier(10.0).fit(np.abs(H_train), y_train)
    accuracy = classifier.score(np.abs(H_test), y_test)
    return np.count_nonzero(H_test) / len(H_test), share, accuracy, sums


figure, axes = plt.subplot_mosaic(
    [["curve", "soft_threshold"], ["curve", "inference"]],
    figsize=(11, 3.8), layout="constrained", width_ratios=[1, 1.7],
)  # fmt: skip
print("code            alpha  nonzeros  explained  accuracy")
for encoder in ("soft_threshold", "inference"):
    alphas = (0.2, 0.5, 1.0, 2.0, 4.0)
    results = [measure(encoder, alpha) for alpha in alphas]
    for alpha, (nonzeros, share, accuracy, _) in zip(alphas, results):
        print(f"{encoder:14s} {alpha:6g} {nonzeros:9.1f} {share:10.3f} {accuracy:9.3f}")
    axes["curve"].plot(*zip(*(result[:2] for result in results)), "o-", label=encoder)
    # Show the one with about ten nonzeros, for patches of high contrast.
    nonzeros, share, _, sums = min(results, key=lambda result: abs(result[0] - 10))
    chosen = np.argsort(-X_test.std(axis=1))[:400:40]
    display = {"originals": X_test[chosen], "reconstructions": sums[chosen]}
    ReconstructionDisplay(**display, image_shape=(8, 8)).plot(ax=axes[encoder])
    axes[encoder].set_title(f"{encoder}: {nonzeros:.1f} filters explain {share:.0%} of a patch")
axes["curve"].set(xlabel="filters for a patch", ylabel="share of the patches that is explained")
axes["curve"].set_title("Inference explains more with fewer filters")
axes["curve"].legend()
figure.savefig("explaining_away.png")
print("saved explaining_away.png")
