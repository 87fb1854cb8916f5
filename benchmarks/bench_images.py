"""Images per second through one stage of 1600 filters of 6 x 6 x 3, compared with the same arithmetic in PyTorch.

PyTorch uses the fitted parameters of skae and computes the same float32 features: filters as a convolution or as a
product with unfolded patches, means and deviations of patches as box averages, the triangle or the threshold, and the
means of quadrants. The fastest method and batch size of several are used. Both take turns. The fraction of sgemm counts
only products of patches with filters (and with the whitening, for the triangle).

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


def sgemm_rate(threads, clock):
    """Return GFLOP/s of a large product."""
    A = np.random.default_rng(0).standard_normal((3000, 3000)).astype(np.float32)
    with threadpool_limits(threads):
        return 2 * 3000**3 / min(seconds(clock, np.matmul, A, A) for _ in range(5)) / 1e9


def seconds(clock, function, *arguments):
    """Return the seconds that ``function(*arguments)`` takes."""
    start = clock()
    function(*arguments)
    return clock() - start


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
    peak = sgemm_rate(arguments.threads, clock)
    print(f"{len(X)} images, {arguments.threads} threads; sgemm of 3000 x 3000: {peak:.0f} GFLOP/s")
    for encoder in ("threshold", "triangle"):
        features = ConvolutionalFeatures(
            N_FILTERS, dictionary="patches", encoder=encoder, random_state=0
        )
        features.set_params(n_jobs=arguments.threads, n_patches=20_000).fit(X)
        peer = TorchFeatures(features)
        few = X[:64]
        ours = features.transform(few)
        difference = np.abs(ours - peer(few, "unfold", 4)).max() / ours.max()
        ways = [(name, size) for name in ("unfold", "convolution") for size in BATCHES]
        way = min((min(seconds(clock, peer, few, *each) for _ in range(3)), each) for each in ways)[
            1
        ]
        times = {"skae": [], "PyTorch": []}
        for _ in range(arguments.repeats):
            times["skae"].append(seconds(clock, features.transform, X))
            times["PyTorch"].append(seconds(clock, peer, X, *way))
        rates = {name: len(X) / min(each) for name, each in times.items()}
        columns = N_FILTERS + (3 * SIDE**2 if encoder == "triangle" else 0)
        share = rates["skae"] * 729 * 2 * 3 * SIDE**2 * columns / 1e9 / peak
        print(
            f"{encoder:10s} skae {rates['skae']:6.0f} images/s, {100 * share:.0f}% of sgemm; PyTorch "
            f"{rates['PyTorch']:6.0f} {way}; {rates['skae'] / rates['PyTorch']:.2f} times; "
            f"largest difference {difference:.1e} of the largest feature",
            flush=True,
        )


if __name__ == "__main__":
    main()
