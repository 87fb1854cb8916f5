"""Training speed of tied contractive and denoising auto-encoders, 784 -> 1000, compared with PyTorch.

One process, the same arrays, the same thread count. Prints samples per second, GFLOP/s of the five matrix products that
a step needs (10 * n_features * n_components per sample) and their share of the sgemm rate measured in the same run. The
libraries take turns of two epochs. The table has medians of the times and of the ratios of neighboring turns, since
other work on the machine may slow a few of them.

    python benchmarks/bench_autoencoder.py --data DIR [--compile] [--repeats 5] [--samples 60000] [--small]

``--small`` prints steps of 1, 10 and 20 rows instead, by plain SGD and by Adam, in milliseconds of the processor, and how
often the weights (3 MB) could be read in that time, by a product with one row. A step of SGD reads them five times and writes
them once: codes, logits, norms of the penalty, the gradient at the codes, and the step. The table also has the time that its
products would take at the sgemm rate.

DIR (or SKAE_DATA) holds mnist.npz; without it the data are random. PyTorch is optional.
"""

import argparse
import os
import resource
import statistics
import time
import tracemalloc

import numpy as np
from sklearn.neural_network import MLPRegressor
from threadpoolctl import threadpool_info, threadpool_limits

from skae import AutoEncoder, ContractiveAE, DenoisingAE
from skae.training.solvers import SGD

N_COMPONENTS = 1000
N_EPOCHS = 2  # in a turn


def load(folder, n_samples):
    """Return float32 rows in [0, 1].

    The first two are random, so that each column varies: skae leaves constant columns out, PyTorch does not.
    """
    rng = np.random.default_rng(0)
    if not folder:
        return rng.random((n_samples, 784), dtype=np.float32)
    with np.load(os.path.join(folder, "mnist.npz")) as file:
        X = file["x_train"][:n_samples].astype(np.float32)
    X /= 255
    X[:2] = rng.random((2, 784), dtype=np.float32)
    return X


def sgemm_rate(clock=time.perf_counter):
    """Return the best GFLOP/s of float32 matrix products of this machine, over a few sizes."""
    rng = np.random.default_rng(0)
    best = 0.0
    for n in (1024, 2048, 4096):
        A, B = rng.random((2, n, n), dtype=np.float32)
        C = np.empty_like(A)
        seconds = []
        for _ in range(7):
            start = clock()
            np.matmul(A, B, out=C)
            seconds.append(clock() - start)
        best = max(best, 2 * n**3 / statistics.median(seconds) / 1e9)
    return best


def skae_epoch(kind, X, batch_size, solver="adam"):
    """Return a function that trains ``N_EPOCHS`` epochs."""
    options = {"loss": "bernoulli", "batch_size": batch_size, "random_state": 0}
    options |= {"max_iter": N_EPOCHS, "warm_start": True}
    options["solver"] = SGD(momentum=0) if solver == "sgd" else solver
    models = {
        "AE": AutoEncoder(N_COMPONENTS, **options),
        "CAE": ContractiveAE(N_COMPONENTS, contraction=0.1, **options),
        "DAE": DenoisingAE(N_COMPONENTS, corruption_level=0.3, **options),
    }
    model = models[kind]
    model.fit(X[: 2 * batch_size])
    return lambda: model.fit(X)


def torch_epoch(kind, X, batch_size, compiled, solver="adam"):
    """Return a function that trains ``N_EPOCHS`` epochs of the same model in PyTorch."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    data = torch.from_numpy(X)
    bound = np.sqrt(6 / (X.shape[1] + N_COMPONENTS))
    W = torch.empty(N_COMPONENTS, X.shape[1]).uniform_(-bound, bound).requires_grad_()
    b = torch.zeros(N_COMPONENTS, requires_grad=True)
    c = torch.zeros(X.shape[1], requires_grad=True)

    def objective(x):
        noisy = x * (torch.rand_like(x) >= 0.3) if kind == "DAE" else x
        h = torch.sigmoid(F.linear(noisy, W, b))
        logits = F.linear(h, W.t(), c)
        loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        if kind == "CAE":
            loss = loss + 0.1 * ((h * (1 - h)) ** 2 @ (W**2).sum(1)).mean()
        return loss

    epoch = torch_training(objective, [W, b, c], data, batch_size, compiled, solver)
    return lambda: [epoch() for _ in range(N_EPOCHS)]


def torch_training(objective, parameters, data, batch_size, compiled, solver="adam"):
    """Return a function that takes a fused solver through one epoch of ``objective(rows)``."""
    import torch

    solvers = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    optimizer = solvers[solver](parameters, lr=1e-3, fused=True)
    if compiled:
        objective = torch.compile(objective)

    def epoch(data=data):
        total = 0.0
        for rows in torch.randperm(len(data)).split(batch_size):
            optimizer.zero_grad()
            loss = objective(data[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total

    epoch(data[: 2 * batch_size])
    return epoch


def timed(calls, repeats, n_epochs=1, clock=time.perf_counter):
    """Return the seconds an epoch of each function, which makes ``n_epochs`` a call; called in turn."""
    seconds = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append((clock() - start) / n_epochs)
    return seconds


def print_small_batches(X, repeats, rate, with_torch):
    """Print the milliseconds a step of few rows of a contractive auto-encoder, in reads of the weights too."""
    weights = np.ones((N_COMPONENTS, X.shape[1]), np.float32)
    products = timed({"read": lambda: weights @ X[0]}, 200, clock=time.process_time)
    read = statistics.median(products["read"])
    print(f"the weights ({weights.nbytes / 1e6:.1f} MB) are read in {1e6 * read:.0f} microseconds")
    print(
        "solver batch  library        ms/step   reads of the weights  ms at sgemm rate  skae faster by"
    )
    flop = 10 * weights.size
    for solver in ("sgd", "adam"):
        for batch_size in (1, 10, 20):
            rows = X[: 500 * batch_size]
            epochs = {"skae": skae_epoch("CAE", rows, batch_size, solver)}
            if with_torch:
                epochs["torch eager"] = torch_epoch("CAE", rows, batch_size, False, solver)
            seconds = timed(epochs, repeats, 500 * N_EPOCHS, time.process_time)
            for name, values in seconds.items():
                value = statistics.median(values)
                ratio = statistics.median(v / own for v, own in zip(values, seconds["skae"]))
                print(
                    f"{solver:6s} {batch_size:5d}  {name:14s} {1000 * value:7.2f} {value / read:22.1f} "
                    f"{batch_size * flop / rate / 1e6:17.2f} {ratio:15.2f}",
                    flush=True,
                )


def print_penalty_share(X, repeats):
    """Print how much longer an epoch with the contractive penalty takes than one without."""
    for batch_size in (64, 256, 1024):
        epochs = {kind: skae_epoch(kind, X, batch_size) for kind in ("AE", "CAE")}
        seconds = timed(epochs, repeats)
        share = statistics.median(1 - a / c for a, c in zip(seconds["AE"], seconds["CAE"]))
        print(f"contractive penalty at batch {batch_size}: {100 * share:.1f}% of a step")


def print_memory(X):
    """Print what ``fit`` allocates at most, beside its bound."""
    model = ContractiveAE(N_COMPONENTS, loss="bernoulli", max_iter=1, random_state=0)
    tracemalloc.start()
    model.fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    weights = model.components_.nbytes
    bound = 0.25 * X.nbytes + weights + 64 * 2**20
    print(
        f"fit allocates at most {peak / 2**20:.0f} MiB beside X ({X.nbytes / 2**20:.0f} MiB) and weights "
        f"({weights / 2**20:.0f} MiB); bound {bound / 2**20:.0f} MiB"
    )


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    parser.add_argument("--small", action="store_true", help="only steps of few rows")
    arguments = parser.parse_args()
    X = load(arguments.data, arguments.samples)
    with threadpool_limits(arguments.threads):
        run(X, arguments)


def run(X, arguments):
    """Time every model and batch size."""
    try:
        import torch

        torch.set_num_threads(arguments.threads)
    except ImportError:
        torch = None
    pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
    rate = sgemm_rate()
    print(
        f"{X.shape[0]} x {X.shape[1]} float32, threads: {', '.join(pools)}; sgemm {rate:.0f} GFLOP/s"
    )
    if arguments.small:
        print_small_batches(X, arguments.repeats, rate, torch is not None)
        return
    print("model batch  library        s/epoch  samples/s  GFLOP/s  % of sgemm  skae faster by")
    flop = 10 * X.shape[1] * N_COMPONENTS * len(X)
    for kind in ("CAE", "DAE"):
        for batch_size in arguments.batch_sizes:
            epochs = {"skae": skae_epoch(kind, X, batch_size)}
            if torch is not None:
                epochs["torch eager"] = torch_epoch(kind, X, batch_size, False)
                if arguments.compile:
                    epochs["torch compiled"] = torch_epoch(kind, X, batch_size, True)
            seconds = timed(epochs, arguments.repeats, N_EPOCHS)
            for name, values in seconds.items():
                value = statistics.median(values)
                ratio = statistics.median(v / own for v, own in zip(values, seconds["skae"]))
                print(
                    f"{kind:5s} {batch_size:5d}  {name:14s} {value:7.2f} {len(X) / value:10,.0f} "
                    f"{flop / value / 1e9:8.0f} {100 * flop / value / 1e9 / rate:10.0f}% "
                    f"{ratio:10.2f}",
                    flush=True,
                )
    part = X[: len(X) // 6]
    mlp = MLPRegressor(
        hidden_layer_sizes=(N_COMPONENTS,), activation="logistic", batch_size=256, max_iter=1
    )
    value = timed({"mlp": lambda: mlp.partial_fit(part, part)}, 1)["mlp"][0] * len(X) / len(part)
    print(
        f"AE      256  MLPRegressor   {value:7.2f} {len(X) / value:10,.0f}  (untied; from {len(part)} rows)"
    )
    print_penalty_share(part, arguments.repeats)
    print_memory(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
