"""Training on and encoding of rows that are not in memory, compared with the same rows in memory.

Each measurement runs in its own process. Rows of 100 float32 columns are in memory, in a memory map, in Parquet files,
or batches of an iterator. ``ContractiveAE(50)`` is fitted in minibatches of 1024 (including checks, moments and the
temporary file, for which X is read once whatever the number of epochs), and then encodes all rows into a memory map.
The table has the seconds and CPU seconds per million rows, the smallest of all repeats, as other work on the machine
only adds to them; the ratio of CPU seconds to those in memory; and the peak memory of the process without pages of
files, beyond what it uses before X exists. Imports and compilation are not counted.

    python benchmarks/bench_scale.py [--rows 100000 1000000 10000000] [--epochs 5] [--threads 2] [--folder DIR]
    [--repeats 3]

DIR needs 15 GB for ten million rows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

N_COLUMNS = 100
KINDS = ("memory", "map", "parquet", "batches")
STEP = 100_000


def make_rows(n_rows, seed=0):
    """Yield blocks of rows near a curved surface of 10 dimensions."""
    mixing = np.random.default_rng(0).standard_normal((10, N_COLUMNS)).astype(np.float32)
    for start in range(0, n_rows, STEP):
        rng = np.random.default_rng([seed, start])
        sources = rng.standard_normal((min(STEP, n_rows - start), 10), dtype=np.float32)
        noise = rng.standard_normal((len(sources), N_COLUMNS), dtype=np.float32)
        yield np.tanh(sources @ mixing) + 0.1 * noise


def write(folder, n_rows):
    """Write the rows as .npy and as Parquet files, once."""
    folder = Path(folder) / str(n_rows)
    if (folder / "done").exists():
        return folder
    (folder / "parquet").mkdir(parents=True, exist_ok=True)
    import pandas as pd

    shape = (n_rows, N_COLUMNS)
    rows = np.lib.format.open_memmap(folder / "rows.npy", "w+", np.float32, shape)
    start = 0
    for number, block in enumerate(make_rows(n_rows)):
        rows[start : start + len(block)] = block
        frame = pd.DataFrame(block, columns=[f"x{column}" for column in range(N_COLUMNS)])
        frame.to_parquet(folder / "parquet" / f"{number:04d}.parquet")
        start += len(block)
    rows.flush()
    (folder / "done").touch()
    return folder


def source(kind, folder, n_rows):
    """Return X."""
    if kind == "memory":
        return np.load(folder / "rows.npy")
    if kind == "map":
        return np.load(folder / "rows.npy", mmap_mode="r")
    if kind == "batches":
        rows = np.load(folder / "rows.npy", mmap_mode="r")
        return (rows[start : start + STEP] for start in range(0, n_rows, STEP))
    from pyarrow.dataset import dataset

    return dataset(folder / "parquet")


class Memory(threading.Thread):
    """Watches the memory of this process that is not pages of files."""

    def __init__(self):
        super().__init__(daemon=True)
        self.largest, self._running = 0, True
        self._before = self._now()

    def run(self):
        """Look ten times a second."""
        while self._running:
            self.largest = max(self.largest, self._now() - self._before)
            time.sleep(0.1)

    def _now(self):
        with open("/proc/self/status") as status:
            lines = [line for line in status if line.startswith("RssAnon")]
        return int(lines[0].split()[1]) / 1024

    def stop(self):
        """Return the largest amount in MB."""
        self._running = False
        self.join()
        return self.largest


def measure(kind, folder, n_rows, epochs, threads):
    """Print the measurements of this process as JSON."""
    import pyarrow.parquet  # noqa: F401  # as imports are not to count
    from pandas import DataFrame
    from threadpoolctl import threadpool_limits

    from skae import ContractiveAE
    from skae.sources import apply

    model = ContractiveAE(50, max_iter=epochs, batch_size=1024, random_state=0)
    with threadpool_limits(threads):
        model.fit(DataFrame(next(make_rows(2048))).add_prefix("x"))  # compiles
        memory = Memory()
        memory.start()
        X = source(kind, folder, n_rows)
        start, used = time.perf_counter(), time.process_time()
        model.fit(X)
        fitted, used = time.perf_counter() - start, time.process_time() - used
        X = source(kind, folder, n_rows)
        with tempfile.TemporaryFile(dir=folder) as file:
            codes = np.memmap(file, np.float32, "w+", shape=(n_rows, 50))
            began = time.perf_counter()
            apply(model, X, codes)
            coded = time.perf_counter() - began
    result = {"fit": fitted, "cpu": used, "apply": coded, "memory": memory.stop()}
    print(json.dumps({**result, "loss": model.loss_}))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--measure", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        folder = Path(arguments.folder)
        measure(arguments.measure, folder, arguments.rows[0], arguments.epochs, arguments.threads)
        return
    print(
        f"rows of {N_COLUMNS} float32, {arguments.epochs} epochs, {arguments.threads} threads; least of {arguments.repeats}"
    )
    print(
        "     rows  kind      fit, s/1e6  CPU s/1e6   to memory   codes, s/1e6   MB of memory   loss"
    )
    for n_rows in arguments.rows:
        folder = write(Path(arguments.folder) / "bench_scale", n_rows)
        runs = {kind: [] for kind in arguments.kinds}
        for _ in range(arguments.repeats):
            for kind in arguments.kinds:
                runs[kind].append(run(kind, folder, n_rows, arguments.epochs, arguments.threads))
        for kind, results in runs.items():
            print_row(n_rows, kind, results, runs.get("memory", results))


def run(kind, folder, n_rows, epochs, threads):
    """Return the measurements of a new process."""
    command = [sys.executable, __file__, "--measure", kind, "--rows", str(n_rows)]
    command += ["--folder", str(folder), "--epochs", str(epochs), "--threads", str(threads)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, capture_output=True, check=True, env=environment, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_row(n_rows, kind, results, in_memory):
    """Print the least of one kind, of memory the largest."""
    fit, cpu, codes = (min(result[name] for result in results) for name in ("fit", "cpu", "apply"))
    memory = max(result["memory"] for result in results)
    ratio = cpu / min(result["cpu"] for result in in_memory)
    print(
        f"{n_rows:9,d}  {kind:8s}  {1e6 * fit / n_rows:10.2f}  {1e6 * cpu / n_rows:9.2f}  {ratio:10.2f}  "
        f"{1e6 * codes / n_rows:13.2f}  {memory:13.0f}"
        f"   {results[0]['loss']:.6f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
