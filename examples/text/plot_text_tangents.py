"""
Tangents of texts, read as words
================================

An auto-encoder of bags of words also has tangents: directions in which a text may change and remain a text of the same
kind. They can be read as words that appear and words that disappear. The texts are the documentation of the functions
that are installed with this package, their summaries and notes (``function_texts.py`` in this folder), or news of the
Reuters-21578 collection if the folder SKAE_DATA has ``reuters.npz``.
"""

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse
from function_texts import STOP_WORDS, function_texts
from sklearn.feature_extraction.text import CountVectorizer

from skae import ContractiveAE
from skae.manifold import tangent_basis, tangent_terms


def documentation():
    """Return the names of functions, the counts of frequent words in their texts, and the words."""
    texts = function_texts()
    words = CountVectorizer(
        stop_words=STOP_WORDS,
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
# Whether a word occurs: binary cells, each with its cross-entropy. Only one minibatch at a time is made dense.
X = (counts > 0).astype(np.float32).tocsr()
cae = ContractiveAE(
    200, contraction=0.3, loss="bernoulli", batch_size=100, max_iter=30, random_state=0
).fit(X)

# %%
# Each text with some of its words, and its three leading tangents.
sizes = np.asarray(X.sum(axis=1)).ravel()
chosen = np.flatnonzero(sizes > 30)[:: max(1, np.sum(sizes > 30) // 6)][:6]
basis, values = tangent_basis(cae, X[chosen], n_tangents=3)
for text, tangents, s in zip(chosen, tangent_terms(basis, words, n_terms=7), values):
    print(f"\n{titles[text] or 'no topic'}: {' '.join(words[X[text].indices[:12]])} ...")
    for value, terms in zip(s, tangents):
        print(f"  {value:5.2f}  {terms}")

# %%
# The leading tangent of three texts: words that appear in one color, words that disappear in the other.
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, text, tangents in zip(axes, chosen, basis):
    direction = tangents[0]
    largest = np.argsort(np.abs(direction))[-12:]
    largest = largest[np.argsort(direction[largest])]
    colors = np.where(direction[largest] > 0, "tab:blue", "tab:orange")
    ax.barh(words[largest], direction[largest], color=colors)
    ax.set(title=titles[text] or "no topic", xlabel="weight in the tangent")
figure.suptitle(
    "Words that come (blue) and go (orange) along the leading tangent of a text", weight="bold"
)
figure.savefig("text_tangents.png")
