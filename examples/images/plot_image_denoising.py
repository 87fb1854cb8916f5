"""
Denoising a photograph with a learned dictionary
================================================

Every 8 x 8 patch of a noisy image is replaced by its sparse approximation from 256 atoms, which are learned on the
noisy patches themselves. Prints the peak signal-to-noise ratio, that of scikit-learn's dictionary learning with
orthogonal matching pursuit, and the CPU seconds of both; in the first run on a machine, those of skae include
compilation.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d

from skae import SparseCoder
from skae.images import denoise, sample_patches

SIDE, SIGMA = (8, 8), 0.1

original = load_sample_image("china.jpg").mean(axis=2).astype(np.float32)[50:250, 60:360] / 255
rng = np.random.default_rng(0)
noisy = original + SIGMA * rng.standard_normal(original.shape).astype(np.float32)


def psnr(image):
    """Peak signal-to-noise ratio in decibels."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - original) ** 2))


# %%
# Learn from patches of the noisy image; the threshold is set by the noise.
start = time.process_time()
patches = sample_patches([noisy], SIDE, 10_000, random_state=0)
coder = SparseCoder(256, alpha=1.8 * SIGMA, max_iter=10, tol=1e-2, n_jobs=-1, random_state=0).fit(
    patches
)
clean = denoise(noisy, coder, SIDE)
ours = time.process_time() - start

# %%
# The same with scikit-learn, as in its own example.
start = time.process_time()
peer = MiniBatchDictionaryLearning(
    256, alpha=1.8 * SIGMA, max_iter=5, random_state=0, transform_algorithm="omp",
    transform_n_nonzero_coefs=2,
).fit(patches)  # fmt: skip
every = extract_patches_2d(noisy, SIDE).reshape(-1, 64)
means = every.mean(axis=1, keepdims=True)
estimates = peer.transform(every - means) @ peer.components_ + means
peer_clean = reconstruct_from_patches_2d(estimates.reshape(-1, *SIDE), noisy.shape)
theirs = time.process_time() - start

print(f"noisy         {psnr(noisy):6.2f} dB")
print(f"scikit-learn  {psnr(peer_clean):6.2f} dB  {theirs:6.1f} s of CPU")
print(f"skae          {psnr(clean):6.2f} dB  {ours:6.1f} s of CPU")

# %%
images = {
    "noisy": noisy,
    f"scikit-learn, {theirs:.0f} s of CPU": peer_clean,
    f"skae, {ours:.0f} s of CPU": clean,
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.3), layout="constrained")
for ax, (name, image) in zip(axes, images.items()):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"{name}: {psnr(image):.1f} dB")
    ax.set_axis_off()
figure.suptitle(
    "A dictionary of its own patches cleans a photograph (dB: more is better)", weight="bold"
)
figure.savefig("image_denoising.png")
print("saved image_denoising.png")
