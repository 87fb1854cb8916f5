"""Time of lasso codes in skae, SPAMS and scikit-learn, at equal objective.

Patches of natural images, mean removed and scaled to norm 1; the dictionary is learned on some of them.
For each size and number of nonzeros the codes are found by skae (``auto``), SPAMS (``lasso``) and
scikit-learn (``sparse_encode`` with lasso_cd and lasso_lars, on a part of the rows, scaled up) with the same
number of threads. Calls alternate; medians are shown, and the largest excess of the mean objective over SPAMS's. Seconds
are those of the CPU with one thread, and of the clock with more. SPAMS is optional: ``pip install spams-bin``.

    python benchmarks/bench_sparse.py --data DIR [--threads 2] [--repeats 5] [--quick] [--results benchmarks/results]

DIR (or SKAE_DATA) holds natural_images.npz; without it scikit-learn's sample images are used.
"""

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from records import Records
from sklearn.datasets import load_sample_images
from sklearn.decomposition import sparse_encode
from sklearn.feature_extraction.image import extract_patches_2d
from threadpoolctl import threadpool_limits

from skae import SparseCoder

TOLERANCE = 1e-5
RESULTS = Path(__file__).parent / "results"


def load_images(folder):
    """Return gray images in [0, 1]."""
    if not folder:
        return [image.mean(axis=2) / 255 for image in load_sample_images().images]
    with np.load(os.path.join(folder, "natural_images.npz")) as file:
        arrays = [file[name] for name in file.files]
    return [image / 255 for array in arrays for image in (array if array.ndim == 3 else [array])]


def patches(images, side, n_patches):
    """Return float32 patches of mean 0 and norm 1."""
    share = n_patches // len(images) + 1
    X = np.concatenate(
        [
            extract_patches_2d(image, (side, side), max_patches=share, random_state=seed)
            for seed, image in enumerate(images)
        ]
    )[:n_patches].reshape(n_patches, -1)
    X -= X.mean(axis=1, keepdims=True)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-3)
    return X.astype(np.float32)


def learned_atoms(X, n_atoms, threads):
    """Return float32 atoms of norm 1."""
    coder = SparseCoder(n_atoms, alpha=0.1, max_iter=5, n_jobs=threads, random_state=0)
    atoms = coder.fit(X[:20_000]).components_
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def alpha_for(X, atoms, n_nonzero):
    """Return the alpha at which codes have about ``n_nonzero`` nonzeros, by bisection."""
    low, high = 1e-4, 1.0
    for _ in range(14):
        alpha = np.sqrt(low * high)
        codes = SparseCoder(dictionary=atoms, alpha=alpha, sparse_output=True).fit_transform(
            X[:500]
        )
        low, high = (low, alpha) if codes.nnz < 500 * n_nonzero else (alpha, high)
    return float(alpha)


def objective(X, atoms, alpha, codes):
    """Return the mean lasso objective, in float64."""
    total = 0.0
    for start in range(0, len(X), 5000):
        rows = slice(start, start + 5000)
        part = codes[rows].astype(np.float64)
        errors = X[rows] - part @ atoms.astype(np.float64)
        total += 0.5 * np.sum(np.square(errors)) + alpha * np.abs(part).sum()
    return total / len(X)


def contestants(X, atoms, alpha, threads):
    """Return functions that find the codes, and the share of the rows that each takes."""
    coder = SparseCoder(
        dictionary=atoms, alpha=alpha, gap_tol=TOLERANCE, n_jobs=threads, sparse_output=True
    ).fit(X[:2])
    calls = {"skae": (lambda: coder.transform(X), 1)}
    try:
        import spams
    except ImportError:
        pass
    else:
        columns, by_column = np.asfortranarray(X.T), np.asfortranarray(atoms.T)
        options = {"lambda1": alpha, "mode": 2, "numThreads": threads}
        calls["SPAMS"] = (lambda: spams.lasso(columns, D=by_column, **options).T.tocsr(), 1)
    part = X[: max(len(X) // 50, 500)]
    for algorithm in ("lasso_cd", "lasso_lars"):

        def encode(algorithm=algorithm):
            return sparse_encode(
                part, atoms, algorithm=algorithm, alpha=alpha, n_jobs=threads, max_iter=1000
            )

        calls[f"sklearn {algorithm[6:]}"] = (encode, len(part) / len(X))
    return calls


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="10,000 rows only")
    parser.add_argument("--results", default=RESULTS)
    arguments = parser.parse_args()
    # scikit-learn's coordinate descent says that 1000 iterations do not converge.
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    images = load_images(arguments.data)
    kind = "CPU seconds" if arguments.threads == 1 else "seconds"
    lines = [
        f"threads {arguments.threads}, float32, skae gap_tol {TOLERANCE:g}, medians of {kind}",
        "patch atoms    rows nonzeros  alpha    skae   SPAMS  ratio  sklearn   ratio  objective / SPAMS's - 1",
    ]
    with threadpool_limits(arguments.threads):
        for side, n_atoms in ((12, 256), (16, 1024)):
            everything = patches(images, side, 10_000 if arguments.quick else 100_000)
            atoms = learned_atoms(everything, n_atoms, arguments.threads)
            for n_rows in (10_000,) if arguments.quick else (10_000, 100_000):
                X = everything[:n_rows]
                for n_nonzero in (6, 20, 35):
                    alpha = alpha_for(X, atoms, n_nonzero)
                    lines.append(row(side, X, atoms, n_nonzero, alpha, arguments))
                    print(lines[-1], flush=True)
    Records(arguments.results, "bench_sparse").table("\n".join(lines))


def row(side, X, atoms, n_nonzero, alpha, arguments):
    """Time the contestants and return a line."""
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    calls = contestants(X, atoms, alpha, arguments.threads)
    times = {name: [] for name in calls}
    results = {}
    for repeat in range(arguments.repeats):
        for name, (call, share) in calls.items():
            if name.startswith("sklearn") and repeat:
                continue
            start = clock()
            codes = call()
            times[name].append((clock() - start) / share)
            if not repeat and share == 1:
                results[name] = objective(X, atoms, alpha, codes)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians["skae"]
    spams = medians.get("SPAMS", np.nan)
    peer = min(value for name, value in medians.items() if name.startswith("sklearn"))
    excess = results["skae"] / results["SPAMS"] - 1 if "SPAMS" in results else np.nan
    return (
        f"{side:2d}x{side:<2d} {len(atoms):5d} {len(X):7d} {n_nonzero:8d} {alpha:6.3f} {ours:7.3f} "
        f"{spams:7.3f} {spams / ours:6.2f} {peer:8.2f} {peer / ours:7.1f} {excess:12.1e}"
    )


if __name__ == "__main__":
    main()
