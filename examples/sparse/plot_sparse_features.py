"""
Features of digits
==================

A sparse auto-encoder learns 128 features of digits, 6 of which are active in each digit. The figure shows how often
each feature is active, and for ten features the direction and the digits with the largest activations. Prints how much
of the variance of the pixels the features explain, for TopK, BatchTopK and JumpReLU, and how many of them are dead; and
how well a single feature separates each digit from the others.
"""

# %%
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skae import SparseAutoEncoder
from skae.plotting import SparseFeatureDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
models = {}
for activation, options in {
    "topk": {"k": 6},
    "batch_topk": {"k": 6},
    "jumprelu": {"alpha": 0.5},
}.items():
    model = SparseAutoEncoder(128, activation=activation, random_state=0, **options)
    models[activation] = model.fit(X_train)
    report = model.report(X_test)
    print(
        f"{activation:10s}: {report.n_active:.1f} features a digit explain {1 - report.unexplained:.1%}, "
        f"{report.dead:.1%} of the features are active nowhere, the largest cosine is {report.largest_cosine:.2f}"
    )

# %%
# The best feature for each digit, found on the training set.
train, test = (models["topk"].transform(rows).toarray() for rows in (X_train, X_test))
for digit in range(10):
    areas = [roc_auc_score(y_train == digit, codes) for codes in train.T]
    feature = int(np.argmax(areas))
    area = roc_auc_score(y_test == digit, test[:, feature])
    print(f"feature {feature:3d} tells digit {digit} from the others with an area of {area:.2f}")

# %%
display = SparseFeatureDisplay.from_estimator(models["topk"], X_train, n_features=10)
display.figure_.set_size_inches(9, 5)
display.figure_.suptitle(
    "A feature answers to one shape: its strongest digits are alike", weight="bold"
)
display.figure_.savefig("sparse_features.png")
