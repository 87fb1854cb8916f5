"""
Tangents of texts, read as words
================================

An auto-encoder of bags of words also has tangents: directions in which a text may change and remain a text of the same
kind. They can be read as words that come and go together. The texts are profiles of 255 countries and territories
from The World Factbook, which is in the public domain (``countries.tsv`` and ``country_texts.py`` in this
folder).
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from country_texts import country_texts
from sklearn.feature_extraction.text import CountVectorizer

from skae import ContractiveAE
from skae.manifold import tangent_basis, tangent_terms

names, texts = country_texts()

# %%
# Whether a word occurs: binary cells, each with its cross-entropy.
vectorizer = CountVectorizer(
    stop_words="english",
    min_df=20,
    max_df=0.5,
    token_pattern="[a-z]{3,}",
    binary=True,
    dtype=np.float32,
)
X = vectorizer.fit_transform(texts)
words = vectorizer.get_feature_names_out()
cae = ContractiveAE(
    10, contraction=1.0, loss="bernoulli", batch_size=20, max_iter=200, random_state=0
).fit(X)
print(f"{X.shape[0]} texts, {X.shape[1]} words")

# %%
# Some countries with some of their words, and their two leading tangents.
chosen = [names.index(name) for name in ("Malaysia", "Norway", "Qatar", "Ireland")]
basis, values = tangent_basis(cae, X[chosen], n_tangents=2)
for text, tangents, s in zip(chosen, tangent_terms(basis, words, n_terms=7), values):
    print(f"\n{names[text]}: {' '.join(words[X[text].indices[:12]])} ...")
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
    ax.set(title=names[text], xlabel="weight in the tangent")
figure.suptitle(
    "Words that come (blue) and go (orange) along the leading tangent of a text", weight="bold"
)
figure.savefig("text_tangents.png")
