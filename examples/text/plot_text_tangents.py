"""
Tangents of texts, read as words
================================

An auto-encoder of bags of words has tangents too: directions in which a text may change and stay a text of its kind.
Read back, they are words that come and words that go. The texts are the documentation of the functions that are
installed with this package, their summaries and notes; with a folder that holds ``reuters.npz`` (SKAE_DATA), news of the Reuters-21578
collection.
"""

# %%
import inspect
import os
import re
from importlib import import_module
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from skae import ContractiveAE
from skae.manifold import tangent_basis, tangent_terms

MODULES = [
    *("numpy", "numpy.linalg", "numpy.random", "numpy.fft", "scipy.linalg", "scipy.optimize"),
    *("scipy.signal", "scipy.stats", "scipy.sparse", "scipy.special", "scipy.spatial.distance"),
    *("scipy.ndimage", "scipy.interpolate", "sklearn.metrics", "sklearn.datasets"),
    *("sklearn.linear_model", "sklearn.ensemble", "sklearn.cluster", "sklearn.preprocessing"),
]


def prose(docstring):
    """Return the summary and the notes of a docstring: its other sections, of parameters and references, are much alike."""
    parts = re.split(r"\n([A-Z][\w ]+)\n-{3,}\n", docstring)
    notes = [text for name, text in zip(parts[1::2], parts[2::2]) if name == "Notes"]
    summary = re.sub(r"^\w+\(.*\)", "", parts[0])  # without the signature
    return re.sub(r">>>.*|https?\S+|:\w+:|\.\. \w+::", " ", "\n".join([summary, *notes]))


def documentation():
    """Return the texts of public functions, and how often each frequent word is in them."""
    texts = {}
    for name in MODULES:
        for member, value in inspect.getmembers(import_module(name)):
            text = prose(inspect.getdoc(value) or "") if callable(value) else ""
            if len(text) > 300 and not member.startswith("_"):
                texts[text] = f"{name}.{member}"
    words = CountVectorizer(
        stop_words=[*ENGLISH_STOP_WORDS, "read", "user", "guide", "true", "false", "none"],
        min_df=10,
        max_df=0.2,
        token_pattern="[a-z]{3,}",
        max_features=1000,
    )
    counts = words.fit_transform(texts)
    return list(texts.values()), counts, words.get_feature_names_out()


def reuters(path):
    """Return topics of news, word counts and words."""
    with np.load(path) as file:
        parts = [file[f"{name}_train"] for name in ("data", "indices", "indptr")]
        counts = scipy.sparse.csr_matrix(tuple(parts), shape=(len(parts[2]) - 1, 2000))
        topics = [" ".join(file["topics"][row > 0]) for row in file["y_train"]]
        return topics, counts, file["vocab"]


path = Path(os.environ.get("SKAE_DATA", ".")) / "reuters.npz"
titles, counts, words = reuters(path) if path.exists() else documentation()
print(f"{counts.shape[0]} texts, {counts.shape[1]} words")

# %%
# Whether a word is there: binary cells, each with its cross-entropy. Rows stay sparse but for a minibatch.
X = (counts > 0).astype(np.float32).tocsr()
cae = ContractiveAE(
    200, contraction=0.3, loss="bernoulli", batch_size=100, max_iter=30, random_state=0
).fit(X)

# %%
# Each text with the words that it has, and its three leading tangents.
sizes = np.asarray(X.sum(axis=1)).ravel()
chosen = np.flatnonzero(sizes > 30)[:: max(1, np.sum(sizes > 30) // 6)][:6]
basis, values = tangent_basis(cae, X[chosen], n_tangents=3)
for text, tangents, s in zip(chosen, tangent_terms(basis, words, n_terms=7), values):
    print(f"\n{titles[text] or 'no topic'}: {' '.join(words[X[text].indices[:12]])} ...")
    for value, terms in zip(s, tangents):
        print(f"  {value:5.2f}  {terms}")

# %%
# The leading tangent of three texts: words that come in one color, words that go in the other.
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, text, tangents in zip(axes, chosen, basis):
    direction = tangents[0]
    largest = np.argsort(np.abs(direction))[-12:]
    largest = largest[np.argsort(direction[largest])]
    colors = np.where(direction[largest] > 0, "tab:blue", "tab:orange")
    ax.barh(words[largest], direction[largest], color=colors)
    ax.set(title=titles[text] or "no topic", xlabel="weight in the tangent")
figure.suptitle("Words that come (blue) and go (orange) along the leading tangent of a text")
figure.savefig("text_tangents.png", dpi=80)
