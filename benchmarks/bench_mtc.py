"""One epoch of the manifold tangent classifier's fine-tuning, compared with double back-propagation in PyTorch.

784-1000-1000-10, sigmoid units, softmax outputs, 10 tangents of each sample (or others), Adam, the penalty exact or
along one random combination of the tangents. PyTorch computes slopes with ``torch.func.jvp`` (mapped over the tangents)
and differentiates them again. One process, the same arrays, the same number of threads; the tangents are random
orthonormal bases, stored in float16 by skae and in float32 by PyTorch. The libraries take turns of one epoch, from
random weights on; medians of the times and of the ratios of neighboring epochs are shown.

skae skips outputs that are certain for a sample: ``kept`` is the fraction of output gradients that it would propagate
for the first batch at the last weights. A line then has the difference of the gradient of the penalty from PyTorch's
there, which is partly due to float16. ``--random-labels`` shows the times if nothing is skipped.

    python benchmarks/bench_mtc.py --data DIR [--samples 50000] [--batch-sizes 32 64 128 256] [--tangents 10]
        [--repeats 3] [--random-labels]

DIR (or SKAE_DATA) holds mnist.npz; without it random data and labels are used. PyTorch is optional.
"""

import argparse
import os
import statistics

import numpy as np
from bench_autoencoder import load, sgemm_rate, timed
from bench_deep import torch_with
from threadpoolctl import threadpool_info, threadpool_limits

from skae._threads import team
from skae.manifold._store import TangentStore
from skae.nn.losses import Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.tangent_propagation import TangentPropagation
from skae.training.batches import Batches
from skae.training.loop import Problem, TrainingState, minimize
from skae.training.solvers import Adam

SIZES = (784, 1000, 1000, 10)
STRENGTH = 1.0


def tangents(n_samples, n_features, n_tangents):
    """Return random orthonormal tangents."""
    rng = np.random.default_rng(0)
    some = rng.standard_normal((64, n_features, n_tangents)).astype(np.float32)
    some = np.linalg.qr(some)[0].transpose(0, 2, 1)
    return np.ascontiguousarray(some[rng.integers(0, 64, n_samples)])


class Skae:
    """Trains as ``ManifoldTangentClassifier`` does: a call is an epoch."""

    def __init__(self, X, Y, basis, random, batch_size):
        self.network = Network(SIZES, ("sigmoid", "sigmoid", "identity"), decoder=None)
        self._loss = Reconstruction([Multinomial(np.arange(SIZES[-1]))])
        self._X, self._Y, self._batch_size = X, Y, batch_size
        rows, k = np.arange(len(X)), basis.shape[1]
        store = TangentStore(
            self.network, X, rows, k, dtype="float16", random=random, tol=0.1, seed=0
        )
        store._basis[:] = basis
        self._penalty = TangentPropagation(STRENGTH, self.network, self._loss, store)
        self._solver, rng = Adam(), np.random.default_rng(0)
        params = self.network.initial(rng, X.dtype)
        self.state = TrainingState(params, self._solver.start(params), rng, 0)
        self(rows[: 2 * batch_size])

    def __call__(self, rows=None):
        objective = self._objective([self._penalty])
        rows = np.arange(len(self._X)) if rows is None else rows
        problem = Problem(objective, self._X, targets=self._Y)
        with team():
            minimize(
                objective,
                self.state,
                self._solver,
                problem.batches(rows, self._batch_size, by_steps=True, shuffle=True),
                learning_rate=1e-3,
                max_epochs=len(self.state.loss_curve) + 1,
                stopping=None,
                observers=[],
            )

    def kept(self, n):
        """Return the share of gradients of the outputs that come down, of the first ``n`` samples as one batch."""
        logits = self.network.encode(self.network.views(self.state.params), self._X[:n])
        means = self._loss.activate(logits)
        return self._penalty.significant(means, np.ones(n, means.dtype)).sum() / (
            n * (SIZES[-1] - 1)
        )

    def penalty_gradient(self, n):
        """Return the penalty's gradient of the first ``n`` samples as one batch."""
        batch = next(Batches(self._X[:n], None, n, targets=self._Y[:n]).epoch(None))
        grads = []
        for penalties in ([self._penalty], []):
            grad = np.empty_like(self.state.params)
            objective = self._objective(penalties)
            objective(self.state.params, batch, grad, np.random.default_rng(0))
            grads.append(grad)
        return grads[0] - grads[1]

    def _objective(self, penalties):
        return Objective(self.network, self._loss, penalties=penalties)


class Torch:
    """Trains the same in PyTorch: a call is an epoch."""

    def __init__(self, X, Y, basis, random, batch_size):
        import torch
        from torch import nn

        torch.manual_seed(0)
        widths = list(zip(SIZES, SIZES[1:]))
        layers = [layer for low, high in widths for layer in (nn.Linear(low, high), nn.Sigmoid())]
        self._torch, self._net = torch, nn.Sequential(*layers[:-1])
        self._random, self._batch_size = random, batch_size
        self._X, self._Y = torch.from_numpy(X), torch.from_numpy(Y)
        self._planes = torch.from_numpy(basis)
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr=1e-3, fused=True)
        self(torch.arange(2 * batch_size))

    def __call__(self, rows=None):
        order = self._torch.randperm(len(self._X)) if rows is None else rows
        for some in order.split(self._batch_size):
            logits = self._net(self._X[some])
            loss = self._torch.nn.functional.cross_entropy(logits, self._Y[some])
            loss = loss + self._penalty(some)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()

    def penalty_gradient(self, n, params):
        """Return the penalty's gradient of the first ``n`` samples at skae's ``params``."""
        linear = [layer for layer in self._net if hasattr(layer, "weight")]
        wanted = [layer.weight for layer in linear] + [layer.bias for layer in linear]
        with self._torch.no_grad():
            for own, given in zip(wanted, [*params.encoder_weights, *params.encoder_biases]):
                own[:] = self._torch.from_numpy(given)
        grads = self._torch.autograd.grad(self._penalty(self._torch.arange(n)), wanted)
        return np.concatenate([grad.ravel().numpy() for grad in grads])

    def _penalty(self, rows):
        from torch.func import functional_call, jvp, vmap

        x, params = self._X[rows], dict(self._net.named_parameters())

        def outputs(x):
            return functional_call(self._net, params, (x,)).softmax(1)

        def slope(u):
            return jvp(outputs, (x,), (u,))[1]

        planes = self._planes[rows]
        if self._random:
            signs = self._torch.randint(0, 2, (len(x), 1, planes.shape[1])).float() * 2 - 1
            slopes = slope((signs @ planes)[:, 0])
        else:
            slopes = vmap(slope)(planes.transpose(0, 1))
        return STRENGTH * (slopes**2).sum() / len(x)


def flop(n_directions):
    """Return the floating-point operations of a step per sample, in matrix products alone, by forward mode.

    skae makes 7% fewer of the exact penalty with 10 directions and less than half with 25, since gradients of the
    outputs meet the directions half-way, and fewer still where it leaves some out: its GFLOP/s are those that forward
    mode would need.
    """
    weights = 2 * sum(low * high for low, high in zip(SIZES, SIZES[1:]))
    # Nothing asks for the gradient at the input or at the tangents.
    one_pass = 3 * weights - 2 * SIZES[0] * SIZES[1]
    return one_pass * (1 + n_directions)


def compare(X, Y, basis, batch_size, rate, arguments):
    """Time both libraries at one batch size."""
    epochs = {
        "skae exact": Skae(X, Y, basis, False, batch_size),
        "skae random": Skae(X, Y, basis, True, batch_size),
    }
    if torch_with(arguments.threads) is not None:
        epochs["torch exact"] = Torch(X, Y, basis, False, batch_size)
        epochs["torch random"] = Torch(X, Y, basis, True, batch_size)
    seconds = timed(epochs, arguments.repeats)
    for name, values in seconds.items():
        value = statistics.median(values)
        total = flop(1 if "random" in name else basis.shape[1]) * len(X) / value / 1e9
        ratios = [
            f"{statistics.median(p / own for p, own in zip(seconds[peer], values)):14.2f}"
            for peer in ("torch exact", "torch random")
            if peer in seconds
        ]
        kept = f"{100 * epochs[name].kept(batch_size):5.0f}%" if name == "skae exact" else " " * 6
        print(
            f"{batch_size:5d}  {name:12s} {value:8.2f} {len(X) / value:10,.0f} {total:8.0f} "
            f"{100 * total / rate:10.0f}% " + "  ".join(ratios) + kept,
            flush=True,
        )
    if "torch exact" in epochs:
        print_difference(epochs["skae exact"], epochs["torch exact"], min(len(X), 512))


def print_difference(ours, peer, n):
    """Print how far apart gradients of the exact penalty are at the weights that skae has come to."""
    expected = peer.penalty_gradient(n, ours.network.views(ours.state.params))
    difference = np.linalg.norm(ours.penalty_gradient(n) - expected) / np.linalg.norm(expected)
    print(
        f"       gradients of the exact penalty differ by {difference:.1e} of their norm",
        flush=True,
    )


def labels(arguments):
    """Return one-hot labels: MNIST's if they are wanted and there."""
    if arguments.data and not arguments.random_labels:
        with np.load(os.path.join(arguments.data, "mnist.npz")) as file:
            y = file["y_train"][: arguments.samples]
    else:
        y = np.random.default_rng(0).integers(0, SIZES[-1], arguments.samples)
    return np.eye(SIZES[-1], dtype=np.float32)[y]


def main():
    """Time every batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--samples", type=int, default=50000)
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[32, 64, 128, 256])
    parser.add_argument("--tangents", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--random-labels", action="store_true")
    arguments = parser.parse_args()
    X, Y = load(arguments.data, arguments.samples), labels(arguments)
    basis = tangents(*X.shape, arguments.tangents)
    with threadpool_limits(arguments.threads):
        pools = [f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()]
        rate = sgemm_rate()
        print(
            f"{len(X)} x {X.shape[1]} float32, {arguments.tangents} tangents, threads: {', '.join(pools)}; sgemm {rate:.0f} GFLOP/s"
        )
        print(
            "batch  library       s/epoch  samples/s  GFLOP/s  % of sgemm  beside torch exact  torch random  kept"
        )
        for batch_size in arguments.batch_sizes:
            compare(X, Y, basis, batch_size, rate, arguments)


if __name__ == "__main__":
    main()
