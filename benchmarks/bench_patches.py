"""Sparse codes of patches, from a file to files and in memory.

``SparseCoder`` learns 64 atoms from patches of 6 x 6 pixels of generated images (edges and spots in noise, without
their means). Then all patches are encoded twice, in turns of 250,000, so that other work on the machine affects both:
by ``transform`` of an array in memory, whose CSR codes stay there, and by :func:`skae.sources.apply` of a memory map,
which writes a CSR file for each part.

    python benchmarks/bench_patches.py [--patches 5000000] [--threads 1] [--folder DIR]

DIR needs 3 GB for five million patches.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE, N_ATOMS, STEP = 6, 64, 250_000


def make_patches(n_patches, seed):
    """Return patches of waves and spots in noise, without their means."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(np.float32)
    patches = 0.1 * rng.standard_normal((n_patches, SIDE * SIDE), dtype=np.float32)
    for _ in range(2):
        angle, phase, size = (rng.random((3, n_patches, 1), dtype=np.float32) - 0.5) * 6
        patches += size * np.sin(1.5 * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    return patches - patches.mean(axis=1, keepdims=True)


def seconds(function):
    """Return what a function returns, its seconds and its processor seconds."""
    start, used = time.perf_counter(), time.process_time()
    result = function()
    return result, np.array([time.perf_counter() - start, time.process_time() - used])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=5_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    arguments = parser.parse_args()
    from threadpoolctl import threadpool_limits

    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        with threadpool_limits(arguments.threads):
            measure(arguments, Path(folder))


def measure(arguments, folder):
    """Measure and print."""
    from skae import SparseCoder
    from skae.sources import apply

    n_patches, options = arguments.patches, {"sparse_output": True, "random_state": 0}
    X = np.empty((n_patches, SIDE * SIDE), np.float32)
    for start in range(0, n_patches, STEP):
        X[start : start + STEP] = make_patches(len(X[start : start + STEP]), start)
    np.save(folder / "patches.npy", X)
    mapped = np.load(folder / "patches.npy", mmap_mode="r")
    coder = SparseCoder(N_ATOMS, alpha=0.5, n_jobs=arguments.threads, max_iter=3, **options)
    coder.fit(X[:20_000])
    in_memory, to_files, n_nonzero, n_bytes = np.zeros(2), np.zeros(2), 0, 0
    for start in range(0, n_patches, STEP):
        rows, out = slice(start, start + STEP), folder / str(start)
        codes, times = seconds(lambda rows=rows: coder.transform(X[rows]))
        in_memory += times
        _, times = seconds(lambda rows=rows, out=out: apply(coder, mapped[rows], out))
        to_files += times
        n_nonzero += codes.nnz
        n_bytes += sum(path.stat().st_size for path in out.iterdir())
        shutil.rmtree(out)
    print(
        f"{n_patches:,} patches of {SIDE} x {SIDE}, {N_ATOMS} atoms, {n_nonzero / n_patches:.1f} nonzeros a code, "
        f"{arguments.threads} threads, {n_bytes / 1e6:,.0f} MB of files"
    )
    for name, (wall, cpu) in (("in memory", in_memory), ("file to files", to_files)):
        print(
            f"{name:14s} {wall:8.1f} s {cpu:8.1f} CPU s {1e6 * cpu / n_patches:7.2f} us a patch   to memory "
            f"{wall / in_memory[0]:.3f} s, {cpu / in_memory[1]:.3f} CPU s"
        )


if __name__ == "__main__":
    main()
