"""Fifteen tangents of every sample, compared with scipy's svds and PyTorch's batched singular value decompositions.

Two encoders, 784-1000 and 784-1000-1000, are trained briefly. Each method has the loosest setting with which all of its
tangent spaces are within ``ANGLE`` of those of np.linalg.svd in float64. The peers need the Jacobians, so two ratios
are shown, without and with the time to form them. One process, the same samples, the same number of threads; peers are
timed on fewer samples. Times are medians, per sample.

    python benchmarks/bench_tangents.py --data DIR [--samples 1000 2000 4000 8000] [--repeats 3]

DIR (or SKAE_DATA) holds mnist.npz; without it random data are used. PyTorch is optional.
"""

import argparse
import os
import statistics
import time
from functools import partial

import numpy as np
from bench_autoencoder import load, sgemm_rate
from bench_deep import torch_with
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_info, threadpool_limits

from skae import ContractiveAE, StackedAE
from skae.manifold import tangent_basis

ANGLE = 1e-3  # radians
K = 15


def encoders(X):
    """Return a trained encoder of one layer, and one of two."""
    options = {"contraction": 1.0, "loss": "bernoulli", "batch_size": 100, "max_iter": 5}
    layer = ContractiveAE(1000, **options)
    return {
        "784-1000": ContractiveAE(1000, random_state=0, **options).fit(X),
        "784-1000-1000": StackedAE([("low", layer), ("high", layer)], random_state=0).fit(X),
    }


def largest_angle(bases, exact):
    """Return the largest principal angle between spaces, in radians."""
    rest = exact - (exact @ bases.transpose(0, 2, 1)) @ bases
    return float(np.arcsin(min(np.linalg.norm(rest, 2, axis=(1, 2)).max(), 1)))


def scipy_svds(jacobians, tol):
    """Return the leading right singular vectors of each matrix, one after the other."""
    return np.stack([svds(j, k=K, tol=tol, random_state=0)[2] for j in jacobians])


def torch_svd(jacobians, _):
    """Return them by the full decomposition of all matrices at once."""
    import torch

    return torch.linalg.svd(torch.from_numpy(jacobians), full_matrices=False)[2][:, :K].numpy()


def torch_lowrank(jacobians, n_iter):
    """Return them by the randomized decomposition of all matrices at once."""
    import torch

    torch.manual_seed(0)
    v = torch.svd_lowrank(torch.from_numpy(jacobians), q=2 * K, niter=n_iter)[2]
    return v[:, :, :K].transpose(1, 2).numpy()


TOLS = [5e-2, 2e-2, 1e-2, 5e-3, 2e-3, 1e-3]
# Settings from the loosest to the most exact.
PEERS = {
    "scipy svds": (scipy_svds, [1e-1, 1e-2, 1e-3, 0]),
    "torch svd_lowrank": (torch_lowrank, [2, 4, 8, 12, 16, 24, 32]),
    "torch linalg.svd": (torch_svd, [None]),
}


def seconds(repeats, function, *arguments, **options):
    """Return the median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments, **options)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def loosest(function, settings, exact):
    """Return the first setting that is accurate enough, or the last, and its angle."""
    for setting in settings:
        angle = largest_angle(function(setting).astype(float), exact)
        if angle < ANGLE:
            break
    return setting, angle


def compare(name, model, X, arguments):
    """Print the table of one encoder."""
    sample = X[:: len(X) // 64][:64]
    jacobians = model.jacobian(sample)
    forming = 1000 * seconds(arguments.repeats, model.jacobian, sample) / len(sample)
    _, values, exact = np.linalg.svd(jacobians.astype(float), full_matrices=False)
    exact = exact[:, :K]
    gap = (1 - values[:, K] / values[:, K - 1]).min()
    print(f"{name}: smallest gap 1 - s_{K + 1} / s_{K} {gap:.3f}, Jacobians take {forming:.3f} ms")
    tol, angle = loosest(lambda tol: tangent_basis(model, sample, K, tol=tol).basis, TOLS, exact)
    for n_samples in arguments.samples:
        took = seconds(arguments.repeats, tangent_basis, model, X[:n_samples], K, tol=tol)
        own = 1000 * took / n_samples
        text = f"{n_samples} samples"
        print(f"  skae {text:15s} {own:9.3f} ms  angle {angle:.0e}  setting {tol}", flush=True)
    for peer, (function, settings) in PEERS.items():
        if peer.startswith("torch") and torch_with(arguments.threads) is None:
            continue
        setting, angle = loosest(partial(function, jacobians), settings, exact)
        few = jacobians[: 8 if peer == "torch linalg.svd" else 64]
        took = 1000 * seconds(arguments.repeats, function, few, setting) / len(few)
        print(
            f"  {peer:20s} {took:9.3f} ms  angle {angle:.0e}  setting {setting}: skae faster by {took / own:.1f}, "
            f"with Jacobians by {(took + forming) / own:.1f}",
            flush=True,
        )


def main():
    """Train the encoders and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, nargs="*", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        X = load(arguments.data, max(arguments.samples))
        pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
        print(
            f"{K} tangents, float32, threads: {', '.join(pools)}; sgemm {sgemm_rate():.0f} GFLOP/s"
        )
        for name, model in encoders(X).items():
            compare(name, model, X, arguments)


if __name__ == "__main__":
    main()
