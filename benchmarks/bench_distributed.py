"""Training on a Dask cluster and in one process: rows per second, and the time of a synchronization.

``ContractiveAE`` on rows of 100 float32 columns in minibatches of 1024: in one process with as many threads as the
largest number of workers, then on a ``LocalCluster`` of single-threaded workers, with parameters averaged every
``--sync-every`` steps, and with gradients summed in each step. The time of a fit of one epoch is subtracted from that
of a longer one, so reading X and sending it to workers do not count. All take turns, ``--repeats`` times, and the
median counts.

The table has the seconds per epoch, and the CPU seconds of this process, which runs the scheduler, and of the busiest
worker. It also has a calculated time per epoch for one processor per process: the sum of these two, or for one process
its CPU seconds divided by its threads.

The last lines are a cost model of ``--model-workers`` workers. It is calculated, not measured: work is divided, and an
average takes as long for each worker as it took here.

    python benchmarks/bench_distributed.py [--rows 200000] [--workers 1 2] [--sync-every 50] [--components 50]
    [--repeats 3] [--no-each-step]
"""

import argparse
import time
import warnings
from functools import partial

import numpy as np

WORKERS = {"threads_per_worker": 1, "dashboard_address": None}


def make_rows(n_rows, n_columns=100):
    """Return rows near a curved surface of 10 dimensions."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((n_rows, 10), dtype=np.float32)
    mixing = rng.standard_normal((10, n_columns)).astype(np.float32)
    return np.tanh(sources @ mixing)


def seconds_of_an_epoch(make, X, epochs, n_threads, client=None):
    """Return seconds of an epoch, without what precedes the first one: by the clock, of processors here and of the busiest worker, and calculated."""
    times = []
    for n_epochs in (1, 1 + epochs):
        model, before = make(n_epochs), clocks(client)
        model.fit(X)
        times.append(clocks(client) - before)
    wall, here, *workers = (times[1] - times[0]) / epochs
    busiest = max(workers, default=0.0)
    return np.array([wall, here, busiest, here / n_threads + busiest])


def clocks(client):
    """Return the time, and processor seconds of this process and of each worker."""
    workers = {} if client is None else client.run(time.process_time)
    times = [workers[address] for address in sorted(workers)]
    return np.array([time.perf_counter(), time.process_time(), *times])


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sync-every", type=int, default=50)
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-each-step", dest="each_step", action="store_false")
    parser.add_argument("--model-workers", type=int, default=64)
    arguments = parser.parse_args()
    measure(arguments)


def measure(arguments):
    """Measure and print."""
    from distributed import Client, LocalCluster
    from threadpoolctl import threadpool_limits

    from skae import ContractiveAE
    from skae.distributed import Distributed

    X, n_threads = make_rows(arguments.rows), sorted({1, max(arguments.workers)})
    options = {"batch_size": 1024, "learning_rate": "constant", "tol": 0, "random_state": 0}

    def local(n_epochs):
        return ContractiveAE(arguments.components, max_iter=n_epochs, **options)

    def in_process(n_threads):
        with threadpool_limits(n_threads):
            return seconds_of_an_epoch(local, X, arguments.epochs, n_threads)

    def on_cluster(n_workers, sync_every):
        # Started for each measurement: idle workers of another cluster would take time from those of this one.
        with (
            LocalCluster(n_workers=n_workers, **WORKERS) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):

            def wrapped(n_epochs):
                return Distributed(local(n_epochs), client=client, sync_every=sync_every)

            wrapped(1).fit(X[:2048])  # compiles
            # Steps together take so long that fewer epochs do.
            n_epochs = arguments.epochs if sync_every else max(arguments.epochs // 5, 1)
            return seconds_of_an_epoch(wrapped, X, n_epochs, 1, client)

    local(1).fit(X[:2048])
    kinds = {f"one process, {each} threads": partial(in_process, each) for each in n_threads}
    for n_workers in arguments.workers:
        for every in (
            (arguments.sync_every, None) if arguments.each_step else (arguments.sync_every,)
        ):
            name = "each step" if every is None else f"sync_every={every}"
            kinds[f"{n_workers} workers, {name}"] = partial(on_cluster, n_workers, every)
    runs = {name: [] for name in kinds}
    for _ in range(arguments.repeats):
        for name, run in kinds.items():
            runs[name].append(run())
    found = {name: np.median(results, axis=0) for name, results in runs.items()}
    print(f"medians of {arguments.repeats}; seconds of an epoch of {arguments.rows:,} rows")
    print("                                  clock  CPU here  CPU worker  own processors   rows/s")
    for name, (wall, here, busiest, calculated) in found.items():
        rate = arguments.rows / calculated
        print(f"{name:30s} {wall:9.2f} {here:9.2f} {busiest:11.2f} {calculated:15.2f} {rate:8,.0f}")
    calculate(found, arguments)


def calculate(found, arguments):
    """Print the cost model: T(W) = work / W + averages * W * seconds of one average and worker."""
    if 1 not in arguments.workers or not arguments.each_step:
        return
    n_steps, every = -(-arguments.rows // 1024), arguments.sync_every
    averaged, summed = (
        found[f"1 workers, {name}"][3] for name in (f"sync_every={every}", "each step")
    )
    n_workers = arguments.model_workers
    overhead = max(summed - averaged, 0) / max(n_steps * (1 - 1 / every), 1)
    work = max(averaged - overhead * n_steps / every, 0)
    print(f"a synchronization takes {1e3 * overhead:.1f} ms for each worker")
    for size in (1, 10, 100):
        averages = size * n_steps / n_workers / every
        seconds = size * work / n_workers + averages * n_workers * overhead
        share = size * work / n_workers / max(seconds, 1e-9)
        print(
            f"calculated: {size * arguments.rows:,} rows on {n_workers} workers, {seconds:.2f} s an epoch, {share:.0%} of it work"
        )
    enough = 4 * n_workers * overhead * n_steps / max(work, 1e-9)
    print(f"calculated: 80% of it is work from sync_every={enough:,.0f} on")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
