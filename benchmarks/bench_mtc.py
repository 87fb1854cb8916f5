"""One epoch of the manifold tangent classifier's fine-tuning, beside double back-propagation in PyTorch.

784-1000-1000-10, sigmoid units, softmax outputs, 10 tangents of each sample (or others), Adam, the penalty exact or
along one random combination of the tangents. PyTorch takes slopes with ``torch.func.jvp`` (mapped over the tangents) and
differentiates them once more. One process, the same arrays, the same number of threads; the tangents are random
orthonormal bases, kept in float16 by skae and in float32 by PyTorch. Epochs alternate between the libraries: medians
of the times and of the ratios of neighbouring epochs are shown.

    python benchmarks/bench_mtc.py --data DIR [--samples 5120] [--batch-sizes 32 64 128 256] [--tangents 10]
        [--repeats 5]

DIR (or SKAE_DATA) holds mnist.npz; without it random data are used. PyTorch is optional.
"""

import argparse
import os
import statistics

import numpy as np
from bench_autoencoder import load, sgemm_rate, timed
from bench_deep import torch_with
from threadpoolctl import threadpool_info, threadpool_limits

from skae.manifold._store import TangentStore
from skae.nn.losses import Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.tangent_propagation import TangentPropagation
from skae.training.loop import minimize
from skae.training.problem import Problem
from skae.training.solvers import Adam
from skae.training.state import TrainingState

SIZES = (784, 1000, 1000, 10)
STRENGTH = 1.0


def tangents(n_samples, n_features, n_tangents):
    """Return random orthonormal tangents."""
    rng = np.random.default_rng(0)
    some = rng.standard_normal((64, n_features, n_tangents)).astype(np.float32)
    some = np.linalg.qr(some)[0].transpose(0, 2, 1)
    return np.ascontiguousarray(some[rng.integers(0, 64, n_samples)])


def skae_epoch(X, Y, basis, random, batch_size):
    """Return a function that trains one epoch as ``ManifoldTangentClassifier`` does."""
    network = Network(SIZES, ("sigmoid", "sigmoid", "identity"), decoder=None)
    loss = Reconstruction([Multinomial(np.arange(SIZES[-1]))])
    rows = np.arange(len(X))
    k = basis.shape[1]
    store = TangentStore(network, X, rows, k, dtype="float16", random=random, tol=0.1, seed=0)
    store._basis[:] = basis
    objective = Objective(
        network, loss, penalties=[TangentPropagation(STRENGTH, network, loss, store)]
    )
    solver, rng = Adam(), np.random.default_rng(0)
    params = network.initial(rng, X.dtype)
    state = TrainingState(params, solver.start(params), rng, 0)
    problem = Problem(objective, X, targets=Y)

    def epoch(rows=rows):
        minimize(
            objective,
            state,
            solver,
            problem.batches(rows, batch_size, shuffle=True),
            learning_rate=1e-3,
            max_epochs=state.n_epochs + 1,
            stopping=None,
            observers=[],
        )

    epoch(rows[: 2 * batch_size])
    return epoch


def torch_epoch(X, Y, basis, random, batch_size):
    """Return a function that trains one epoch of the same in PyTorch."""
    import torch
    from torch import nn
    from torch.func import functional_call, jvp, vmap

    torch.manual_seed(0)
    widths = list(zip(SIZES, SIZES[1:]))
    layers = [layer for low, high in widths for layer in (nn.Linear(low, high), nn.Sigmoid())]
    net = nn.Sequential(*layers[:-1])
    data, targets, planes = torch.from_numpy(X), torch.from_numpy(Y), torch.from_numpy(basis)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def step(rows):
        x, params = data[rows], dict(net.named_parameters())

        def outputs(x):
            logits = functional_call(net, params, (x,))
            return logits.softmax(1)

        def slope(u):
            return jvp(outputs, (x,), (u,))[1]

        if random:
            signs = torch.randint(0, 2, (len(x), 1, basis.shape[1])).float() * 2 - 1
            slopes = slope((signs @ planes[rows])[:, 0])
        else:
            slopes = vmap(slope)(planes[rows].transpose(0, 1))
        loss = nn.functional.cross_entropy(net(x), targets[rows])
        loss = loss + STRENGTH * (slopes**2).sum() / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def epoch(rows=None):
        order = torch.randperm(len(X)) if rows is None else rows
        for some in order.split(batch_size):
            step(some)

    epoch(torch.arange(2 * batch_size))
    return epoch


def flop(n_directions):
    """Return the floating-point operations of a step per sample, in matrix products alone, by forward mode.

    skae makes 7% fewer of the exact penalty with 10 directions and less than half with 25, since gradients of the
    outputs meet the directions half-way: its GFLOP/s are those that forward mode would need.
    """
    weights = 2 * sum(low * high for low, high in zip(SIZES, SIZES[1:]))
    # Nothing asks for the gradient at the input or at the tangents.
    one_pass = 3 * weights - 2 * SIZES[0] * SIZES[1]
    return one_pass * (1 + n_directions)


def compare(X, Y, basis, batch_size, rate, arguments):
    """Time both libraries at one batch size."""
    epochs = {
        "skae exact": skae_epoch(X, Y, basis, False, batch_size),
        "skae random": skae_epoch(X, Y, basis, True, batch_size),
    }
    if torch_with(arguments.threads) is not None:
        epochs["torch exact"] = torch_epoch(X, Y, basis, False, batch_size)
        epochs["torch random"] = torch_epoch(X, Y, basis, True, batch_size)
    seconds = timed(epochs, arguments.repeats)
    for name, values in seconds.items():
        value = statistics.median(values)
        total = flop(1 if "random" in name else basis.shape[1]) * len(X) / value / 1e9
        ratios = [
            f"{statistics.median(p / own for p, own in zip(seconds[peer], values)):14.2f}"
            for peer in ("torch exact", "torch random")
            if peer in seconds
        ]
        print(
            f"{batch_size:5d}  {name:12s} {value:8.2f} {len(X) / value:10,.0f} {total:8.0f} "
            f"{100 * total / rate:10.0f}% " + "  ".join(ratios),
            flush=True,
        )


def main():
    """Time every batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=5120)
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[32, 64, 128, 256])
    parser.add_argument("--tangents", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    X = load(arguments.data, arguments.samples)
    Y = np.eye(SIZES[-1], dtype=np.float32)[np.random.default_rng(0).integers(0, 10, len(X))]
    basis = tangents(*X.shape, arguments.tangents)
    with threadpool_limits(arguments.threads):
        pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
        rate = sgemm_rate()
        print(
            f"{len(X)} x {X.shape[1]} float32, {arguments.tangents} tangents, threads: {', '.join(pools)}; sgemm {rate:.0f} GFLOP/s"
        )
        print(
            "batch  library       s/epoch  samples/s  GFLOP/s  % of sgemm  beside torch exact  torch random"
        )
        for batch_size in arguments.batch_sizes:
            compare(X, Y, basis, batch_size, rate, arguments)


if __name__ == "__main__":
    main()
