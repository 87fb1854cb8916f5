"""Whether sparse auto-encoders recover a known dictionary.

Samples are sums of about 10 of 1024 features of norm 1 in 256 dimensions. Frequencies fall as a power of the rank,
amplitudes are in [0.5, 1.5], and noise has a standard deviation of 0.01. The table has the mean over true features of
the largest cosine with a learned one, the fraction of features active in no sample, the unexplained variance, features
per sample, and seconds: for TopK, BatchTopK and JumpReLU of skae, for SparseCoder, and for TopK written in PyTorch (if
it is installed). All use the same steps, batches and learning rates, and one thread. Measurements in the result file
are not repeated.

    python benchmarks/sae_recovery.py [--samples 50000] [--epochs 30 60] [--models "skae TopK" ...] [--table]

``--table`` prints the results so far.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
from records import Records
from threadpoolctl import threadpool_limits

from skae import SparseAutoEncoder, SparseCoder

N_FEATURES, N_DIMENSIONS, N_ACTIVE, NOISE = 1024, 256, 10, 0.01
RATE, BATCH_SIZE = 5e-3, 256
POWERS = (0.5, 1.0)


def planted(n_samples, power, seed=0):
    """Return float32 samples, and the features."""
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((N_FEATURES, N_DIMENSIONS), dtype=np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    shares = np.arange(1, N_FEATURES + 1) ** -power
    # No feature is in more than half of the samples.
    for _ in range(50):
        shares = np.minimum(shares * N_ACTIVE / shares.sum(), 0.5)
    X = NOISE * rng.standard_normal((n_samples, N_DIMENSIONS), dtype=np.float32)
    for rows in np.array_split(np.arange(n_samples), max(n_samples // 5000, 1)):
        active = rng.random((len(rows), N_FEATURES), dtype=np.float32) < shares
        X[rows] += (active * (0.5 + rng.random(active.shape, dtype=np.float32))) @ atoms
    return X, atoms


def cosines(true, found):
    """Return the mean over ``true`` directions of the largest cosine with one of ``found``."""
    found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return float((true @ found.T).max(axis=1).mean())


def summary(true, found, codes, X, reconstruction):
    """Return the figures of one model."""
    counts = np.asarray((codes != 0).sum(axis=0)).ravel()
    return {
        "cosine": round(cosines(true, found), 4),
        "dead": round(float(np.mean(counts == 0)), 4),
        "unexplained": round(
            float(np.sum((X - reconstruction) ** 2) / np.sum((X - X.mean(0)) ** 2)), 4
        ),
        "active": round(float(counts.sum() / len(X)), 2),
    }


def sparse_autoencoder(activation):
    """Return a function that trains skae's model, with its own standardization."""

    def train(X, n_epochs):
        model = SparseAutoEncoder(
            N_FEATURES,
            k=N_ACTIVE,
            activation=activation,
            alpha=1.0,
            learning_rate_init=RATE,
            batch_size=BATCH_SIZE,
            max_iter=n_epochs,
            standardize="shared",
            random_state=0,
        ).fit(X)
        return model.decoder_components_ * model.scale_, model.transform, model.reconstruct

    return train


def sparse_coder(X, n_epochs):
    """Train the dictionary of lasso codes."""
    model = SparseCoder(
        N_FEATURES,
        alpha=0.1,
        positive=True,
        sparse_output=True,
        max_iter=max(n_epochs // 10, 1),
        random_state=0,
    ).fit(X)
    return model.components_, model.transform, model.reconstruct


def torch_model(X, n_epochs):
    """Train TopK as in Gao et al. 2024 in PyTorch."""
    from torch_sae import TorchSAE

    scale, center = float(X.std(axis=0).mean()), X.mean(axis=0)
    model = TorchSAE(N_DIMENSIONS, N_FEATURES, N_ACTIVE, rate=RATE, dead_after=20)
    model.fit((X - center) / scale, n_epochs, BATCH_SIZE)

    def transform(x):
        return model.transform((x - center) / scale)

    return (
        model.atoms(),
        transform,
        lambda x: model.reconstruct((x - center) / scale) * scale + center,
    )


MODELS = {
    "skae TopK": sparse_autoencoder("topk"),
    "skae BatchTopK": sparse_autoencoder("batch_topk"),
    "skae JumpReLU": sparse_autoencoder("jumprelu"),
    "skae SparseCoder": sparse_coder,
    "PyTorch TopK": torch_model,
}


def measured(train, n_samples, n_epochs, power):
    """Return the figures of a model that ``train`` trains, on 10,000 of its samples, and the seconds."""
    X, true = planted(n_samples, power)
    start = time.perf_counter()
    found, transform, reconstruct = train(X, n_epochs)
    seconds = time.perf_counter() - start
    x = X[:10_000]
    return {
        **summary(true, found, transform(x), x, reconstruct(x)),
        "train_seconds": round(seconds, 1),
    }


def main():
    """Measure what the result file does not have, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[30])
    parser.add_argument("--table", action="store_true", help="of what is there: measure nothing")
    parser.add_argument("--results", default=Path(__file__).parent / "results")
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    records = Records(options.results, "sae_recovery", measuring=not options.table)
    lines = ["epochs  power  model              cosine   dead  unexplained  active  seconds"]
    for n_epochs, power, name in product(options.epochs, POWERS, options.models):
        key = {"model": name, "power": power, "samples": options.samples, "epochs": n_epochs}
        arguments = MODELS[name], options.samples, n_epochs, power
        with threadpool_limits(1):
            found = records.once(key, lambda arguments=arguments: measured(*arguments))
        if found is not None:
            lines.append(
                f"{n_epochs:6d}  {power:5.1f}  {name:17s}  {found['cosine']:6.4f} {found['dead']:6.4f}  "
                f"{found['unexplained']:11.4f}  {found['active']:6.2f}  {found['train_seconds']:7.1f}"
            )
    records.table("\n".join(lines))


if __name__ == "__main__":
    main()
