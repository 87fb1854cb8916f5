"""Parzen log-likelihoods of MNIST under samples of a DBN, of contractive and of denoising auto-encoders.

The table of Rifai et al. (ICML 2012) again: two layers each, 10,000 samples, a gaussian kernel around each, its width
chosen on the last 10,000 training images, the 10,000 test images scored once. CAE-2 walks in code space with the
Jacobian's covariance and, for comparison, with isotropic noise; the size of the noise is chosen by the score of
some validation images. DAE-2 corrupts and reconstructs. DBN-2 is a chain of its highest RBM. All have 1000
chains, which begin at training images; after a burn-in of 20 steps, 10 states are kept, 5 steps apart. Samples are means
of the output units.

Parzen scores mislead: k-means centers beat real data (Theis et al. 2016), and of samples that are like no image they hardly
take notice: look at the sheets, where chains of auto-encoders end in states that reconstruct themselves far from all
data, the more the longer they are. Training images and k-means stand beside. The
last columns are what a chain that stays where it was would betray: the smallest share of a class among the samples (1-NN),
and the mean distance of a sample from the start of its chain, beside that of two training images.

    python benchmarks/repro_parzen.py --data DIR [--epochs 30] [--samples 10000]

Each row is kept in ``repro_parzen.jsonl`` and skipped when the script is started again; layers have checkpoints. Sheets of
samples are ``repro_parzen_*.png``.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from records import Records
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from skae import DBN, RBM, ContractiveAE, DenoisingAE, StackedAE
from skae.datasets import fetch_mnist
from skae.generative import parzen_log_likelihood, sample_chain, sample_walkback

RESULTS = Path(__file__).parent / "results"
PUBLISHED = {"DBN-2": "137.89 +- 2.11", "CAE-2 jacobian": "121.17 +- 1.59"}
NOISE = {
    "CAE-2 jacobian": (0.1, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5),
    "CAE-2 isotropic": (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0),
}
METHODS = (
    "DBN-2",
    "CAE-2 jacobian",
    "CAE-2 isotropic",
    "DAE-2",
    "training data",
    "k-means",
)
N_CHAINS, BURN_IN, THIN = 1000, 20, 5


class Models:
    """The fitted models, each trained when it is first asked for, from its checkpoint where there is one."""

    def __init__(self, X, arguments):
        self._X, self._arguments, self._fitted = X, arguments, {}

    def __getitem__(self, name):
        if name not in self._fitted:
            self._fitted[name] = self._build(name).fit(self._X)
        return self._fitted[name]

    def _build(self, name):
        epochs, width = self._arguments.epochs, self._arguments.width
        options = {"max_iter": epochs, "tol": 0.0}
        contractive = {"contraction": 1.0, "curvature": 1.0, "batch_size": 100}
        layers = {
            "DBN-2": lambda: RBM(width, weight_decay=2e-4, **options),
            "CAE-2": lambda: ContractiveAE(width, **contractive, **options),
            "DAE-2": lambda: DenoisingAE(width, corruption_level=0.4, batch_size=100, **options),
        }[name]
        low, high = layers(), layers()
        if name == "DBN-2":
            # The highest RBM alone is sampled from: longer chains find the modes that data do not have.
            high.set_params(n_gibbs_steps=5)
        low.set_params(**{"visible" if name == "DBN-2" else "loss": "bernoulli"})
        path = Path(self._arguments.results) / f"repro_parzen.{name}.stack"
        composed = DBN if name == "DBN-2" else StackedAE
        return composed(
            [("low", low), ("high", high)], random_state=0, checkpoint=path, resume=True
        )


def drawn(method, models, X, n_samples, noise=None):
    """Return samples of a method, and the starts of their chains."""
    rng = np.random.default_rng(0)
    starts = X[rng.choice(len(X), N_CHAINS, replace=False)]
    n_kept = -(-n_samples // N_CHAINS)
    n_steps = BURN_IN + n_kept * THIN
    kept = {"burn_in": BURN_IN, "thin": THIN, "random_state": 0}
    if method == "training data":
        return X[rng.choice(len(X), n_samples, replace=False)], None
    if method == "k-means":
        means = MiniBatchKMeans(n_samples, init="random", n_init=1, random_state=0)
        return means.fit(X).cluster_centers_.astype(X.dtype), None
    if method == "DBN-2":
        low, top = (layer for _, layer in models[method].layers_)
        states, samples = low.transform(starts), []
        for number in range(n_kept):
            n_steps = BURN_IN if number == 0 else THIN
            states = top.sample(start=states, n_steps=n_steps, random_state=number)
            samples.append(low.inverse_transform(states))
        return np.concatenate(samples)[:n_samples], starts
    if method == "DAE-2":
        model, masking = models[method], {"corruption": "masking", "corruption_level": 0.4}
        states = sample_walkback(model, starts, n_steps, **masking, **kept)
        means = model.reconstruct(states.reshape(-1, X.shape[1]))
        return means[:n_samples], starts
    covariance = method.split()[1]
    states = sample_chain(models["CAE-2"], starts, n_steps, noise, covariance=covariance, **kept)
    return states.reshape(-1, X.shape[1])[:n_samples], starts


def chosen_noise(method, models, X, X_validation, n_samples):
    """Return the noise whose samples score best on some validation images."""
    scores = {}
    for noise in NOISE[method]:
        samples, _ = drawn(method, models, X, n_samples, noise)
        few = X_validation[:2000]
        scores[noise] = parzen_log_likelihood(samples, few, X_validation=few).mean
    return max(scores, key=scores.get)


def look(samples, starts, X, y):
    """Return the smallest share of a class, and how far samples are from the starts of their chains."""
    rng = np.random.default_rng(1)
    some = rng.choice(len(samples), min(1000, len(samples)), replace=False)
    rows = rng.choice(len(X), 10_000, replace=False)
    seen = KNeighborsClassifier(1).fit(X[rows], y[rows]).predict(samples[some])
    distance = np.nan
    if starts is not None:
        # States stand chain beside chain, time after time.
        distance = np.linalg.norm(
            samples - starts[np.arange(len(samples)) % N_CHAINS], axis=1
        ).mean()
    pairs = np.linalg.norm(X[rows[:5000]] - X[rows[5000:]], axis=1).mean()
    return {
        "smallest_class": round(np.bincount(seen, minlength=10).min() / len(seen), 3),
        "moved": round(float(distance), 2),
        "pairs": round(float(pairs), 2),
    }


def save_sheet(samples, path):
    """Save a picture of ten chains (rows) at ten of their states, or of samples where there is no chain."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n_kept = max(len(samples) // N_CHAINS, 1)
    times = np.linspace(0, n_kept - 1, 10).astype(int)
    places = times[np.newaxis] * N_CHAINS + np.arange(10)[:, np.newaxis]
    tiles = samples[places].reshape(10, 10, 28, 28).transpose(0, 2, 1, 3).reshape(280, 280)
    plt.imsave(path, np.kron(np.clip(tiles, 0, 1), np.ones((2, 2))), cmap="gray")


def row(method, models, data, arguments):
    """Return the measurements of one method."""
    X, y, X_validation, X_test = data
    noise = (
        chosen_noise(method, models, X, X_validation, arguments.samples)
        if method in NOISE
        else None
    )
    samples, starts = drawn(method, models, X, arguments.samples, noise)
    likelihood = parzen_log_likelihood(samples, X_test, X_validation=X_validation)
    slug = method.replace(" ", "_").lower()
    save_sheet(samples, Path(arguments.results) / f"repro_parzen_{slug}.png")
    return {
        "noise": noise,
        "log_likelihood": round(likelihood.mean, 2),
        "standard_error": round(likelihood.standard_error, 2),
        "kernel": round(likelihood.sigma, 4),
        **look(samples, starts, X, y),
    }


def main():
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--epochs", type=int, default=30, help="of each layer")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    mnist = fetch_mnist(arguments.data)
    X, y = mnist.data[:50_000], mnist.target[:50_000]
    data = X, y, mnist.data[50_000:60_000], mnist.data[60_000:]
    records, models = Records(arguments.results, "repro_parzen"), Models(X, arguments)
    lines = []
    with threadpool_limits(arguments.threads):
        for method in arguments.methods:
            key = {"method": method, "samples": arguments.samples, "width": arguments.width}
            key["epochs"] = arguments.epochs if method[-1] == "2" or "CAE" in method else None
            found = records.once(key, lambda method=method: row(method, models, data, arguments))
            lines.append(
                f"{method:16s} {found['log_likelihood']:9.2f} +- {found['standard_error']:.2f}  {PUBLISHED.get(method, ''):15s} "
                f"{found['kernel']:7.3f} {found['noise'] or '':>6} {found['smallest_class']:9.3f} "
                f"{found['moved']:7.2f} ({found['pairs']:.2f})"
            )
    head = (
        f"MNIST, {arguments.samples} samples, 784-{arguments.width}-{arguments.width}, {arguments.epochs} epochs a layer; "
        "log-likelihood of test images in nats\n"
        "samples        log-likelihood  published        kernel  noise  smallest class  moved (pairs)"
    )
    records.table("\n".join([head, *lines]))


if __name__ == "__main__":
    main()
