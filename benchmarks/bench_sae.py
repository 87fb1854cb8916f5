"""Rows per second of sparse auto-encoders in skae and PyTorch: training and encoding.

TopK, 384 inputs, 4096 features, k = 32, minibatches of 1024 rows, float32, on random rows. skae trains by
``partial_fit``, which does all that a fit does; the PyTorch model (``torch_sae.py``) is eager and compiled. In skae,
``transform`` returns a CSR matrix; in PyTorch, codes are dense. Models take turns, after a warm-up; medians are shown.

    python benchmarks/bench_sae.py [--threads 2] [--repeats 5] [--rows 20480] [--compiled]

With ``--memory ROWS`` it instead trains for one epoch on a memory map of this many rows. It shows the peak memory of
the process beyond the pages of the map, and the loss of that epoch, from the map and from memory.

    python benchmarks/bench_sae.py --memory 1000000 [--folder /tmp]
"""

import argparse
import os
import statistics
import tempfile
import threading
import time

import numpy as np
from threadpoolctl import threadpool_limits

from skae import SparseAutoEncoder

N_INPUTS, N_FEATURES, K, BATCH_SIZE = 384, 4096, 32, 1024
OPTIONS = {
    "n_components": N_FEATURES,
    "k": K,
    "batch_size": BATCH_SIZE,
    "learning_rate_init": 1e-3,
    "learning_rate": "constant",
    "standardize": False,
    "random_state": 0,
}


def embeddings(rng, n_rows):
    """Return rows of a few of 2000 directions each, of norm about 1, like embeddings of texts."""
    atoms = np.random.default_rng(0).standard_normal((2000, N_INPUTS), dtype=np.float32)
    codes = (rng.random((n_rows, 2000), dtype=np.float32) < 0.01) / np.sqrt(20 * N_INPUTS)
    return codes.astype(np.float32) @ atoms


def calls(X, compiled):
    """Return functions that train on X, and that encode it, by the names of the models."""
    ours = SparseAutoEncoder(**OPTIONS).partial_fit(X[: 2 * BATCH_SIZE])
    training, encoding = {"skae": lambda: ours.partial_fit(X)}, {"skae": lambda: ours.transform(X)}
    try:
        from torch_sae import TorchSAE
    except ImportError:
        return training, encoding
    for name in ["PyTorch eager"] + ["PyTorch compiled"] * compiled:
        theirs = TorchSAE(N_INPUTS, N_FEATURES, K, compiled="compiled" in name)
        theirs.fit(X[: 2 * BATCH_SIZE], 1, BATCH_SIZE)
        training[name] = lambda theirs=theirs: theirs.fit(X, 1, BATCH_SIZE)
        if "eager" in name:
            encoding[name] = lambda theirs=theirs: theirs.transform(X)
    return training, encoding


def print_rates(title, functions, n_rows, repeats):
    """Print medians of rows a second, of wall time and of the processor's."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            function()
            now = time.perf_counter(), time.process_time()
            seconds[name].append([b - a for a, b in zip(start, now)])
    base = [statistics.median(column) for column in zip(*seconds["skae"])]
    for name, pairs in seconds.items():
        wall, processor = (statistics.median(column) for column in zip(*pairs))
        print(
            f"{title:9s} {name:17s} {n_rows / wall:9,.0f} rows/s  {n_rows / processor:9,.0f} rows a processor second"
            f"   skae is {wall / base[0]:.2f} ({processor / base[1]:.2f}) times as fast",
            flush=True,
        )


class Memory:
    """The largest anonymous memory of this process while a block runs, looked at 20 times a second."""

    def __enter__(self):
        self.largest, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()

    def _watch(self):
        while not self._over.wait(0.05):
            with open("/proc/self/status") as file:
                line = next(line for line in file if line.startswith("RssAnon"))
            self.largest = max(self.largest, int(line.split()[1]) / 1024)


def print_memory(n_rows, folder):
    """Train on a memory map."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = os.path.join(name, "rows.npy")
        file = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, N_INPUTS))
        for start in range(0, n_rows, 4096):
            file[start : start + 4096] = embeddings(rng, min(4096, n_rows - start))
        file.flush()
        del file
        rows = np.load(path, mmap_mode="r")
        for X, where in ((rows, "map"), (np.array(rows[: n_rows // 10]), "a tenth in memory")):
            with Memory() as memory:
                start = time.perf_counter()
                model = SparseAutoEncoder(**OPTIONS | {"max_iter": 1, "tol": 0}).fit(X)
            report = model.report(rows[:10_000])
            print(
                f"{len(X):,} rows, {where}: {memory.largest:.0f} MB, {time.perf_counter() - start:.0f} s, mean loss "
                f"{model.loss_:.4f}, unexplained afterwards {report.unexplained:.3f}, dead {report.dead:.1%}",
                flush=True,
            )


def main():
    """Print what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20 * BATCH_SIZE)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--memory", type=int)
    parser.add_argument("--folder")
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        if options.memory:
            print_memory(options.memory, options.folder)
            return
        try:
            import torch

            torch.set_num_threads(options.threads)
        except ImportError:
            print("PyTorch is not installed.")
        X = embeddings(np.random.default_rng(1), options.rows)
        training, encoding = calls(X, options.compiled)
        print_rates("training", training, len(X), options.repeats)
        print_rates("encoding", encoding, len(X), options.repeats)


if __name__ == "__main__":
    main()
