"""
Filters that are shared by positions 7 apart
============================================

Sparse codes of pieces of two photographs, with two filters at each position. Filters differ between positions: only
positions 7 down or across share them, so there are two maps of 7 x 7 filters. Without pooling, neighboring positions
have unrelated orientations. With the sparsity of windows of 5 x 5 positions, orientations change slowly: the tiles are
topographic maps, whose opposite borders meet, and features pooled over neighboring positions are those of similar
filters (Le et al. 2010; Gregor & LeCun 2010). Of each model the figure has the filters of one map, and their
orientations as colors. Prints how much the orientations of neighbors differ, and those of random pairs
(``edge_angles.py`` in this folder).
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from edge_angles import differences, orientations
from sklearn.datasets import load_sample_images

from skae.images import ConvolutionalPSD, normalize_contrast, sample_patches
from skae.plotting import FilterDisplay

SIDE, TILE, N_FILTERS = 9, 7, 2


def whitened(image):
    """Return an image with equal power at all frequencies but the highest ones, which are noise."""
    frequencies = np.meshgrid(*map(np.fft.fftfreq, image.shape), indexing="ij")
    radius = np.hypot(*frequencies)
    white = np.fft.ifft2(np.fft.fft2(image) * radius * np.exp(-((radius / 0.35) ** 4))).real
    return normalize_contrast(white / white.std(), sigma=8, floor=0.3).astype(np.float32)


photographs = [whitened(image.mean(axis=2)) for image in load_sample_images().images]
pieces = sample_patches(photographs, (32, 32), 400, random_state=0).reshape(-1, 32, 32)

# %%
options = {"patch_size": SIDE, "tiling": TILE, "beta": 0.3, "gap_tol": 3e-2, "batch_size": 8}
options |= {"learning_rate_init": 1e-2, "learning_rate": "cosine", "max_iter": 8, "random_state": 0}
tiled = ConvolutionalPSD(N_FILTERS, alpha=0.3, **options).fit(pieces)
topographic = ConvolutionalPSD(N_FILTERS, alpha=0.6, pool_size=5, **options).fit(pieces)

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 9.4), layout="constrained")
for row, name, model in zip(axes, ("without pooling", "with pooling"), (tiled, topographic)):
    angles = orientations(model.components_, SIDE).reshape(TILE, TILE, N_FILTERS)
    near, chance = differences(angles)
    words = f"{name}: neighbors differ by {near:.0f} degrees"
    print(f"{words}, random pairs by {chance:.0f}")
    filters = model.components_.reshape(TILE, TILE, N_FILTERS, -1)[:, :, 0]
    display = FilterDisplay(
        filters=filters.reshape(TILE**2, -1), image_shape=(SIDE, SIDE), map_shape=(TILE, TILE)
    )
    display.plot(ax=row[0]).ax_.set_title("Filters " + name)
    row[1].imshow(angles[:, :, 0], cmap="hsv", vmin=-np.pi, vmax=np.pi)
    row[1].set_title(words)
    row[1].set_axis_off()
figure.suptitle("With pooling, neighboring filters have like orientations (colors)", weight="bold")
figure.savefig("tiled_filters.png")
print("saved tiled_filters.png")
