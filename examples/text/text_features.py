"""
Features of texts, read as words
================================

A truncated SVD reduces the TF-IDF weights of texts to 60 columns, and a sparse auto-encoder learns 24 features of these,
3 of which are active in each text. The direction of a feature is mapped back through the SVD to words; the texts with
the largest activations tell whether the words are right. The texts are profiles of 255 countries and territories
from The World Factbook, which is in the public domain: climate, terrain, resources, hazards, farm products and
industries (``countries.tsv`` and ``country_texts.py`` in this folder).
"""

# %%
from country_texts import country_texts
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skae import SparseAutoEncoder
from skae.plotting import SparseFeatureDisplay

names, texts = country_texts()

# %%
words = TfidfVectorizer(
    stop_words="english",
    min_df=4,
    max_df=0.4,
    token_pattern="[a-z]{3,}",
    sublinear_tf=True,
)
svd = TruncatedSVD(60, random_state=0)
X = make_pipeline(words, svd).fit_transform(texts)
model = SparseAutoEncoder(24, k=3, max_iter=500, random_state=0).fit(X)
report = model.report(X)
print(f"{len(names)} texts; {1 - report.unexplained:.0%} explained, {report.dead:.1%} dead")

# %%
display = SparseFeatureDisplay.from_estimator(
    model, X, n_features=12, n_samples=6,
    words=words.get_feature_names_out(), to_words=svd.inverse_transform,
)  # fmt: skip
display.figure_.suptitle("A feature is a topic, and its direction reads as words", weight="bold")
for feature, pairs in zip(display.features, display.words):
    print(f"\nfeature {feature}: {', '.join(word for word, _ in pairs)}")
    strongest = model.top_samples(X, int(feature), 5).indices
    print(f"  {', '.join(names[row] for row in strongest)}")
