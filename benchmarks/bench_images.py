"""Images per second through one stage of 1600 filters of 6 x 6 x 3, compared with the same arithmetic in PyTorch.

PyTorch uses the fitted parameters of skae and computes the same float32 features: filters as a convolution or as a
product with unfolded patches, means and deviations of patches as box averages, the triangle or the threshold, and the
means of quadrants. The fastest method and batch size of several are used. Both take turns. The fractions of sgemm count
only products of patches with filters (and with the whitening, for the triangle). The first is of the rate of large
square matrices, the second of that of the product for one image, which has few columns to sum over.

    python benchmarks/bench_images.py [--data DIR] [--images 10000] [--threads 2] [--repeats 3] [--cpu]

Without data the images are noise, which takes the same time.
"""

import argparse
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits

from skae.images import ConvolutionalFeatures

N_FILTERS, SIDE = 1600, 6
POSITIONS = (33 - SIDE) ** 2  # of a patch in an image
BATCHES = 1, 4, 16


def images_of(folder, n_images):
    """Return images (n, 32, 32, 3) of 8 bits."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 256, (n_images, 32, 32, 3), dtype=np.uint8)
    with np.load(os.path.join(folder, "cifar10.npz")) as file:
        planes = file["x_train"][:n_images].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


class TorchFeatures:
    """The features of a fitted stage, in PyTorch."""

    def __init__(self, features):
        self.alpha, self.encoder, self.floor = features.alpha, features.encoder, features.floor_
        whitening, mean = features.zca_.whitening_, features.zca_.mean_
        atoms = features.components_
        if self.encoder == "threshold":
            atoms = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
        filters = atoms @ whitening
        if self.encoder == "triangle":
            filters = np.vstack([filters, whitening])
        self.sums = torch.from_numpy(filters.sum(axis=1)).view(1, -1, 1, 1)
        self.offsets = torch.from_numpy(filters @ mean).view(1, -1, 1, 1)
        kernels = filters.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
        self.kernels = torch.from_numpy(np.ascontiguousarray(kernels))
        self.norms = torch.from_numpy((atoms**2).sum(axis=1)).view(1, -1, 1, 1)

    def __call__(self, images, way, batch):
        """Return features of images (n, 32, 32, 3), in the order of skae."""
        with torch.inference_mode():
            parts = [self._batch(part, way) for part in torch.from_numpy(images).split(batch)]
            return torch.cat(parts).numpy()

    def _products(self, x, way):
        if way == "unfold":
            products = torch.matmul(self.kernels.flatten(1), F.unfold(x, SIDE))
            return products.unflatten(2, (33 - SIDE, 33 - SIDE))
        return F.conv2d(x, self.kernels)

    def _batch(self, images, way):
        x = images.permute(0, 3, 1, 2).float() / 255
        x = x - x.mean(
            dim=(1, 2, 3), keepdim=True
        )  # patches lose their means: for the precision of variances
        means = F.avg_pool2d(x, SIDE, 1).mean(dim=1, keepdim=True)
        squares = F.avg_pool2d(x * x, SIDE, 1).mean(dim=1, keepdim=True)
        scales = torch.rsqrt((squares - means**2).clamp_(min=0) + self.floor)
        products = self._products(x, way)
        products.sub_(means * self.sums).mul_(scales).sub_(self.offsets)
        if self.encoder == "triangle":
            return torch.cat(quadrants(self._triangle(products)), dim=1)
        above = quadrants(F.relu(products - self.alpha))
        below = quadrants(products.neg_().sub_(self.alpha).relu_())
        return torch.cat([part for both in zip(above, below) for part in both], dim=1)

    def _triangle(self, products):
        patches = products[:, N_FILTERS:]
        squares = patches.square().sum(dim=1, keepdim=True)
        distances = products[:, :N_FILTERS].mul_(-2).add_(self.norms).add_(squares)
        distances = distances.clamp_(min=0).sqrt_()
        return F.relu(distances.mean(dim=1, keepdim=True) - distances)


def quadrants(maps):
    """Return the means of the quadrants of maps (n, n_maps, height, width)."""
    half = maps.shape[2] // 2 + 1
    return [
        maps[:, :, rows, columns].mean(dim=(2, 3))
        for rows in (slice(half), slice(half, None))
        for columns in (slice(half), slice(half, None))
    ]


def sgemm_rate(clock, threads, n_rows, n_inner, n_columns):
    """Return GFLOP/s of products of this shape, each by ``threads`` threads."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n_rows, n_inner)).astype(np.float32)
    B = rng.standard_normal((n_inner, n_columns)).astype(np.float32)
    out = np.empty((n_rows, n_columns), np.float32)
    flop = 2 * n_rows * n_inner * n_columns
    with threadpool_limits(threads):
        times = [seconds(clock, np.matmul, A, B, out) for _ in range(max(int(5e10 / flop), 3))]
    return flop / min(times) / 1e9


def seconds(clock, function, *arguments):
    """Return the seconds that ``function(*arguments)`` takes."""
    start = clock()
    function(*arguments)
    return clock() - start


def compare(encoder, X, threads, repeats, clock):
    """Print the rates of a stage with this encoder."""
    features = ConvolutionalFeatures(
        N_FILTERS, dictionary="patches", encoder=encoder, random_state=0
    )
    features.set_params(n_jobs=threads, n_patches=20_000).fit(X)
    peer, few = TorchFeatures(features), X[:64]
    ours = features.transform(few)
    difference = np.abs(ours - peer(few, "unfold", 4)).max() / ours.max()
    ways = [(name, size) for name in ("unfold", "convolution") for size in BATCHES]
    way = min((min(seconds(clock, peer, few, *each) for _ in range(3)), each) for each in ways)[1]
    # The 1 at the end of each patch is for what the whitening subtracts.
    shape = POSITIONS, 3 * SIDE**2 + 1, N_FILTERS + (3 * SIDE**2 if encoder == "triangle" else 0)
    rates = {"large": [], "same": [], "skae": [], "PyTorch": []}
    for _ in range(repeats):
        rates["large"].append(sgemm_rate(clock, threads, 3000, 3000, 3000))
        # Each thread has images of its own.
        rates["same"].append(threads * sgemm_rate(clock, 1, *shape))
        rates["skae"].append(len(X) / seconds(clock, features.transform, X))
        rates["PyTorch"].append(len(X) / seconds(clock, peer, X, *way))
    large, same, skae, pytorch = map(max, rates.values())
    products = skae * POSITIONS * 2 * 3 * SIDE**2 * shape[2] / 1e9
    print(
        f"{encoder:10s} skae {skae:6.0f} images/s, PyTorch {pytorch:6.0f} {way}; {skae / pytorch:.2f} times; "
        f"largest difference {difference:.1e} of the largest feature\n"
        f"           products of skae {products:.0f} GFLOP/s: {100 * products / large:.0f}% of sgemm of 3000 x 3000 "
        f"({large:.0f}), {100 * products / same:.0f}% of sgemm of {' x '.join(map(str, shape))} ({same:.0f})",
        flush=True,
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--cpu", action="store_true", help="seconds of CPU: for one thread, while others work"
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu else time.perf_counter
    torch.set_num_threads(arguments.threads)
    X = images_of(arguments.data, arguments.images)
    print(f"{len(X)} images, {arguments.threads} threads")
    for encoder in ("threshold", "triangle"):
        compare(encoder, X, arguments.threads, arguments.repeats, clock)


if __name__ == "__main__":
    main()
