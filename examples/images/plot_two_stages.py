"""
Two stages of predictive sparse decomposition
=============================================

Digits that may be anywhere in a picture. Pixels say little about them, but convolutional features, which are pooled
over the whole picture, find them wherever they are. Both stages learn dictionaries of patches, and encoders that
predict their sparse codes (:class:`~skae.PSD`), without labels: the first one of the pictures, the second one of the
maps of the first one. The control is a single stage with as many features, of larger patches. On digits as small as
these it is as good as two stages; :doc:`/user_guide/images` says where a second stage helps. Sizes and ``alpha`` were
chosen on other digits and places than those of the figure. Prints accuracies, and the mean difference between two
stages and one with its standard error.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import PSD
from skae.images import ConvolutionalFeatures, ConvolutionalStack
from skae.plotting import FeatureMapDisplay

SIDE, N_SPLITS, N_LABELS = 16, 3, (50, 100, 300, 900)
digits, y = load_digits().images.astype(np.float32) / 16, load_digits().target


def placed(digits, rng):
    """Return pictures of ``SIDE`` x ``SIDE`` pixels, with a digit at a random place in each."""
    pictures = np.zeros((len(digits), SIDE, SIDE), np.float32)
    places = rng.integers(SIDE - 7, size=(len(digits), 2))
    for picture, digit, (top, left) in zip(pictures, digits, places):
        picture[top : top + 8, left : left + 8] = digit
    return pictures


# %%
def stage(psd, **options):
    """Return a stage of predicted sparse codes, with positive and negative parts apart."""
    psd.set_params(learning_rate_init=1e-3, max_iter=5)
    options |= {"encoder": "code", "rectification": "split", "n_patches": 20_000}
    return ConvolutionalFeatures(dictionary=psd, **options)


whole = {"pooling": "l2", "pool_grid": 1}  # roots of sums of squares over all positions
one = stage(PSD(128, alpha="2*auto"), patch_size=4, **whole)
first = stage(PSD(16, alpha="0.5*auto"), patch_size=3, pool_size=2, pool_stride=1)
second = stage(PSD(128, alpha="0.5*auto"), patch_size=2, **whole)
two = ConvolutionalStack([("first", first), ("second", second)])

# %%
# Features learn from 1000 pictures without labels, classifiers from the labeled ones.
scores = {name: [] for name in ("two stages", "one stage", "pixels, SVC", "pixels")}
for split in range(N_SPLITS):
    pictures = placed(digits, np.random.default_rng(split))
    train, test = train_test_split(np.arange(len(y)), train_size=1000, random_state=split)
    pixels = pictures.reshape(len(pictures), -1)
    inputs = {"pixels, SVC": pixels, "pixels": pixels}
    for name, features in {"two stages": two, "one stage": one}.items():
        features.set_params(random_state=split).fit(pictures[train])
        inputs[name] = features.transform(pictures)
    for name, found in scores.items():
        ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-1, 5, 13)))
        classifier, Z = SVC() if name.endswith("SVC") else ridge, inputs[name]
        for n in N_LABELS:
            few = [train[start : start + n] for start in range(0, 901 - n, n)][:5]
            found.append(
                np.mean([classifier.fit(Z[rows], y[rows]).score(Z[test], y[test]) for rows in few])
            )
scores = {name: 100 * np.reshape(found, (N_SPLITS, -1)) for name, found in scores.items()}

# %%
print(f"labels        {' '.join(f'{n:5d}' for n in N_LABELS)}")
for name, found in scores.items():
    print(f"{name:13s} {' '.join(f'{score:5.1f}' for score in found.mean(axis=0))}")
gain = scores["two stages"] - scores["one stage"]
errors = gain.std(axis=0, ddof=1) / np.sqrt(N_SPLITS)
print(f"two - one     {' '.join(f'{g:+5.1f}' for g in gain.mean(axis=0))}")
print(f"          +-  {' '.join(f'{error:5.1f}' for error in errors)}")

# %%
# What the stages make of a digit, without the pooling of the second one over the whole picture.
unpooled = clone(two).set_params(second__pool_grid=2, second__pool_size=1).fit(pictures[train])

figure, (left, right) = plt.subplots(
    1, 2, figsize=(13, 4.3), layout="constrained", width_ratios=(1, 1.5)
)
for name, found in scores.items():
    left.plot(N_LABELS, found.mean(axis=0), marker="o", label=name)
left.set(xscale="log", xlabel="labels", ylabel="right on held-out digits (%)")
left.set_xticks(N_LABELS, N_LABELS)
left.minorticks_off()
left.legend()
one, two, pixels = (
    scores[name][:, 2].mean() for name in ("one stage", "two stages", "pixels, SVC")
)
left.set_title(
    f"Digits anywhere, 300 labels: one stage {one:.0f}%, two {two:.0f}%, pixels {pixels:.0f}%"
)
FeatureMapDisplay.from_estimator(unpooled, pictures[test[0]], n_maps=6, ax=right)
right.set_title("A digit (top left) and its maps in both stages")
figure.savefig("two_stages.png")
print("saved two_stages.png")
