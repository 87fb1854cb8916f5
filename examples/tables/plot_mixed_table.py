"""
A table with text and gaps
==========================

A table of customers has two columns of text and three of numbers, and a seventh of its cells is missing. Each category
becomes a 0/1 column, which is missing where the text is; the auto-encoder accepts this. A classifier uses its codes,
and ``Imputer`` fills the gaps in numbers and text.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAE, Imputer

rng = np.random.default_rng(0)
n_rows = 1500
kind = rng.integers(4, size=n_rows)  # a group of customers, which is no column
cities, plans = np.array(["Lima", "Oslo", "Pune", "Rome"]), np.array(["basic", "family", "office"])
whole = pd.DataFrame(
    {
        "city": np.where(rng.random(n_rows) < 0.8, cities[kind], rng.choice(cities, n_rows)),
        "plan": np.where(rng.random(n_rows) < 0.8, plans[kind % 3], rng.choice(plans, n_rows)),
        "age": 25 + 10 * kind + rng.normal(0, 4, n_rows),
        "income": 60 - 9 * kind + rng.normal(0, 5, n_rows),
        "visits": 2.0 + kind % 2 * 5 + rng.normal(0, 1, n_rows),
    }
)
stays = rng.random(n_rows) < np.array([0.1, 0.9, 0.2, 0.8])[kind]
gaps = rng.random(whole.shape) < 0.15
table = whole.mask(gaps)
print(table.head())


# %%
# A 0/1 column for each category, all of which are NaN where the text is missing: ``OneHotEncoder`` would turn missing
# text into another category.
def one_hot(table):
    """Return numbers as they are and one column per category."""
    parts = [table.select_dtypes("number")]
    for name in table.select_dtypes(exclude="number"):
        columns = pd.get_dummies(table[name], prefix=name, dtype=float)
        columns[table[name].isna()] = np.nan
        parts.append(columns)
    return pd.concat(parts, axis=1)


X = one_hot(table)
print(X.head())

# %%
# Codes for a classifier: the auto-encoder takes NaN in ``fit`` and in ``transform``.
linear = LogisticRegression(max_iter=1000)
scores = {
    "SimpleImputer": make_pipeline(SimpleImputer(), StandardScaler(), linear),
    "DenoisingAE": make_pipeline(DenoisingAE(random_state=0), linear),
}
for name, model in scores.items():
    scores[name] = cross_val_score(model, X, stays, cv=5).mean()
    print(f"{name:15s} accuracy {scores[name]:.3f}")

# %%
# Fill the gaps: numbers with an estimate, categories with the column of the largest probability.
filled = Imputer(DenoisingAE(random_state=0)).set_output(transform="pandas").fit_transform(X)
right, errors = {}, {}
for name in ("city", "plan"):
    label = filled.filter(like=f"{name}_").idxmax(axis=1).str.removeprefix(f"{name}_")
    missing = table[name].isna()
    frequent = table[name].mode()[0]
    right[name] = [np.mean(guess == whole[name][missing]) for guess in (frequent, label[missing])]
for name in ("age", "income", "visits"):
    missing, deviation = table[name].isna(), table[name].std()
    errors[name] = [
        np.sqrt(np.mean((guess - whole[name][missing]) ** 2)) / deviation
        for guess in (table[name].mean(), filled[name][missing])
    ]
print(pd.DataFrame(right, index=["most frequent", "DenoisingAE"]).round(2))
print(pd.DataFrame(errors, index=["mean", "DenoisingAE"]).round(2))

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
pd.DataFrame(right, index=["most frequent", "DenoisingAE"]).T.plot.bar(ax=axes[0], rot=0)
axes[0].set(title="Missing text", ylabel="share that is right", ylim=(0, 1.3))
pd.DataFrame(errors, index=["mean", "DenoisingAE"]).T.plot.bar(ax=axes[1], rot=0)
axes[1].set(title="Missing numbers", ylabel="error, standard deviations", ylim=(0, 1.4))
bars = axes[2].bar(list(scores), list(scores.values()), color=["C0", "C1"])
axes[2].bar_label(bars, fmt="%.3f")
axes[2].set(title="A linear classifier afterwards", ylabel="accuracy", ylim=(0, 1))
figure.suptitle(
    "One model fills in text and numbers; its codes are as good for a classifier", weight="bold"
)
figure.savefig("mixed_table.png")
