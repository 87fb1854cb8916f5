"""Training speed on a GPU, or in bfloat16 on the CPU, beside PyTorch on the same machine.

Tied contractive and denoising auto-encoders 784-1000 and a deep auto-encoder 784-1000-500-250-30; batches of 256 and 1024.
PyTorch runs eagerly in float32, and compiled; on the CPU eagerly in float32 and with ``set_float32_matmul_precision("medium")``.
Data are in the memory of the device. Epochs alternate between the libraries: medians of the times.

    python benchmarks/bench_engines.py --data DIR [--device cuda] [--samples 60000] [--repeats 3] [--models CAE DAE deep]

DIR (or SKAE_DATA) holds mnist.npz; without it the data are random.
"""

import argparse
import os
import re
import statistics
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import torch
from bench_autoencoder import load
from torch.nn import functional as F

import skae
from skae import AutoEncoder, ContractiveAE, DenoisingAE

MODELS = "CAE", "DAE", "deep"
DEEP = 1000, 500, 250, 30


def model(name, batch_size, n_epochs, **engine):
    """Return the estimator."""
    options = {
        "loss": "bernoulli",
        "batch_size": batch_size,
        "random_state": 0,
        "max_iter": n_epochs,
    }
    options |= {"warm_start": True, "learning_rate": "constant", **engine}
    if name == "CAE":
        return ContractiveAE(1000, contraction=0.1, **options)
    if name == "DAE":
        return DenoisingAE(1000, corruption_level=0.3, tied_weights=True, **options)
    return AutoEncoder(DEEP[-1], hidden_layer_sizes=DEEP[:-1], **options)


def skae_seconds(name, X, batch_size, n_epochs, **engine):
    """Return a function that gives the median seconds of epochs but the first of a fit, and the last loss."""
    fitted = model(name, batch_size, n_epochs, verbose=1, **engine)

    def run():
        with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(X)
        seconds = [float(each) for each in re.findall(r"([\d.e+-]+) s,", printed.getvalue())]
        return statistics.median(seconds[1:]), fitted.loss_

    return run


def torch_seconds(name, X, batch_size, n_epochs, device, *, compiled=False, precision="highest"):
    """Return the same for PyTorch, with fused Adam."""
    torch.manual_seed(0)
    data = torch.from_numpy(X).to(device)
    sizes = (X.shape[1], *(DEEP if name == "deep" else (1000,)))
    bounds = [np.sqrt(6 / (low + high)) for low, high in zip(sizes, sizes[1:])]
    W = [
        torch.empty(high, low, device=device).uniform_(-bound, bound).requires_grad_()
        for low, high, bound in zip(sizes, sizes[1:], bounds)
    ]
    b = [torch.zeros(high, device=device, requires_grad=True) for high in sizes[1:]]
    c = [torch.zeros(low, device=device, requires_grad=True) for low in sizes[:-1]]

    def objective(x):
        h = x * (torch.rand_like(x) >= 0.3) if name == "DAE" else x
        for weights, bias in zip(W, b):
            h = torch.sigmoid(F.linear(h, weights, bias))
        code = h
        for place in reversed(range(len(W))):
            h = F.linear(h, W[place].t(), c[place])
            h = torch.sigmoid(h) if place else h
        loss = F.binary_cross_entropy_with_logits(h, x, reduction="sum") / len(x)
        if name == "CAE":
            loss = loss + 0.1 * ((code * (1 - code)) ** 2 @ (W[0] ** 2).sum(1)).mean()
        return loss

    optimizer = torch.optim.Adam([*W, *b, *c], lr=3e-3, fused=True)
    step = torch.compile(objective) if compiled else objective

    def epoch():
        total = torch.zeros((), device=device)
        for rows in torch.randperm(len(data), device=device).split(batch_size):
            optimizer.zero_grad()
            loss = step(data[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
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
    return {
        "skae": skae_seconds(*ours, device=device),
        "skae bf16": skae_seconds(*ours, device=device, precision="bfloat16"),
        "torch": torch_seconds(*theirs),
        "torch compiled": torch_seconds(*theirs, compiled=True),
    }


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--samples", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    args = parser.parse_args()
    skae.show_engines()
    X = load(args.data, args.samples)
    print(f"{len(X)} rows; seconds an epoch (median), and the loss of the last one")
    for name in args.models:
        for batch_size in args.batch_sizes:
            runs = contenders(name, X, batch_size, args.epochs, args.device)
            results = {column: [] for column in runs}
            for _ in range(args.repeats):
                for column, run in runs.items():
                    results[column].append(run())
            cells = [
                f"{column} {statistics.median(s for s, _ in found):.4f} ({found[-1][1]:.2f})"
                for column, found in results.items()
            ]
            print(f"{name:5s} {batch_size:5d}: " + "; ".join(cells), flush=True)


if __name__ == "__main__":
    main()
