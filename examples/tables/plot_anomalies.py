"""
Anomalies: rows that do not fit, with a threshold
=================================================

Twelve gauges of a machine depend on four hidden states. In some rows each gauge has a usual value, but the values do
not fit together. ``AnomalyDetector`` fits an auto-encoder to all rows without labels, and flags rows that are
reconstructed badly or whose code is far from the others. IsolationForest, which looks at one column at a time, finds
fewer of them.

Top: the scores and the threshold, below which each detector puts the requested fraction of rows. Bottom: the same for
images, zeros with a few other digits among them.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skae import AnomalyDetector

rng = np.random.default_rng(0)
states = rng.standard_normal((1500, 4))
gauges = 2 * np.tanh(states @ rng.standard_normal((4, 12))) + 0.4 * rng.standard_normal((1500, 12))
misfits = np.column_stack([rng.permutation(column)[:60] for column in gauges.T])
X = np.vstack([gauges, misfits])
planted = np.arange(len(X)) >= len(gauges)
detectors = [AnomalyDetector(contamination=0.04, random_state=0)]
detectors += [IsolationForest(contamination=0.04, random_state=0)]

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for detector, ax in zip(detectors, axes):
    name, found = type(detector).__name__, detector.fit_predict(X) == -1
    scores, hits = detector.decision_function(X), (found & planted).sum()
    bins = np.linspace(*np.percentile(scores, [0.2, 100]), 50)
    ax.hist(scores[~planted], bins, color="gray", alpha=0.6, label="normal rows")
    ax.hist(scores[planted], bins, color="C3", label="gauges that do not fit")
    ax.axvline(0, color="black", linestyle="--", label="threshold")
    ax.set(
        title=f"{name}: {hits} of {planted.sum()} found", xlabel="decision_function", yscale="log"
    )
    area = roc_auc_score(planted, -scores)
    print(
        f"{name}: {hits} of {planted.sum()} found, {found.sum() - hits} false alarms, ROC AUC {area:.3f}"
    )
    ax.set_ylabel("rows")
    if name == "AnomalyDetector":
        ax.legend(loc="upper left", fontsize="small")
figure.suptitle(
    "1500 normal rows of 12 gauges, 60 that do not fit (left of the threshold: anomalies)",
    weight="bold",
)
figure.savefig("anomalies.png")

# %%
# Zeros with a few other digits among them.
digits, labels = load_digits(return_X_y=True)
rows = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels != 0)[::90]])
X, strange = digits[rows], labels[rows] != 0
detector = AnomalyDetector(random_state=0).fit(X)
scores = detector.score_samples(X)
print(f"digits: area under the ROC curve {roc_auc_score(strange, -scores):.3f}")
order = np.argsort(scores)
lowest, highest = order[:12], order[::-1][:12]
figure, axes = plt.subplots(2, 12, figsize=(9, 2.3), layout="constrained")
titles = ("most\nanomalous", "most\nnormal")
for line, chosen, title in zip(axes, (lowest, highest), titles):
    line[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for ax, row in zip(line, chosen):
        ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"a {labels[rows[row]]}", color="C3" if strange[row] else "black")
figure.suptitle(
    f"{(~strange).sum()} zeros and {strange.sum()} other digits: the extremes of score_samples",
    weight="bold",
)
figure.savefig("anomalous_digits.png")
print("saved anomalies.png and anomalous_digits.png")
