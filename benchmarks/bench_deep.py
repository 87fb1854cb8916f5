"""The deep auto-encoder 784-1000-500-250-30 of Hinton & Salakhutdinov 2006: speed beside PyTorch, error beside PCA.

Speed: sigmoid layers around a linear code, cross-entropy of the pixels, a decoder with its own weights, Adam. This is
the network that ``StackedAE(fine_tune="reconstruction")`` trains jointly, run by the same calls, and the same layers in
PyTorch. One process, the same arrays, the same thread count. Prints samples per second, GFLOP/s of the matrix products
that a step needs and their share of the sgemm rate measured in the same run. The libraries take turns of one epoch. The
table has medians of the times and of the ratios of neighboring epochs.

Error: mean squared error per image of the held-out MNIST digits (pixels in [0, 1], summed over pixels), of a
stack pre-trained layer by layer and then fine-tuned, and of PCA with 30 components.

    python benchmarks/bench_deep.py --data DIR [--compile] [--repeats 7] [--parts speed error]

DIR (or SKAE_DATA) holds mnist.npz; without it only speed is measured, on random data. PyTorch is optional.
"""

import argparse
import os
import statistics
import time

import numpy as np
from bench_autoencoder import load, sgemm_rate, timed, torch_training
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_info, threadpool_limits

from skae import AutoEncoder, StackedAE
from skae._threads import team
from skae.nn.losses import Bernoulli, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.training.loop import Problem, TrainingState, minimize
from skae.training.solvers import Adam

SIZES = (784, 1000, 500, 250, 30)
ACTIVATIONS = ("sigmoid", "sigmoid", "sigmoid", "identity")


def step_flop():
    """Return the floating-point operations of a training step per sample, in matrix products alone."""
    weights = 2 * sum(low * high for low, high in zip(SIZES, SIZES[1:]))
    # Nothing asks for the gradient at the input.
    return 6 * weights - 2 * SIZES[0] * SIZES[1]


def skae_epoch(X, batch_size):
    """Return a function that trains one epoch as ``StackedAE`` does."""
    network = Network(SIZES, ACTIVATIONS, decoder="untied")
    problem = Problem(Objective(network, Reconstruction([Bernoulli(np.arange(SIZES[0]))])), X)
    solver, rng = Adam(), np.random.default_rng(0)
    params = network.initial(rng, X.dtype)
    state = TrainingState(params, solver.start(params), rng, 0)

    def epoch(rows=problem.rows):
        with team():
            minimize(
                problem.objective,
                state,
                solver,
                problem.batches(rows, batch_size, by_steps=True, shuffle=True),
                learning_rate=1e-3,
                max_epochs=len(state.loss_curve) + 1,
                stopping=None,
                observers=[],
            )

    epoch(problem.rows[: 2 * batch_size])
    return epoch


def torch_epoch(X, batch_size, compiled):
    """Return a function that trains one epoch of the same network in PyTorch."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    data, layers = torch.from_numpy(X), []
    widths, kinds = [*SIZES, *SIZES[-2::-1]], [*ACTIVATIONS, *["sigmoid"] * 3, "identity"]
    for low, high, kind in zip(widths, widths[1:], kinds):
        linear = nn.Linear(low, high)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Sigmoid()] if kind == "sigmoid" else [linear]
    net = nn.Sequential(*layers)

    def objective(x):
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), x, reduction="sum")
        return loss / len(x)

    return torch_training(objective, net.parameters(), data, batch_size, compiled)


def torch_with(n_threads):
    """Return PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(n_threads)
    return torch


def print_speed(X, arguments):
    """Time every batch size."""
    torch = torch_with(arguments.threads)
    pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
    rate = sgemm_rate()
    print(f"{len(X)} x {X.shape[1]} float32, threads: {', '.join(pools)}; sgemm {rate:.0f} GFLOP/s")
    print("batch  library         s/epoch  samples/s  GFLOP/s  % of sgemm  skae faster by")
    flop = step_flop() * len(X)
    for batch_size in arguments.batch_sizes:
        epochs = {"skae": skae_epoch(X, batch_size)}
        if torch is not None:
            epochs["torch eager"] = torch_epoch(X, batch_size, False)
            if arguments.compile:
                epochs["torch compiled"] = torch_epoch(X, batch_size, True)
        seconds = timed(epochs, arguments.repeats)
        for name, values in seconds.items():
            value = statistics.median(values)
            ratio = statistics.median(v / own for v, own in zip(values, seconds["skae"]))
            print(
                f"{batch_size:5d}  {name:14s} {value:8.2f} {len(X) / value:10,.0f} "
                f"{flop / value / 1e9:8.0f} {100 * flop / value / 1e9 / rate:10.0f}% {ratio:14.2f}",
                flush=True,
            )


def squared_error(X, reconstruction):
    """Return the mean over images of the squared error summed over pixels."""
    return float(np.mean(np.sum((X - reconstruction) ** 2, axis=1)))


def deep_autoencoder(arguments):
    """Return the stack of the 2006 paper, of auto-encoders instead of restricted Boltzmann machines."""
    options = {"batch_size": arguments.batch_size, "verbose": arguments.verbose}
    layers = [
        (
            f"ae{depth}",
            AutoEncoder(
                width,
                activation=activation,
                loss="bernoulli",
                max_iter=arguments.pretraining_epochs,
                **options,
            ),
        )
        for depth, (width, activation) in enumerate(zip(SIZES[1:], ACTIVATIONS), 1)
    ]
    epochs = arguments.fine_tuning_epochs
    return StackedAE(layers, fine_tune="reconstruction", max_iter=epochs, random_state=0, **options)


def print_error(arguments):
    """Print held-out squared errors beside those of the paper."""
    with np.load(os.path.join(arguments.data, "mnist.npz")) as file:
        train, test = (file[name].astype(np.float32) / 255 for name in ("x_train", "x_test"))
    pca = PCA(SIZES[-1], random_state=0).fit(train)
    linear = squared_error(test, pca.inverse_transform(pca.transform(test)))
    start = time.perf_counter()
    stack = deep_autoencoder(arguments).fit(train)
    minutes = (time.perf_counter() - start) / 60
    error = squared_error(test, stack.reconstruct(test))
    print(
        f"{arguments.pretraining_epochs} epochs a layer, {stack.n_iter_} epochs of fine-tuning, "
        f"{minutes:.1f} minutes; squared error per image on the training set "
        f"{squared_error(train, stack.reconstruct(train)):.2f}"
    )
    print("squared error per test image   here   2006 paper")
    print(f"deep auto-encoder, 30 codes  {error:6.2f}         3.00")
    print(f"PCA, 30 components           {linear:6.2f}        13.87")


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=10000, help="rows of an epoch that is timed")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    parser.add_argument("--parts", nargs="+", default=["speed", "error"])
    parser.add_argument(
        "--batch-size", type=int, default=256, help="of the stack whose error is shown"
    )
    parser.add_argument("--pretraining-epochs", type=int, default=8)
    parser.add_argument("--fine-tuning-epochs", type=int, default=40)
    parser.add_argument("--verbose", type=int, default=0)
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        if "speed" in arguments.parts:
            print_speed(load(arguments.data, arguments.samples), arguments)
        if "error" in arguments.parts and arguments.data:
            print_error(arguments)


if __name__ == "__main__":
    main()
