"""Time until dictionary learning reaches the objective of SPAMS, compared with SPAMS and scikit-learn.

10,000 patches of natural images, 12 x 12, mean 0 and norm 1; 256 atoms, alpha 0.15, batches of 256, the same number of
threads (scikit-learn: processes of its own would only slow it). SPAMS (``trainDL``) and scikit-learn run 5 epochs
(scikit-learn in float64, where its inner solver converges). skae runs epoch by epoch until the objective of its
dictionary is at most SPAMS's. Objectives are those of exact codes on all patches, in float64, and are not part of the
times.

    python benchmarks/bench_dictionary.py --data DIR [--threads 2] [--repeats 3]
"""

import argparse
import os
import statistics
import time
import warnings

import numpy as np
from bench_sparse import load_images, objective, patches
from sklearn.decomposition import MiniBatchDictionaryLearning
from threadpoolctl import threadpool_limits

from skae import SparseCoder

N_ATOMS, ALPHA, BATCH, EPOCHS = 256, 0.15, 256, 5


def quality(X, atoms):
    """Return the mean objective of exact codes."""
    coder = SparseCoder(dictionary=atoms, alpha=ALPHA, gap_tol=1e-6, sparse_output=True)
    return objective(X, atoms, ALPHA, coder.fit_transform(X))


def skae(X, threads, target, seed):
    """Return seconds, epochs and objective when the target is reached (or after 30 epochs)."""
    coder = SparseCoder(N_ATOMS, alpha=ALPHA, batch_size=BATCH, n_jobs=threads, random_state=seed)
    seconds, epoch, value = 0.0, 0, np.inf
    while value > target and epoch < 30:
        epoch += 1
        start = time.perf_counter()
        coder.partial_fit(X)
        seconds += time.perf_counter() - start
        value = quality(X, coder.components_)
    return seconds, epoch, value


def spams_learning(X, threads, seed):
    """Return seconds and objective."""
    import spams

    columns = np.asfortranarray(X.T)
    options = {"lambda1": ALPHA, "batchsize": BATCH, "numThreads": threads, "verbose": False}
    chosen = np.random.default_rng(seed).choice(len(X), N_ATOMS, replace=False)
    first = np.asfortranarray(columns[:, chosen])
    start = time.perf_counter()
    atoms = spams.trainDL(columns, D=first, iter=EPOCHS * len(X) // BATCH, **options)
    seconds = time.perf_counter() - start
    return seconds, quality(X, np.ascontiguousarray(atoms.T))


def sklearn_learning(X, seed):
    """Return seconds and objective."""
    peer = MiniBatchDictionaryLearning(
        N_ATOMS, alpha=ALPHA, batch_size=BATCH, max_iter=EPOCHS, fit_algorithm="cd",
        random_state=seed, tol=0, max_no_improvement=None,
    )  # fmt: skip
    start = time.perf_counter()
    peer.fit(X.astype(np.float64))
    seconds = time.perf_counter() - start
    return seconds, quality(X, peer.components_.astype(np.float32))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    # scikit-learn's coordinate descent does not always meet its own tolerance.
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    X = patches(load_images(arguments.data), 12, 10_000)
    skae(X[:600], arguments.threads, np.inf, 0)
    print(f"threads {arguments.threads}, float32, {len(X)} patches, {N_ATOMS} atoms, alpha {ALPHA}")
    print("seed  library  seconds  epochs  objective")
    ratios = []
    with threadpool_limits(arguments.threads):
        for seed in range(arguments.repeats):
            try:
                seconds, target = spams_learning(X, arguments.threads, seed)
            except ImportError:
                target, seconds = -np.inf, np.nan
            print(f"{seed:4d}  SPAMS    {seconds:7.2f} {EPOCHS:7d} {target:10.5f}")
            own, epochs, value = skae(X, arguments.threads, target, seed)
            print(f"{seed:4d}  skae     {own:7.2f} {epochs:7d} {value:10.5f}")
            peer, value = sklearn_learning(X, seed)
            print(f"{seed:4d}  sklearn  {peer:7.2f} {EPOCHS:7d} {value:10.5f}", flush=True)
            ratios.append(seconds / own)
    print(f"SPAMS takes {statistics.median(ratios):.2f} times as long (median)")


if __name__ == "__main__":
    main()
