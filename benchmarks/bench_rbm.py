"""One epoch of an RBM's persistent contrastive divergence, in skae, in scikit-learn and in PyTorch.

784 bernoulli visible and 500 hidden units, PCD-1, as many chains as rows in a batch, plain gradient steps, float32: the
same five matrix products a step for all (codes of the data, samples of visible units, their codes, and the two parts of
the gradient). One process, the same array, the same number of threads. The libraries take turns of one epoch; medians
of the times and of the ratios of neighboring epochs are shown. Seconds are those of the CPU with one thread, and of the
clock with more.

    python benchmarks/bench_rbm.py --data DIR [--samples 10000] [--batch-sizes 100 500] [--repeats 9] [--threads 2]

DIR (or SKAE_DATA) holds mnist.npz; without it random data are used. PyTorch is optional.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np
from bench_autoencoder import load, sgemm_rate, timed
from bench_deep import torch_with
from records import Records
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_info, threadpool_limits

from skae._threads import team
from skae.nn.boltzmann import BoltzmannObjective, Chains
from skae.nn.losses import Bernoulli, Reconstruction
from skae.nn.network import Network
from skae.training.loop import Problem, TrainingState, minimize
from skae.training.solvers import SGD

N_HIDDEN, RATE = 500, 0.01
RESULTS = Path(__file__).parent / "results"


def skae_epoch(X, batch_size):
    """Return a function that trains one epoch as ``RBM`` does."""
    network = Network((X.shape[1], N_HIDDEN), "sigmoid")
    units = Reconstruction([Bernoulli(np.arange(X.shape[1]))])
    chains = Chains(batch_size, N_HIDDEN, X.dtype)
    objective = BoltzmannObjective(network, units, chains=chains)
    solver, rng = SGD(momentum=0.0, nesterov=False), np.random.default_rng(0)
    params = network.initial(rng, X.dtype)
    state = TrainingState(params, solver.start(params), rng, 0)
    problem = Problem(objective, X)

    def epoch(rows=problem.rows):
        with team():
            minimize(
                objective,
                state,
                solver,
                problem.batches(rows, batch_size, by_steps=True, shuffle=True),
                learning_rate=RATE,
                max_epochs=len(state.loss_curve) + 1,
                stopping=None,
                observers=objective.observers,
            )

    epoch(problem.rows[: 2 * batch_size])
    return epoch


def sklearn_epoch(X, batch_size):
    """Return a function that trains one epoch of ``BernoulliRBM``."""
    rbm = BernoulliRBM(N_HIDDEN, learning_rate=RATE, batch_size=batch_size, random_state=0)
    batches = np.array_split(X, max(len(X) // batch_size, 1))

    def epoch():
        for batch in batches:
            rbm.partial_fit(batch)

    epoch()
    return epoch


def torch_epoch(X, batch_size):
    """Return a function that trains one epoch of the same in PyTorch."""
    import torch

    torch.manual_seed(0)
    data = torch.from_numpy(X)
    weights = 0.04 * torch.randn(N_HIDDEN, X.shape[1])
    hidden_bias, visible_bias = torch.zeros(N_HIDDEN), torch.zeros(X.shape[1])
    chains = torch.zeros(batch_size, N_HIDDEN)

    def step(v):
        codes = torch.addmm(hidden_bias, v, weights.T).sigmoid_()
        samples = torch.addmm(visible_bias, chains, weights).sigmoid_().bernoulli_()
        sample_codes = torch.addmm(hidden_bias, samples, weights.T).sigmoid_()
        n, m = len(v), len(samples)
        weights.addmm_(codes.T, v, alpha=RATE / n).addmm_(sample_codes.T, samples, alpha=-RATE / m)
        hidden_bias.add_(codes.mean(0) - sample_codes.mean(0), alpha=RATE)
        visible_bias.add_(v.mean(0) - samples.mean(0), alpha=RATE)
        torch.bernoulli(sample_codes, out=chains)

    def epoch():
        with torch.no_grad():
            for rows in torch.randperm(len(data)).split(batch_size):
                step(data[rows])

    epoch()
    return epoch


def compare(X, batch_size, rate, clock, arguments):
    """Time all libraries at one batch size and return a line for each."""
    epochs = {"skae": skae_epoch(X, batch_size), "scikit-learn": sklearn_epoch(X, batch_size)}
    if torch_with(arguments.threads) is not None:
        epochs["torch"] = torch_epoch(X, batch_size)
    seconds = timed(epochs, arguments.repeats, clock=clock)
    flop = 5 * 2 * X.size * N_HIDDEN
    for name, values in seconds.items():
        value = statistics.median(values)
        ratio = statistics.median(v / own for v, own in zip(values, seconds["skae"]))
        yield (
            f"{batch_size:5d}  {name:12s} {value:8.3f} {len(X) / value:10,.0f} {flop / value / 1e9:8.0f} "
            f"{100 * flop / value / 1e9 / rate:10.0f}% {ratio:14.2f}"
        )


def main():
    """Time every batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[100, 500])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--results", default=RESULTS)
    arguments = parser.parse_args()
    X = load(arguments.data, arguments.samples)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    with threadpool_limits(arguments.threads):
        pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
        rate = sgemm_rate(clock)
        lines = [
            f"{len(X)} x {X.shape[1]} float32, {N_HIDDEN} hidden units, threads: {', '.join(pools)}; sgemm {rate:.0f} GFLOP/s",
            "batch  library       s/epoch  samples/s  GFLOP/s  % of sgemm  times skae's time",
        ]
        for batch_size in arguments.batch_sizes:
            lines += compare(X, batch_size, rate, clock, arguments)
    Records(arguments.results, "bench_rbm").table("\n".join(lines))


if __name__ == "__main__":
    main()
