"""Training speed on a GPU, or in bfloat16 on the CPU, compared with PyTorch on the same machine.

Tied contractive and denoising auto-encoders 784-1000, a deep auto-encoder 784-1000-500-250-30, an RBM of 784 and 1000
units (CD-1), and the manifold tangent classifier 784-1000-1000-10 with 10 tangents of each sample; batches of 256 and
1024. PyTorch runs eagerly in float32, and compiled; on the CPU eagerly in float32 and with
``set_float32_matmul_precision("medium")``. Data are in the memory of the device. The libraries take turns of one epoch,
and medians of the times are shown. On a GPU each comparison runs in its own process: all compile in parallel, and are
then timed one after another. Last, fifteen tangents of each sample are computed there.

    python benchmarks/bench_engines.py --data DIR [--device cuda] [--samples 60000] [--repeats 3] [--models CAE DAE
    deep]

DIR (or SKAE_DATA) holds mnist.npz; without it the data are random.
"""

import argparse
import os
import re
import statistics
import time
import warnings
from contextlib import nullcontext, redirect_stdout, suppress
from io import StringIO
from threading import BrokenBarrierError

import numpy as np
import torch
from bench_autoencoder import load
from sklearn import config_context
from torch import multiprocessing
from torch.nn import functional as F

import skae
from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAE,
)
from skae.manifold import tangent_basis
from skae.training import device_steps

MODELS = "CAE", "DAE", "deep", "RBM", "MTC"
N_TANGENTS = 10
DEEP = 1000, 500, 250, 30


def model(name, batch_size, n_epochs, X, **engine):
    """Return the estimator."""
    options = {"batch_size": batch_size, "random_state": 0, "max_iter": n_epochs, **engine}
    options |= {"learning_rate": "constant"}
    if name == "RBM":
        return RBM(1000, solver="sgd", learning_rate_init=0.01, **options)
    if name == "MTC":
        layers = [(each, ContractiveAE(1000, max_iter=1)) for each in ("low", "high")]
        base = StackedAE(layers, random_state=0, **engine).fit(X[:2000])
        tangents = {"n_tangents": N_TANGENTS, "tangent_sampling": "exact", "corruption": None}
        return ManifoldTangentClassifier(base, prefit=True, **tangents, **options)
    options |= {"loss": "bernoulli", "warm_start": True, "learning_rate_init": 3e-3}
    if name == "CAE":
        return ContractiveAE(1000, contraction=0.1, **options)
    if name == "DAE":
        return DenoisingAE(1000, corruption_level=0.3, tied_weights=True, **options)
    return AutoEncoder(DEEP[-1], hidden_layer_sizes=DEEP[:-1], **options)


def skae_seconds(name, X, batch_size, n_epochs, *, compiled=False, **engine):
    """Return a function that gives the median seconds of epochs but the first of a fit, and the last loss.

    On a GPU steps are recorded from the first one on; ``compiled`` is whether kernels are compiled, as in long
    trainings.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model(name, batch_size, n_epochs, X, **engine).set_params(verbose=1)
    y = np.arange(len(X)) % 10

    def run():
        device_steps._RECORDED_AFTER, device_steps._COMPILED_AFTER = 0, 0 if compiled else 10**9
        with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(X, y)
        seconds = [float(each) for each in re.findall(r"([\d.e+-]+) s,", printed.getvalue())]
        return statistics.median(seconds[1:]), fitted.loss_

    return run


def torch_seconds(name, X, batch_size, n_epochs, device, *, compiled=False, precision="highest"):
    """Return the same for PyTorch: fused Adam, or plain gradient steps of the RBM."""
    torch.manual_seed(0)
    data, step = torch.from_numpy(X).to(device), STEPS.get(name, autoencoder_step)
    step = step(name, X, device, (lambda f: torch.compile(f)) if compiled else (lambda f: f))

    def epoch():
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(data), device=device).split(batch_size):
            total += step(data[rows], rows) * len(rows)
        return float(total) / len(data)

    def run():
        torch.set_float32_matmul_precision(precision)
        times = [time.perf_counter()]
        for _ in range(n_epochs):
            loss = epoch()
            times.append(time.perf_counter())
        torch.set_float32_matmul_precision("highest")
        return statistics.median(np.diff(times)[1:].tolist()), loss

    return run


def weights(sizes, device):
    """Return matrices and biases of layers of these widths, to be trained."""
    pairs = list(zip(sizes, sizes[1:]))
    W = [
        torch.empty(high, low, device=device).uniform_(-1, 1).mul_(np.sqrt(6 / (low + high)))
        for low, high in pairs
    ]
    b = [torch.zeros(high, device=device) for _, high in pairs]
    return [each.requires_grad_() for each in W], [each.requires_grad_() for each in b]


def trained(objective, parameters):
    """Return a step of Adam on ``objective(x, rows)``."""
    optimizer = torch.optim.Adam(parameters, lr=3e-3, fused=True)

    def step(x, rows):
        optimizer.zero_grad()
        loss = objective(x, rows)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def autoencoder_step(name, X, device, compiled):
    """Return a step of an auto-encoder."""
    W, b = weights((X.shape[1], *(DEEP if name == "deep" else (1000,))), device)
    c = [torch.zeros(each.shape[1], device=device, requires_grad=True) for each in W]

    def objective(x, rows):
        h = x * (torch.rand_like(x) >= 0.3) if name == "DAE" else x
        for matrix, bias in zip(W, b):
            h = torch.sigmoid(F.linear(h, matrix, bias))
        code = h
        for place in reversed(range(len(W))):
            h = F.linear(h, W[place].t(), c[place])
            h = torch.sigmoid(h) if place else h
        loss = F.binary_cross_entropy_with_logits(h, x, reduction="sum") / len(x)
        if name == "CAE":
            loss = loss + 0.1 * ((code * (1 - code)) ** 2 @ (W[0] ** 2).sum(1)).mean()
        return loss

    return trained(compiled(objective), [*W, *b, *c])


def rbm_step(name, X, device, compiled):
    """Return a step of contrastive divergence."""
    W, b = ([each.detach() for each in part] for part in weights((X.shape[1], 1000), device))
    W, b, c = W[0], b[0], torch.zeros(X.shape[1], device=device)

    @torch.no_grad()
    def update(x):
        codes = torch.sigmoid(F.linear(x, W, b))
        drawn = F.linear((torch.rand_like(codes) < codes).to(x.dtype), W.t(), c)
        sample = (torch.rand_like(drawn) < torch.sigmoid(drawn)).to(x.dtype)
        again = torch.sigmoid(F.linear(sample, W, b))
        rate = 0.01 / len(x)
        W.add_(codes.t() @ x - again.t() @ sample, alpha=rate)
        b.add_((codes - again).sum(0), alpha=rate)
        c.add_((x - sample).sum(0), alpha=rate)
        watched = F.linear(codes[: len(x) // 32], W.t(), c)
        return F.binary_cross_entropy_with_logits(watched, x[: len(x) // 32]) * x.shape[1]

    update = compiled(update)
    return lambda x, rows: update(x)


def tangent_step(name, X, device, compiled):
    """Return a step of tangent propagation, whose slopes are by forward mode, mapped over the tangents."""
    W, b = weights((X.shape[1], 1000, 1000, 10), device)
    y = torch.arange(len(X), device=device) % 10
    planes = torch.randn(len(X), N_TANGENTS, X.shape[1], device=device).half() / X.shape[1] ** 0.5

    def logits(x):
        h = x
        for matrix, bias in zip(W[:-1], b[:-1]):
            h = torch.sigmoid(F.linear(h, matrix, bias))
        return F.linear(h, W[-1], b[-1])

    def objective(x, rows):
        def slope(u):
            return torch.func.jvp(lambda x: logits(x).softmax(1), (x,), (u,))[1]

        slopes = torch.func.vmap(slope)(planes[rows].float().transpose(0, 1))
        return F.cross_entropy(logits(x), y[rows]) + (slopes**2).sum() / len(x)

    return trained(compiled(objective), [*W, *b])


STEPS = {"RBM": rbm_step, "MTC": tangent_step}


def contenders(name, X, batch_size, n_epochs, device):
    """Return the functions to time, by the names of the columns."""
    ours, theirs = (name, X, batch_size, n_epochs), (name, X, batch_size, n_epochs, device)
    if device == "cpu":
        return {
            "skae bf16": skae_seconds(*ours, precision="bfloat16"),
            "skae": skae_seconds(*ours),
            "torch": torch_seconds(*theirs),
            "torch medium": torch_seconds(*theirs, precision="medium"),
        }
    found = {
        "skae": skae_seconds(*ours, device=device),
        "skae compiled": skae_seconds(*ours, device=device, compiled=True),
        "skae bf16": skae_seconds(*ours, device=device, compiled=True, precision="bfloat16"),
        "torch": torch_seconds(*theirs),
    }
    # torch.compile does not take a mapped jvp whose derivative is asked for.
    return (
        found
        if name == "MTC"
        else found | {"torch compiled": torch_seconds(*theirs, compiled=True)}
    )


def compare(name, batch_size, args, everyone=None, turn=None):
    """Print a line of the table.

    Where processes are side by side, ``everyone`` is the barrier that they reach when they have compiled, and ``turn``
    the lock of the one that is timed.
    """
    X = load(args.data, args.samples)
    # Those of MTC keep ten tangents for each.
    runs = contenders(
        name, X[:20_000] if name == "MTC" else X, batch_size, args.epochs, args.device
    )
    if everyone is not None:
        start = time.perf_counter()
        for run in runs.values():
            run()
        print(f"{name} {batch_size}: ready after {time.perf_counter() - start:.0f} s", flush=True)
        with suppress(BrokenBarrierError):  # who is late is not waited for
            everyone.wait()
    with turn or nullcontext():
        results = {column: [] for column in runs}
        for _ in range(args.repeats):
            for column, run in runs.items():
                results[column].append(run())
        cells = [
            f"{column} {statistics.median(s for s, _ in found):.4f} ({found[-1][1]:.2f})"
            for column, found in results.items()
        ]
        print(f"{name:5s} {batch_size:5d}: " + "; ".join(cells), flush=True)


def compare_in_processes(args):
    """Print the table of a GPU."""
    context, tasks = multiprocessing.get_context("spawn"), []
    n_tasks = len(args.models) * len(args.batch_sizes)
    everyone, turn = context.Barrier(n_tasks, timeout=args.patience), context.Lock()
    for name in args.models:
        for batch_size in args.batch_sizes:
            tasks.append(
                context.Process(target=compare, args=(name, batch_size, args, everyone, turn))
            )
            tasks[-1].start()
    for task in tasks:
        task.join()


def print_tangents(args):
    """Print the seconds to find fifteen tangents of each sample on the device."""
    X = torch.from_numpy(load(args.data, args.samples)).to(args.device)
    for n_layers in (1, 2):
        layers = [(str(n), ContractiveAE(1000, max_iter=2)) for n in range(n_layers)]
        with config_context(array_api_dispatch=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = StackedAE(layers, random_state=0).fit(X)
            tangent_basis(fitted, X[:2000])
            torch.cuda.synchronize()
            start = time.perf_counter()
            tangent_basis(fitted, X)
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        print(f"15 tangents of {len(X)} rows, {n_layers} layers: {seconds:.2f} s", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--patience", type=float, default=120, help="seconds to wait for the others"
    )
    args = parser.parse_args()
    skae.show_engines()
    print(
        f"{args.samples} rows (MTC: 20,000 at most); seconds an epoch (median), and the loss of the last one"
    )
    if args.device == "cpu":
        for name in args.models:
            for batch_size in args.batch_sizes:
                compare(name, batch_size, args)
    else:
        compare_in_processes(args)
        print_tangents(args)


if __name__ == "__main__":
    main()
