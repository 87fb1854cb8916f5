"""One recipe in PyTorch, written independently of skae: CAE-1 on basic, and skae's in the same run.

784-1000-10, sigmoid units. Pre-training: tied weights, cross-entropy and the contractive penalty, Adam with a cosine,
15 epochs of batch 100 on 12,000 images without labels. Fine-tuning: cross-entropy of the classes, a quarter of the
inputs masked at random and the others scaled up, Adam with a cosine, 60 epochs on 10,000 of them. The last weights are
tested on 50,000 images. Nothing is tuned here. The question is whether the two means are closer to each other than the
seeds are.

    python benchmarks/repro_torch.py --data DIR [--seeds 3] [--threads 1] [--contraction 1.0] [--short]

DIR (or SKAE_DATA) has mnist.npz. Each fit is kept in ``repro_torch.jsonl``, and skipped when the script is started
again. ``--short`` takes a third of the epochs and writes ``repro_torch_short``.
"""

import argparse
import math
import os
from functools import partial
from pathlib import Path

import numpy as np
from records import Records
from threadpoolctl import threadpool_limits

from skae import ContractiveAE, StackedAEClassifier
from skae.datasets import fetch_mnist, make_digits, published_split

RESULTS = Path(__file__).parent / "results"
N_UNITS, BATCH_SIZE, MASKED, RATE = 1000, 100, 0.25, 3e-3


def load(folder):
    """Return the three parts of basic."""
    mnist = fetch_mnist(folder)
    return published_split(
        *make_digits(mnist.data, mnist.target, "basic", random_state=2007), "basic"
    )


def skae_error(data, seed, arguments):
    """Return the test error of the package."""
    options = {"batch_size": BATCH_SIZE, "learning_rate_init": RATE}
    layer = ContractiveAE(
        N_UNITS,
        contraction=arguments.contraction,
        loss="bernoulli",
        standardize=False,
        max_iter=arguments.pretraining_epochs,
        **options,
    )
    net = StackedAEClassifier(
        [("layer", layer)],
        corruption="masking",
        corruption_level=MASKED,
        dropout=0.0,
        max_iter=arguments.epochs,
        random_state=seed,
        **options,
    )
    (X, y), (others, _) = data.train, data.validation
    # Rows without a label are seen in pre-training only.
    net.fit(np.concatenate([X, others]), np.concatenate([y, np.full(len(others), -1)]))
    return 1 - net.score(*data.test)


def torch_error(data, seed, arguments):
    """Return the test error of PyTorch."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(seed)
    X, y = torch.from_numpy(data.train[0]), torch.from_numpy(data.train[1].astype(np.int64))
    everything = torch.cat([X, torch.from_numpy(data.validation[0])])
    bound = math.sqrt(6 / (X.shape[1] + N_UNITS))
    W = torch.empty(N_UNITS, X.shape[1]).uniform_(-bound, bound).requires_grad_()
    b, c = (torch.zeros(n, requires_grad=True) for n in (N_UNITS, X.shape[1]))

    def reconstruction(rows):
        x = everything[rows]
        h = torch.sigmoid(F.linear(x, W, b))
        loss = F.binary_cross_entropy_with_logits(F.linear(h, W.t(), c), x, reduction="sum")
        contraction = ((h * (1 - h)) ** 2 @ (W**2).sum(1)).sum()
        return (loss + arguments.contraction * contraction) / len(x)

    torch_training(reconstruction, [W, b, c], len(everything), arguments.pretraining_epochs)
    bound = math.sqrt(6 / (N_UNITS + 10))
    V = torch.empty(10, N_UNITS).uniform_(-bound, bound).requires_grad_()
    d = torch.zeros(10, requires_grad=True)

    def classification(rows):
        x = F.dropout(X[rows], MASKED)
        return F.cross_entropy(F.linear(torch.sigmoid(F.linear(x, W, b)), V, d), y[rows])

    torch_training(classification, [W, b, V, d], len(X), arguments.epochs)
    with torch.no_grad():
        test = torch.from_numpy(data.test[0])
        predicted = F.linear(torch.sigmoid(F.linear(test, W, b)), V, d).argmax(1).numpy()
    return np.mean(predicted != data.test[1])


def torch_training(objective, parameters, n_rows, n_epochs):
    """Minimize ``objective(rows)`` by Adam with a cosine."""
    import torch

    optimizer = torch.optim.Adam(parameters, lr=RATE)
    n_steps = n_epochs * math.ceil(n_rows / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(n_epochs):
        for rows in torch.randperm(n_rows).split(BATCH_SIZE):
            optimizer.zero_grad()
            objective(rows).backward()
            optimizer.step()
            schedule.step()


def measured(records, library, function, seed, arguments):
    """Return the error in percent of one fit, which is made once."""
    key = {"library": library, "seed": seed, "contraction": arguments.contraction}
    key["epochs"] = [arguments.pretraining_epochs, arguments.epochs]
    record = records.once(key, lambda: {"test_error": round(100 * function(), 4)})
    return record["test_error"]


def main():
    """Fit what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contraction", type=float, default=1.0)
    parser.add_argument("--pretraining-epochs", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--short", action="store_true", help="in ten minutes")
    arguments = parser.parse_args()
    form = "repro_torch"
    if arguments.short:
        form, arguments.pretraining_epochs, arguments.epochs = "repro_torch_short", 5, 20
    import torch

    torch.set_num_threads(arguments.threads)
    records, data = Records(arguments.results, form), load(arguments.data)
    lines = [f"CAE-1 on basic, contraction {arguments.contraction:g}: test error in percent"]
    spread = {}
    with threadpool_limits(arguments.threads):
        for library, function in (("skae", skae_error), ("torch", torch_error)):
            errors = [
                measured(
                    records, library, partial(function, data, seed, arguments), seed, arguments
                )
                for seed in range(arguments.seeds)
            ]
            spread[library] = np.mean(errors), np.std(errors, ddof=1) if len(errors) > 1 else 0.0
            seeds = " ".join(f"{error:.2f}" for error in errors)
            lines.append(
                f"{library:6s} {spread[library][0]:5.2f}, deviation {spread[library][1]:.2f}; seeds {seeds}; {records.hours(library=library):.2f} hours"
            )
    difference = spread["skae"][0] - spread["torch"][0]
    lines.append(f"difference of the means {difference:+.2f}")
    records.table("\n".join(lines))


if __name__ == "__main__":
    main()
