"""Samples of MNIST from a DBN and from contractive and denoising auto-encoders: their appearance and Parzen scores.

The table of Rifai et al. (ICML 2012) and the sheets of samples are reproduced. Each model has two hidden layers and
draws 10,000 samples. A gaussian kernel is put around each; its width is chosen on the last 10,000 training images, and
the 10,000 test images are scored once.

- DBN-2 is a chain of its top RBM, which persistent chains train.
- CAE-2, with first biases of 0, walks in code space with the Jacobian's covariance, with that of the code's own
  reconstruction and, for comparison, with isotropic noise.
- CAE-2 denoising has two such layers that begin with units that are off, fine-tuned together, in twice as many epochs,
  to remove salt-and-pepper noise on 60% of the pixels from images whose pixels are drawn (on with the probability of
  their gray value). Its chain corrupts and draws from the reconstruction. With noise on half of the pixels and as many
  epochs as for a layer, chains that ended in little junk missed a class (0.8 and 1.4%), and others had 2.3 and 6.3%.
- DAE-2 is one deep denoiser of images whose pixels are drawn: relu, untied, salt-and-pepper noise on half of the
  pixels. Its chain corrupts and draws from the reconstruction. The published sheet is that of a greedy stack of masking
  denoisers: noise on its codes is not noise on the pixels, and its chain ends in black images.

All have 1000 chains, which begin at training images; after a burn-in of 20 steps, 10 states are kept, 5 steps apart.
Samples are means of the output units. Long chains, of 1000 steps from training images and from noise, are judged by
their last states (200 chains of CAE-2 and DAE-2, in an earlier form of this benchmark).

The size of the noise is chosen without test images, by 1000 chains (200 for CAE-2 in code space): of sizes with at most
2% of junk (see below) after 1000 steps, the one with the largest smallest class; if there is none, the one with the
least junk. The contraction was chosen in the same way and by eye, with 500 units and 20,000 images: with less of it
chains leave the data, and with more they end in few classes. Chains of layers that were trained together end in blobs.

Parzen scores mislead: k-means centers beat real data (Theis et al. 2016), and samples that are unlike any image hardly
lower the score. The other columns are the fraction of samples that are farther from all training images than 99% of
held-out ones are (``junk``, by the angle between images, since blank ones would otherwise be close to all thin
strokes; ``blobs`` of CAE-2 by their distance, since the angle to thick strokes is small); the smallest fraction of a
class (1-NN); the mean distance of a sample from the start of its chain, and that of two training images; and the steps
after which the correlation with a state falls below 1/e (``memory``).

    python benchmarks/repro_parzen.py --data DIR [--epochs 30] [--samples 10000] [--short]

``repro_parzen_greedy.txt`` and its sheets are from an earlier form of this benchmark, with the greedy stack of masking
denoisers, and chains of the highest contractive layer alone.

Each row is kept in ``repro_parzen.jsonl`` and skipped when the script is started again; layers have checkpoints. Sheets
of samples are ``repro_parzen_*.png``: each row is a chain, from its start to step 1000. ``--short`` learns from 10,000
images with 500 units, draws 2000 samples from 200 chains, and writes ``repro_parzen_short``.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from records import Records
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from skae import DBN, RBM, ContractiveAE, DenoisingAE, StackedAE
from skae.datasets import fetch_mnist
from skae.generative import parzen_log_likelihood, sample_chain, sample_walkback

RESULTS = Path(__file__).parent / "results"
PUBLISHED = {"DBN-2": "137.89 +- 2.11", "CAE-2 jacobian": "121.17 +- 1.59"}
NOISE = {
    "CAE-2 jacobian": (1.0, 1.5, 2.0, 2.5, 3.0),
    "CAE-2 reconstruction": (0.3, 0.5, 0.8),
    "CAE-2 isotropic": (0.1, 0.2, 0.4),
    "CAE-2 denoising": (0.6, 0.65, 0.7),
}
MOST_JUNK = 2  # percent
TOP_EPOCHS = 50  # of the machine that is sampled from
CONTRACTION = "4*auto"
DENOISERS = ("CAE-2 denoising", "DAE-2")
TRAINING_NOISE = {"CAE-2 denoising": 0.6, "DAE-2": 0.5}  # fraction of the pixels that are corrupted
METHODS = (
    "DBN-2",
    "CAE-2 jacobian",
    "CAE-2 reconstruction",
    "CAE-2 isotropic",
    "CAE-2 denoising",
    "DAE-2",
    "training data",
    "k-means",
)
BURN_IN, THIN = 20, 5
LONG, EVERY = 1000, 20  # steps of long chains, and how often their states are looked at
SHORT = {"n_images": 10_000, "epochs": 10, "width": 500, "samples": 2000, "chains": 200}


class Models:
    """The fitted models, each trained when it is first asked for, from its checkpoint where there is one."""

    def __init__(self, X, arguments):
        self._X, self._arguments, self._fitted = X, arguments, {}

    def __getitem__(self, name):
        if name not in self._fitted:
            X = binary(self._X) if name in DENOISERS else self._X
            self._fitted[name] = self._build(name).fit(X)
        return self._fitted[name]

    def _build(self, name):
        epochs, width = self._arguments.epochs, self._arguments.width
        path = (
            Path(self._arguments.results)
            / f"{form_of(self._arguments)}.{name.replace(' ', '_')}.stack"
        )
        saved = {"random_state": 0, "checkpoint": path, "resume": True}
        options = {"max_iter": epochs}
        if name == "DAE-2":
            return DenoisingAE(
                width,
                hidden_layer_sizes=(width,),
                activation="relu",
                tied_weights=False,
                loss="bernoulli",
                corruption="salt_and_pepper",
                corruption_level=TRAINING_NOISE[name],
                batch_size=100,
                learning_rate="cosine",
                learning_rate_init=1e-3,
                **options,
                **saved,
            )
        if name == "DBN-2":
            shared = {"visible": "bernoulli", "weight_decay": 2e-4, "solver": "sgd"}
            constant = {"learning_rate": "constant", "learning_rate_init": 0.1, "tol": 0}
            low = RBM(width, max_iter=epochs, **constant, **shared)
            # The highest RBM alone is sampled from: persistent chains find the modes that data do not have.
            cosine = {"learning_rate": "cosine", "learning_rate_init": 0.05}
            high = RBM(width, gradient="pcd", max_iter=TOP_EPOCHS, **cosine, **shared)
            return DBN([("low", low), ("high", high)], **saved)
        options |= {"loss": "bernoulli", "batch_size": 100, "learning_rate_init": 1e-3}
        if name == "CAE-2":
            options["bias_init"] = "zeros"  # as in the papers
        low = ContractiveAE(width, contraction=CONTRACTION, **options)
        fine_tuning = {
            "fine_tune": "reconstruction",
            "corruption": "salt_and_pepper",
            "batch_size": 100,
            "learning_rate_init": 1e-3,
            "max_iter": 2 * epochs,
        }
        if name in DENOISERS:
            saved |= fine_tuning | {"corruption_level": TRAINING_NOISE[name]}
        return StackedAE([("low", low), ("high", clone(low))], **saved)


def form_of(arguments):
    """Return how the names of files begin."""
    return "repro_parzen_short" if arguments.short else "repro_parzen"


def binary(X):
    """Return X with each pixel on with the probability of its gray value."""
    return (np.random.default_rng(0).random(X.shape, X.dtype) < X).astype(X.dtype)


def chains(method, models, starts, n_steps, noise=None, *, burn_in=0, thin=1):
    """Return states of the chains of a method, of shape (n_kept, n_chains, n_pixels)."""
    kept = {"burn_in": burn_in, "thin": thin, "random_state": 0}
    if method in DENOISERS:
        level = noise or TRAINING_NOISE[method]
        corruption = {"corruption": "salt_and_pepper", "corruption_level": level}
        states = sample_walkback(models[method], binary(starts), n_steps, **corruption, **kept)
        return np.stack([models[method].reconstruct(state) for state in states])
    if method != "DBN-2":
        covariance = method.split()[1]
        return sample_chain(models["CAE-2"], starts, n_steps, noise, covariance=covariance, **kept)
    low, top = (layer for _, layer in models[method].layers_)
    state, states = low.transform(starts), []
    for number in range((n_steps - burn_in) // thin):
        steps = burn_in + thin if number == 0 else thin
        state = top.sample(start=state, n_steps=steps, random_state=number)
        states.append(low.inverse_transform(state))
    return np.stack(states)


def drawn(method, models, X, n_samples, n_chains, noise=None):
    """Return samples of a method, and the starts of their chains."""
    rng = np.random.default_rng(0)
    starts = X[rng.choice(len(X), n_chains, replace=False)]
    if method == "training data":
        return X[rng.choice(len(X), n_samples, replace=False)], None
    if method == "k-means":
        means = MiniBatchKMeans(n_samples, init="random", n_init=1, random_state=0)
        return means.fit(X).cluster_centers_.astype(X.dtype), None
    n_steps = BURN_IN + -(-n_samples // n_chains) * THIN
    states = chains(method, models, starts, n_steps, noise, burn_in=BURN_IN, thin=THIN)
    # States stand chain beside chain, time after time.
    return states.reshape(-1, X.shape[1])[:n_samples], starts


def chosen_noise(method, models, X, look, n_chains):
    """Return the noise whose long chains end in little junk and in all classes."""
    rng, found = np.random.default_rng(3), {}
    starts = X[rng.choice(len(X), n_chains, replace=False)]
    for noise in NOISE[method]:
        ends = look.at(chains(method, models, starts, LONG, noise, thin=LONG)[-1])
        junk = max(ends["junk"], ends["blobs"], MOST_JUNK)
        found[noise] = junk, -ends["smallest_class"]
    return min(found, key=found.get)


class Look:
    """What samples are like, beside 10,000 training images."""

    def __init__(self, X, y, X_validation):
        rng = np.random.default_rng(1)
        rows = rng.choice(len(X), 10_000, replace=False)
        self._X, self._y = X[rows], y[rows]
        self._nearest = NearestNeighbors(n_neighbors=1, metric="cosine").fit(self._X)
        self._by_distance = NearestNeighbors(n_neighbors=1).fit(self._X)
        angles, _ = self._nearest.kneighbors(X_validation[:5000])
        distances, _ = self._by_distance.kneighbors(X_validation[:5000])
        self._limits = np.percentile(angles, 99), np.percentile(distances, 99)

    def at(self, samples):
        """Return the shares of junk, by angle and by distance, and the smallest share of a class, in percent."""
        angles, neighbors = self._nearest.kneighbors(samples)
        distances, _ = self._by_distance.kneighbors(samples)
        classes = np.bincount(self._y[neighbors[:, 0]], minlength=10)
        return {
            "junk": round(100 * float((angles > self._limits[0]).mean()), 1),
            "blobs": round(100 * float((distances > self._limits[1]).mean()), 1),
            "smallest_class": round(100 * float(classes.min() / len(samples)), 1),
        }

    def pairs(self):
        """Return the mean distance of two training images."""
        return float(np.linalg.norm(self._X[:5000] - self._X[5000:], axis=1).mean())


def memory(states):
    """Return after how many states the correlation with a state falls below 1/e, over all pixels and chains."""
    centered = states - states.mean(axis=(0, 1))
    variance = (centered**2).mean()
    for lag in range(1, len(states)):
        if (centered[lag:] * centered[:-lag]).mean() < variance / np.e:
            return lag
    return len(states)


def long_chains(method, models, X, look, noise, path, n_chains):
    """Return what chains of 1000 steps end in, from training images and from noise; save their sheet."""
    rng = np.random.default_rng(2)
    starts = X[rng.choice(len(X), n_chains, replace=False)]
    states = chains(method, models, starts, LONG, noise, thin=EVERY)
    save_sheet(states, path)
    found = {f"end_{key}": value for key, value in look.at(states[-1]).items()}
    found["memory"] = EVERY * memory(states)
    from_noise = chains(method, models, rng.random(starts.shape, X.dtype), LONG, noise, thin=LONG)
    found |= {f"noise_{key}": value for key, value in look.at(from_noise[-1]).items()}
    return found


def save_sheet(states, path):
    """Save a picture of ten chains, one in a row, at ten of their states; a single state is of samples without chains."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    if len(states) == 1:
        states = states[0, :100].reshape(10, 10, -1).transpose(1, 0, 2)
    times = np.linspace(0, len(states) - 1, 10).astype(int)
    tiles = states[times, :10].transpose(1, 0, 2).reshape(10, 10, 28, 28)
    sheet = tiles.transpose(0, 2, 1, 3).reshape(280, 280)
    plt.imsave(path, np.kron(np.clip(sheet, 0, 1), np.ones((2, 2))), cmap="gray")


def row(method, models, data, look, arguments):
    """Return the measurements of one method."""
    X, X_validation, X_test = data
    noise = None
    if method in NOISE:
        noise = chosen_noise(method, models, X, look, arguments.chains)
    samples, starts = drawn(method, models, X, arguments.samples, arguments.chains, noise)
    likelihood = parzen_log_likelihood(samples, X_test, X_validation=X_validation)
    path = Path(arguments.results) / f"{form_of(arguments)}_{method.replace(' ', '_').lower()}.png"
    found = {
        "noise": noise,
        "log_likelihood": round(likelihood.mean, 2),
        "standard_error": round(likelihood.standard_error, 2),
        "kernel": round(likelihood.sigma, 4),
        **look.at(samples[:2000]),
    }
    if starts is None:
        save_sheet(samples[np.newaxis], path)
        return found
    places = np.arange(len(samples)) % arguments.chains
    moved = np.linalg.norm(samples - starts[places], axis=1).mean()
    return found | {
        "moved": round(float(moved), 2),
        **long_chains(method, models, X, look, noise, path, arguments.chains),
    }


def line(method, found):
    """Return the line of the table of one method."""
    score = f"{found['log_likelihood']:8.1f} +- {found['standard_error']:.1f}"
    columns = [
        f"{method:21s} {score:>16s}  {PUBLISHED.get(method, ''):15s} {found['kernel']:6.3f}",
        f"{found['noise'] or '':>5} {found['junk']:6.1f} {found['smallest_class']:6.1f}",
    ]
    if "moved" in found:
        ends = [
            f"{found[f'{start}_junk']:5.1f} {found[f'{start}_smallest_class']:5.1f}"
            for start in ("end", "noise")
        ]
        blobs = found.get("end_blobs", "")  # not known of earlier rows
        columns.append(
            f"{found['moved']:6.2f}  {ends[0]}   {ends[1]} {found['memory']:6d} {blobs:>6} {found['seconds'] / 3600:6.1f}"
        )
    return "  ".join(columns)


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
    parser.add_argument("--short", action="store_true", help="the order, in ten minutes")
    parser.set_defaults(n_images=50_000, chains=1000)
    arguments = parser.parse_args()
    if arguments.short:
        vars(arguments).update(SHORT)
    mnist = fetch_mnist(arguments.data)
    X, y = mnist.data[: arguments.n_images], mnist.target[: arguments.n_images]
    data = X, mnist.data[50_000:60_000], mnist.data[60_000:]
    look = Look(X, y, data[1])
    records, models = Records(arguments.results, form_of(arguments)), Models(X, arguments)
    lines = []
    with threadpool_limits(arguments.threads):
        for method in arguments.methods:
            key = {"method": method, "samples": arguments.samples, "width": arguments.width}
            key["epochs"] = arguments.epochs if "-2" in method else None
            # A row without this key is of less noise in fewer epochs.
            if method == "CAE-2 denoising":
                key["training_noise"] = TRAINING_NOISE[method]
            # Rows without this key are of chains of the highest layer alone.
            if method in NOISE and method not in DENOISERS:
                key["chain"] = "all layers"
            if method == "DBN-2":  # rows without this key are of short chains
                key["top"] = f"persistent chains, {TOP_EPOCHS} epochs"
            found = records.once(
                key, lambda method=method: row(method, models, data, look, arguments)
            )
            lines.append(line(method, found))
    head = (
        f"MNIST, {arguments.samples} samples, 784-{arguments.width}-{arguments.width}, {arguments.epochs} epochs a layer; "
        "log-likelihood of test images in nats;\njunk and smallest class in percent, of samples and of the ends of chains of "
        f"{LONG} steps; two training images are {look.pairs():.2f} apart\n"
        f"{'samples':21s} {'log-likelihood':>16s}  {'published':15s} kernel  noise   junk  class   moved  from data      from noise   memory  blobs  hours"
    )
    records.table("\n".join([head, *lines]))


if __name__ == "__main__":
    main()
