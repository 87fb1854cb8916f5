"""
Convolutional features without labels
=====================================

Filters are learned on patches of all training digits. A linear classifier is then trained on the pooled codes with few
or many labels. Prints its accuracy, and that of a linear classifier and of a support vector machine on pixels. The
figure also shows filters of two color photographs: edges, gratings and patches of one color. Patches of 3 x 3 pixels
were chosen on these digits, so their accuracy is optimistic; that of larger ones is printed, too.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae.images import ConvolutionalFeatures, ConvolutionalStack
from skae.plotting import FilterDisplay

digits = load_digits()
images, y = digits.images, digits.target
N_LABELS, N_SPLITS = (50, 100, 300, 1000), 3

# %%
# One stage of 3 x 3 patches, and two stages, of which the upper one takes the pooled maps of the lower one as input.
one = ConvolutionalFeatures(200, patch_size=3)
two = ConvolutionalStack(
    [
        ("low", ConvolutionalFeatures(64, patch_size=3, pool_size=2, pool_stride=1)),
        ("high", ConvolutionalFeatures(200, patch_size=2)),
    ],
    all_stages=True,
)

# %%
# Features learn from all 1097 training digits, classifiers from the labeled ones.
stages = {"one stage": one, "two stages": two}
stages |= {f"patches of {k} x {k}": ConvolutionalFeatures(200, patch_size=k) for k in (4, 5)}
scores = {name: [] for name in ("pixels", "pixels, SVC", *stages)}
for split in range(N_SPLITS):
    train, test = train_test_split(np.arange(len(y)), test_size=700, stratify=y, random_state=split)
    pixels = images.reshape(len(images), -1)
    inputs = {"pixels": pixels, "pixels, SVC": pixels}
    for name, features in stages.items():
        inputs[name] = features.set_params(random_state=split).fit(images[train]).transform(images)
    for name, Z in inputs.items():
        ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-1, 4, 11)))
        classifier = SVC() if name.endswith("SVC") else ridge
        for n_labels in N_LABELS:
            few, _ = train_test_split(
                train, train_size=n_labels, stratify=y[train], random_state=split
            )
            classifier.fit(Z[few], y[few])
            scores[name].append(classifier.score(Z[test], y[test]))

# %%
print(f"labels             {' '.join(f'{n:6d}' for n in N_LABELS)}")
for name, values in scores.items():
    scores[name] = 100 * np.reshape(values, (N_SPLITS, -1)).mean(axis=0)
    print(f"{name:18s} {' '.join(f'{score:6.2f}' for score in scores[name])}")

# %%
photographs = [image[:400, :600] for image in load_sample_images().images]
color = ConvolutionalFeatures(144, patch_size=8, random_state=0).fit(np.stack(photographs))
one.fit(images)

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
shown = {
    "one stage": "codes of one stage, linear",
    "two stages": "codes of two stages, linear",
    "pixels, SVC": "pixels, SVC",
    "pixels": "pixels, linear",
}
for name, label in shown.items():
    axes[0].plot(N_LABELS, scores[name], marker="o", label=label)
axes[0].set(xscale="log", xlabel="labels", ylabel="right on held-out digits (%)")
axes[0].set_title("Pooled codes need fewer labels than pixels")
axes[0].set_xticks(N_LABELS, N_LABELS)
axes[0].minorticks_off()
axes[0].legend()
for ax, features, n_filters, name in zip(
    axes[1:], (one, color), (49, 144), ("digits, 3 x 3", "photographs, 8 x 8")
):
    shape = features.filters_.shape[1:]
    FilterDisplay(filters=features.filters_[:n_filters], image_shape=shape).plot(ax=ax)
    ax.set_title(f"Filters of {name}")
figure.savefig("image_features.png")
print("saved image_features.png")
