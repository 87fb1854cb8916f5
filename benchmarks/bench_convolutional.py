"""Sparse codes of images and signals: seconds to an objective near the minimum, compared with sporco and alphacsc.

The image has normalized contrast, and random 9 x 9 patches of it are the filters. sporco solves by ADMM. Each solver
has its own borders: skae places codes where a filter lies inside the image, while images are periodic in sporco.
alphacsc supports only signals: its locally greedy coordinate descent encodes the concatenated lines of the image, by
windows of 64 samples; codes and objective are then the same. The minimal objective is that of a run several times as
long. One thread, CPU seconds; solvers take turns, and the fastest run counts.

    python benchmarks/bench_convolutional.py --data DIR [--repeats 3] [--only image signal]
"""

import argparse
import os
import time
import warnings

import numpy as np
import sporco.fft
from sporco.admm.cbpdn import ConvBPDN
from threadpoolctl import threadpool_limits

from skae.images import normalize_contrast, sample_patches
from skae.images._code_search import infer_maps
from skae.images._convolution import Convolution

SIDE, N_FILTERS, CROP, WINDOW = 9, 32, 128, 64
SHARES = (1e-2, 1e-3, 1e-4)
PASSES = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 640)


def objective_of(images, codes, convolution, filters, alpha):
    """Return the objective, in float64."""
    errors = images - convolution.sums(codes.astype(float), filters.astype(float))
    return 0.5 * float((errors**2).sum()) + alpha * float(np.abs(codes).sum(dtype=float))


def curve_of_skae(image, filters, alpha, size, last):
    """Return objective and seconds of runs of more and more passes, up to an objective of ``last``."""
    convolution, curve = Convolution((*image.shape, 1), size), []
    images = image[np.newaxis, :, :, np.newaxis]
    for max_iter in PASSES:
        start = time.process_time()
        codes, _ = infer_maps(images, convolution, filters, alpha, tol=0, max_iter=max_iter)
        seconds = time.process_time() - start
        curve.append((objective_of(images, codes, convolution, filters, alpha), seconds))
        if curve[-1][0] <= last:
            break
    return curve


def curve_of_sporco(image, filters, alpha, size, last):
    """Return the same of sporco, whose parameter rho adapts; its iterations take equal parts of the time."""
    dictionary = filters.reshape(-1, *size).transpose(1, 2, 0)
    options = {
        "MaxMainIter": 800 if last == 0 else 300,
        "RelStopTol": 1e-12,
        "AutoRho": {"Enabled": True},
    }
    solver = ConvBPDN(dictionary, image, alpha, ConvBPDN.Options(options))
    start = time.process_time()
    solver.solve()
    seconds = time.process_time() - start
    values = list(solver.getitstat().ObjFun)
    return list(zip(values, np.linspace(0, seconds, len(values) + 1)[1:]))


def curve_of_alphacsc(signal, filters, alpha, size, last):
    """Return the same of alphacsc, by runs to smaller and smaller tolerances."""
    from alphacsc.update_z_multi import update_z_multi

    convolution, curve = Convolution((*signal.shape, 1), size), []
    atoms = filters[:, np.newaxis].astype(float)
    X = signal[np.newaxis].astype(float)
    for tol in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
        start = time.process_time()
        options = {"solver": "lgcd", "positive": False, "solver_kwargs": {"tol": tol}}
        codes, _, _ = update_z_multi(X, atoms, alpha, **options)
        seconds = time.process_time() - start
        codes = codes.transpose(0, 2, 1).reshape(1, -1)
        images = X[:, :, :, np.newaxis]
        curve.append((objective_of(images, codes, convolution, filters, alpha), seconds))
        if curve[-1][0] <= last:
            break
    return curve


def compare(name, image, filters, size, solvers, repeats):
    """Print what each solver needs, for two weights of the penalty."""
    for alpha in (0.5, 0.2):
        best = {solver: np.full(len(SHARES), np.inf) for solver in solvers}
        least = {}
        for solver, curve in solvers.items():
            if solver == "alphacsc":
                least[solver] = least["skae"]
            else:
                least[solver] = min(value for value, _ in curve(image, filters, alpha, size, 0))
        for _ in range(repeats):
            for solver, curve in solvers.items():
                levels = [(1 + share) * least[solver] for share in SHARES]
                points = curve(image, filters, alpha, size, levels[-1])
                reached = [min((s for v, s in points if v <= e), default=np.inf) for e in levels]
                best[solver] = np.minimum(best[solver], reached)
        for solver, seconds in best.items():
            words = ", ".join(f"{s:.3f} s to {share:g}" for s, share in zip(seconds, SHARES))
            print(
                f"{name}, alpha {alpha}: {solver:8s} {words}; least {least[solver]:.3f}", flush=True
            )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["image", "signal"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sporco.fft.pyfftw_threads = 1
    with np.load(os.path.join(arguments.data, "natural_images.npz")) as file:
        image = file["camera"][100 : 100 + CROP, 150 : 150 + CROP] / 255.0
    image = normalize_contrast(image).astype(np.float32)
    signal = image.reshape(1, -1)
    kinds = (
        ("image", image, (SIDE, SIDE), {"skae": curve_of_skae, "sporco": curve_of_sporco}),
        ("signal", signal, (1, WINDOW), {"skae": curve_of_skae, "alphacsc": curve_of_alphacsc}),
    )
    with threadpool_limits(1):
        for name, values, size, solvers in kinds:
            if name not in arguments.only:
                continue
            filters = sample_patches([values], size, N_FILTERS, random_state=0)
            filters = np.ascontiguousarray(filters / np.linalg.norm(filters, axis=1, keepdims=True))
            compare(name, values, filters, size, solvers, arguments.repeats)


if __name__ == "__main__":
    main()
