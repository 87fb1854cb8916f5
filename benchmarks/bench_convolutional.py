"""Sparse codes of whole pictures: seconds to an objective within a share of the least one, beside ADMM of sporco.

A picture with normalized contrast, random 9 x 9 patches of it as filters. Each solver has the borders of its own: here codes
stand where a filter is whole in the picture, in sporco pictures are periodic; the least objective of each is that of a run
several times as long. One thread, seconds of CPU.

    python benchmarks/bench_convolutional.py --data DIR
"""

import argparse
import os
import time

import numpy as np
from sporco.admm.cbpdn import ConvBPDN
from threadpoolctl import threadpool_limits

from skae.images import normalize_contrast, sample_patches
from skae.images._convolution import Convolution, infer_maps

SIDE, N_FILTERS, CROP = 9, 32, 128
SHARES = (1e-2, 1e-3)


def objectives_of_skae(picture, filters, alpha, max_iter):
    """Return the objective after numbers of iterations, and the seconds of each run."""
    convolution, values, seconds = Convolution((*picture.shape, 1), (SIDE, SIDE)), [], []
    pictures = picture[np.newaxis, :, :, np.newaxis]
    for n_iter in (*(n for n in (20, 40, 80, 160, 320) if n < max_iter), max_iter):
        start = time.process_time()
        codes, _ = infer_maps(pictures, convolution, filters, alpha, tol=0, max_iter=n_iter)
        seconds.append(time.process_time() - start)
        errors = pictures - convolution.sums(codes, filters)
        values.append(0.5 * float((errors**2).sum()) + alpha * float(np.abs(codes).sum()))
    return values, seconds


def objectives_of_sporco(picture, filters, alpha, max_iter):
    """Return the same of sporco, whose parameter rho adapts."""
    dictionary = filters.reshape(-1, SIDE, SIDE).transpose(1, 2, 0)
    options = ConvBPDN.Options(
        {"MaxMainIter": max_iter, "RelStopTol": 1e-12, "AutoRho": {"Enabled": True}}
    )
    solver = ConvBPDN(dictionary, picture, alpha, options)
    start = time.process_time()
    solver.solve()
    seconds = time.process_time() - start
    values = list(solver.getitstat().ObjFun)
    return values, list(np.linspace(0, seconds, len(values) + 1)[1:])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    arguments = parser.parse_args()
    with np.load(os.path.join(arguments.data, "natural_images.npz")) as file:
        image = file["camera"][100 : 100 + CROP, 150 : 150 + CROP] / 255.0
    picture = normalize_contrast(image).astype(np.float32)
    filters = sample_patches([picture], (SIDE, SIDE), N_FILTERS, random_state=0)
    filters = np.ascontiguousarray(filters / np.linalg.norm(filters, axis=1, keepdims=True))
    solvers = {"skae": objectives_of_skae, "sporco": objectives_of_sporco}
    with threadpool_limits(1):
        for alpha in (0.5, 0.2):
            for name, solver in solvers.items():
                least = min(solver(picture, filters, alpha, 3000 if name == "skae" else 800)[0])
                values, seconds = solver(picture, filters, alpha, 640 if name == "skae" else 300)
                reached = [
                    min(
                        (s for v, s in zip(values, seconds) if v <= (1 + share) * least),
                        default=np.inf,
                    )
                    for share in SHARES
                ]
                words = ", ".join(f"{s:.2f} s to {share:g}" for s, share in zip(reached, SHARES))
                print(f"alpha {alpha}: {name:7s} {words}; least {least:.3f}", flush=True)


if __name__ == "__main__":
    main()
