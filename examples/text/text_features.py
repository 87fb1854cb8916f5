"""
Features of texts, read as words
================================

A truncated SVD reduces the TF-IDF weights of texts to 100 columns, and a sparse auto-encoder learns 200 features of
these, 8 of which are active in each text. The direction of a feature is mapped back through the SVD to words; the texts
with the largest activations tell whether the words are right. The texts are the documentation of the functions that are
installed with this package, their summaries and notes (``function_texts.py`` in this folder).
"""

# %%
from function_texts import STOP_WORDS, function_texts
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skae import SparseAutoEncoder
from skae.plotting import SparseFeatureDisplay

texts = function_texts()
titles = list(texts.values())

# %%
words = TfidfVectorizer(
    stop_words=STOP_WORDS,
    min_df=5,
    max_df=0.3,
    token_pattern="[a-z]{3,}",
    sublinear_tf=True,
)
svd = TruncatedSVD(100, random_state=0)
X = make_pipeline(words, svd).fit_transform(texts)
model = SparseAutoEncoder(200, k=8, random_state=0).fit(X)
report = model.report(X)
print(f"{len(titles)} texts; {1 - report.unexplained:.0%} explained, {report.dead:.1%} dead")

# %%
display = SparseFeatureDisplay.from_estimator(
    model, X, n_features=12, n_samples=6,
    words=words.get_feature_names_out(), to_words=svd.inverse_transform,
)  # fmt: skip
display.figure_.suptitle("A feature is a topic, and its direction reads as words", weight="bold")
for feature, pairs in zip(display.features, display.words):
    print(f"\nfeature {feature}: {', '.join(word for word, _ in pairs)}")
    strongest = model.top_samples(X, int(feature), 4).indices
    print(f"  {', '.join(titles[row] for row in strongest)}")
