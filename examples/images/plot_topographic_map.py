"""
A topographic map of edges
==========================

Predictive sparse decomposition of whitened patches of two photographs, with the sparsity of overlapping windows on a 12
x 12 torus of units. Each unit becomes an edge detector, and orientation, position and frequency change slowly between
neighbors (Kavukcuoglu et al. 2009, figure 1). Prints how much the orientations of neighbors differ, and those of random
pairs (``edge_angles.py`` in this folder).
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from edge_angles import differences, orientations
from sklearn.datasets import load_sample_images

from skae import PSD
from skae.images import ZCA, sample_patches
from skae.plotting import FilterDisplay

SIDE, MAP = 10, (12, 12)

photographs = [image.mean(axis=2).astype(np.float32) / 255 for image in load_sample_images().images]
patches = sample_patches(photographs, (SIDE, SIDE), 40_000, random_state=0)
white = ZCA(epsilon=1.0).fit_transform(patches)
white /= white.std()

# %%
psd = PSD(
    MAP[0] * MAP[1], topology=MAP, pool_size=5, alpha=1.0, encoder="tanh", max_iter=20, gap_tol=1e-2,
    max_inference_iter=50, learning_rate_init=6e-3, learning_rate="cosine", random_state=0, verbose=5,
).fit(white)  # fmt: skip


# %%
near, chance = differences(orientations(psd.components_, SIDE).reshape(MAP))
print(f"orientation differs by {near:.1f} degrees between neighbors")
print(f"               and by {chance:.1f} degrees between random pairs")

# %%
figure, ax = plt.subplots(figsize=(7, 7), layout="constrained")
FilterDisplay.from_estimator(psd, ax=ax)
ax.set_title(
    f"Edges of neighboring atoms differ by {near:.0f} degrees, of random pairs by {chance:.0f}"
)
figure.savefig("topographic_map.png")
print("saved topographic_map.png")
