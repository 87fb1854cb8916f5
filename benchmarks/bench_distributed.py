"""Training on a Dask cluster beside one process: rows a second, and the time that a synchronization takes.

``ContractiveAE`` on rows of 100 float32 columns in minibatches of 1024. One process with as many threads as there are workers at most, then
``LocalCluster`` with workers of one thread: parameters averaged every ``--sync-every`` steps, and gradients summed in each step. A fit
of one epoch is subtracted from one of more, so that reading X and sending it to workers do not count.

From these a cost model of ``--model-workers`` workers is printed. It is a calculation, no measurement: work is divided, and an average
takes as long for each worker as it took here.

    python benchmarks/bench_distributed.py [--rows 200000] [--workers 1 2] [--sync-every 50] [--components 50]
"""

import argparse
import time
import warnings

import numpy as np


def make_rows(n_rows, n_columns=100):
    """Return rows near a curved surface of 10 dimensions."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((n_rows, 10), dtype=np.float32)
    mixing = rng.standard_normal((10, n_columns)).astype(np.float32)
    return np.tanh(sources @ mixing)


def seconds_of_an_epoch(make, X, epochs):
    """Return the seconds of an epoch, without what precedes the first one."""
    times = []
    for n_epochs in (1, 1 + epochs):
        model = make(n_epochs)
        start = time.perf_counter()
        model.fit(X)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / epochs


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sync-every", type=int, default=50)
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--model-workers", type=int, default=64)
    arguments = parser.parse_args()
    measure(arguments)


def measure(arguments):
    """Measure and print."""
    from distributed import Client, LocalCluster
    from threadpoolctl import threadpool_limits

    from skae import ContractiveAE
    from skae.distributed import Distributed

    X = make_rows(arguments.rows)
    options = {"batch_size": 1024, "learning_rate": "constant", "tol": 0, "random_state": 0}

    def local(n_epochs):
        return ContractiveAE(arguments.components, max_iter=n_epochs, **options)

    local(1).fit(X[:2048])  # compiles
    for n_threads in sorted({1, max(arguments.workers)}):
        with threadpool_limits(n_threads):
            seconds = seconds_of_an_epoch(local, X, arguments.epochs)
        report(f"one process, {n_threads} threads", seconds, arguments.rows)
    n_steps, found = -(-arguments.rows // 1024), {}
    for n_workers in arguments.workers:
        cluster = LocalCluster(n_workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster):
            for sync_every in (arguments.sync_every, None):

                def wrapped(n_epochs, sync_every=sync_every):
                    return Distributed(local(n_epochs), sync_every=sync_every)

                wrapped(1).fit(X[:2048])
                seconds = seconds_of_an_epoch(wrapped, X, arguments.epochs)
                found[n_workers, sync_every] = seconds
                name = "each step" if sync_every is None else f"sync_every={sync_every}"
                report(f"{n_workers} workers, {name}", seconds, arguments.rows)
    calculate(found, n_steps, arguments, seconds_of_work=found[1, arguments.sync_every])


def calculate(found, n_steps, arguments, seconds_of_work):
    """Print the cost model: T(W) = work / W + averages * W * seconds of one average and worker."""
    if 1 not in arguments.workers:
        return
    n_workers, every = arguments.model_workers, arguments.sync_every
    overhead = max(found[1, None] - seconds_of_work, 0) / max(n_steps * (1 - 1 / every), 1)
    work = max(seconds_of_work - overhead * n_steps / every, 0)
    print(f"a synchronization takes {1e3 * overhead:.1f} ms for each worker")
    for size in (1, 10, 100):
        averages = size * n_steps / n_workers / every
        seconds = size * work / n_workers + averages * n_workers * overhead
        share = size * work / n_workers / max(seconds, 1e-9)
        print(
            f"calculated: {size * arguments.rows:,} rows on {n_workers} workers, {seconds:.2f} s an epoch, {share:.0%} of it work"
        )


def report(name, seconds, n_rows):
    """Print a line."""
    print(f"{name:32s} {seconds:8.2f} s an epoch {n_rows / seconds:12,.0f} rows/s", flush=True)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
