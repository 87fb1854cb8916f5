"""How similar learned filters are to shifted copies of each other: learned on patches, and convolutionally.

The data are crops of natural images, whitened and with normalized contrast. The measure is, for each filter, the
largest correlation with another one over all shifts at which at least half of the filters overlap, divided by their
norms. The table has means over filters, also for random filters.

    python benchmarks/conv_filters.py --data DIR [--epochs 5]
"""

import argparse
import os
import time

import numpy as np
from threadpoolctl import threadpool_limits

from skae import SparseCoder
from skae.images import ConvolutionalPSD, normalize_contrast, sample_patches

SIDE, N_FILTERS, CROP, ALPHA = 9, 32, 25, 0.5


def repetition(filters):
    """Return the mean over filters (n, height, width) of the largest correlation with another one, over shifts."""
    n, height, width = filters.shape
    largest = np.zeros(n)
    for down in range(-(height // 2), height // 2 + 1):
        for across in range(-(width // 2), width // 2 + 1):
            if (height - abs(down)) * (width - abs(across)) * 2 < height * width:
                continue
            a = filters[:, max(down, 0) : height + down, max(across, 0) : width + across]
            b = filters[:, max(-down, 0) : height - down, max(-across, 0) : width - across]
            whole = np.linalg.norm(filters.reshape(n, -1), axis=1)
            a, b = (part.reshape(n, -1) / whole[:, np.newaxis] for part in (a, b))
            likeness = np.abs(a @ b.T)
            np.fill_diagonal(likeness, 0)
            largest = np.maximum(largest, likeness.max(axis=1))
    return largest.mean()


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--crops", type=int, default=150)
    arguments = parser.parse_args()
    with np.load(os.path.join(arguments.data, "natural_images.npz")) as file:
        images = [file[name] for name in file.files]
    images = list(images[0]) if len(images) == 1 else images
    images = [normalize_contrast(image / 255.0).astype(np.float32) for image in images]
    crops = sample_patches(images, (CROP, CROP), arguments.crops, random_state=0)
    crops = crops.reshape(-1, CROP, CROP)
    patches = sample_patches(list(crops), (SIDE, SIDE), 20_000, random_state=0)
    options = {"alpha": ALPHA, "max_iter": arguments.epochs, "random_state": 0}
    steps = {"learning_rate_init": 5e-3, "learning_rate": "constant"}
    with threadpool_limits(1):
        start = time.process_time()
        coder = SparseCoder(N_FILTERS, **options).fit(patches)
        middle = time.process_time()
        psd = ConvolutionalPSD(N_FILTERS, patch_size=SIDE, beta=0.5, **steps, **options).fit(crops)
        end = time.process_time()
    noise = np.random.default_rng(0).standard_normal((N_FILTERS, SIDE, SIDE))
    print("mean of the largest correlation with another filter over shifts; seconds of CPU")
    print(f"random         {repetition(noise):.3f}")
    print(
        f"patches        {repetition(coder.components_.reshape(-1, SIDE, SIDE)):.3f}  {middle - start:.0f}"
    )
    print(f"convolutional  {repetition(psd.filters_[..., 0]):.3f}  {end - middle:.0f}")


if __name__ == "__main__":
    main()
