"""
A table with few labels: swap noise before logistic regression
==============================================================

A generated table of real, binary and one-hot columns, as in competitions, where few rows have a class. Rows belong to
hidden segments, each column depends a little on the segment, and so does the class. A stack of denoising auto-encoders
learns from unlabeled rows to restore cells that were swapped with those of other rows (as did the winner of Porto
Seguro's competition of 2017). Logistic regression on its codes is compared with logistic regression and gradient
boosting on the columns themselves: the codes win with few labels, and gradient boosting with many. The table is built
so that unlabeled rows are informative, which is not true of every table.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer

from skae import DenoisingAE, StackedAE


def make_table(n_rows, rng):
    """Return a frame of 20 real, 12 binary and 5 categorical columns, and the classes."""
    segments = rng.integers(16, size=n_rows)
    traits = 1.2 * rng.standard_normal((16, 6))[segments] + 0.7 * rng.standard_normal((n_rows, 6))
    bent = np.tanh(traits @ rng.standard_normal((6, 20)) + rng.standard_normal(20))
    reals = np.exp(bent + 0.7 * rng.standard_normal(bent.shape))
    odds = traits @ rng.standard_normal((6, 12)) + rng.logistic(size=(n_rows, 12))
    levels = np.einsum("nt,tcl->ncl", traits, rng.standard_normal((6, 5, 4)))
    choices = np.argmax(levels + rng.gumbel(size=levels.shape), axis=2)
    columns = {f"real{j}": column for j, column in enumerate(reals.T)}
    columns |= {f"flag{j}": column for j, column in enumerate((odds > 0).T.astype(float))}
    columns |= {f"kind{j}": np.array(list("abcd"))[column] for j, column in enumerate(choices.T)}
    chance = np.where(np.arange(16) % 2, 0.9, 0.1)[segments]
    return pd.DataFrame(columns), (rng.random(n_rows) < chance).astype(int)


table, y = make_table(9_000, np.random.default_rng(0))
prepare = make_column_transformer(
    (QuantileTransformer(output_distribution="normal"), make_column_selector("real")),
    (OneHotEncoder(sparse_output=False), make_column_selector("kind")),
    remainder="passthrough",
)
unlabeled, rest, y = table[:6_000], table[6_000:], y[6_000:]
X_unlabeled = prepare.fit_transform(unlabeled).astype(np.float32)
X = prepare.transform(rest).astype(np.float32)

# %%
# The first layer detects which columns are real, binary or groups of one-hot columns.
options = {"corruption": "swap", "corruption_level": 0.2, "batch_size": 128, "max_iter": 40}
stack = StackedAE(
    [("low", DenoisingAE(300, **options)), ("high", DenoisingAE(300, **options))], random_state=0
).fit(X_unlabeled)
codes = stack.transform(X)

# %%
linear = LogisticRegression(C=0.1, max_iter=1000)
contest = {
    "gradient boosting on columns": (HistGradientBoostingClassifier(random_state=0), X),
    "logistic regression on columns": (linear, X),
    "logistic regression on swap-noise codes": (linear, codes),
}
sizes = [50, 150, 500, 2000]
figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
print("area under the ROC curve, by labels:  " + "".join(f"{size:8d}" for size in sizes))
for name, (model, columns) in contest.items():
    scores = []
    for size in sizes:
        splits = StratifiedShuffleSplit(5, train_size=size, test_size=1000, random_state=0)
        scores.append(cross_val_score(model, columns, y, cv=splits, scoring="roc_auc"))
    means, errors = np.mean(scores, axis=1), np.std(scores, axis=1, ddof=1) / np.sqrt(5)
    print(f"{name:40s}" + "".join(f"{mean:8.3f}" for mean in means))
    ax.errorbar(sizes, means, errors, marker="o", capsize=3, label=name)
ax.set(xscale="log", xlabel="rows with a class", ylabel="area under the ROC curve, 5 splits")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(loc="lower right")
ax.set_title("With few labels, codes learned with swap noise are ahead (mean and standard error)")
figure.savefig("table_swap_noise.png")
print("saved table_swap_noise.png")
