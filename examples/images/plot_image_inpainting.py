"""
Filling in the missing pixels of a photograph
=============================================

Half of the pixels of a photograph are missing. Convolutional sparse coding explains the whole photograph by 16 filters
at all positions, and learns them from the pixels that are left: in turn, it takes a step of learning, and replaces the
missing pixels by those of its reconstruction, while ``alpha`` falls. The controls are the harmonic function through the
known pixels, which is the smoothest one, and the same alternation with a dictionary of overlapping patches, as in
:doc:`/gallery/images/plot_image_denoising`. Patches are better in decibels, since they average 64 estimates of each
pixel, and have many more codes. Prints the peak signal-to-noise ratio of all, and the number of codes for each pixel.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import spsolve
from sklearn.datasets import load_sample_image
from sklearn.feature_extraction.image import extract_patches_2d

from skae import SparseCoder
from skae.images import ConvolutionalPSD, denoise, sample_patches
from skae.plotting import FilterDisplay

original = load_sample_image("china.jpg").mean(axis=2).astype(np.float32)[60:172, 130:274] / 255
known = np.random.default_rng(0).random(original.shape) > 0.5


def psnr(image):
    """Peak signal-to-noise ratio in decibels."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - original) ** 2))


def laplacian(n):
    """Return second differences of ``n`` values, with no slope at the ends."""
    main = np.full(n, 2.0)
    main[[0, -1]] = 1
    return diags_array([-np.ones(n - 1), main, -np.ones(n - 1)], offsets=[-1, 0, 1])


# %%
# The smoothest image: the Laplacian of the missing pixels is 0.
height, width = original.shape
curvature = kron(laplacian(height), eye_array(width)) + kron(eye_array(height), laplacian(width))
curvature, missing = curvature.tocsc(), ~known.ravel()
smooth = original.copy()
right = -curvature[missing][:, ~missing] @ original[known]
smooth[~known] = spsolve(curvature[missing][:, missing], right)

# %%
# Convolutional codes of the image without its slow changes.
psd = ConvolutionalPSD(
    16, patch_size=9, beta=0.1, transform_algorithm="lasso", gap_tol=1e-3, batch_size=1,
    learning_rate="constant", learning_rate_init=0.01, random_state=0,
)  # fmt: skip
slow, filled = gaussian_filter(smooth, 4), smooth
for alpha in np.geomspace(0.3, 0.03, 25):
    details = (filled - slow)[np.newaxis]
    codes = psd.set_params(alpha=alpha).partial_fit(details).transform(details)
    estimate = slow + psd.inverse_transform(codes).reshape(original.shape)
    filled = np.where(known, original, estimate)

# %%
# The same with patches of 8 x 8.
coder, by_patches = SparseCoder(128, tol=0.1, warm_start=True, random_state=0), smooth
for k, alpha in enumerate(np.geomspace(0.3, 0.03, 12)):
    patches = sample_patches([by_patches], (8, 8), 8000, random_state=k)
    coder.set_params(alpha=alpha).fit(patches)
    by_patches = np.where(known, original, denoise(by_patches, coder, (8, 8)))
every = extract_patches_2d(by_patches, (8, 8)).reshape(-1, 64)
every -= every.mean(axis=1, keepdims=True)

# %%
n_codes, n_patch_codes = (
    np.count_nonzero(each) / original.size for each in (codes, coder.transform(every))
)
results = {
    "smoothest": (smooth, ""),
    "convolutional codes": (filled, f", {n_codes:.1f} codes a pixel"),
    "patches": (by_patches, f", {n_patch_codes:.0f} codes a pixel"),
}
print(f"half missing         {psnr(original * known):5.2f} dB")
for name, (image, words) in results.items():
    print(f"{name:20s} {psnr(image):5.2f} dB{words}")

# %%
figure, axes = plt.subplots(2, 3, figsize=(11, 6.2), layout="constrained")
damaged = np.where(known, original, np.nan)
shown = {"half of the pixels": damaged, "original": original}
shown |= {f"{name}: {psnr(image):.1f} dB{words}": image for name, (image, words) in results.items()}
for ax, (title, image) in zip(axes.flat, shown.items()):
    ax.imshow(image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=11)
    ax.set_axis_off()
FilterDisplay.from_estimator(psd, ax=axes[1, 2])
axes[1, 2].set_title("the 16 filters", fontsize=11)
figure.suptitle(
    "16 filters, learned from half of the pixels, fill in the others (dB: more is better)",
    weight="bold",
)
figure.savefig("image_inpainting.png")
print("saved image_inpainting.png")
