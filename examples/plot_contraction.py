"""
What contraction does
=====================

Two auto-encoders of the same shape learn the digits, one of them with a penalty on the Jacobian of its code. Its
filters become spots and strokes, and its code varies in few directions only: those along the data, while the others are
contracted (Rifai et al. 2011, figure 2).
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoder, ContractiveAE
from skae.plotting import FilterDisplay, ReconstructionDisplay, SpectrumDisplay

X, y = load_digits(return_X_y=True)
X /= 16

# %%
# Both are trained in the same way.
options = {"loss": "bernoulli", "batch_size": 64, "learning_rate_init": 3e-3, "max_iter": 150}
models = {
    "auto-encoder": AutoEncoder(100, **options, random_state=0),
    "contractive": ContractiveAE(100, **options, contraction=1.0, random_state=0),
}
print("model         reconstruction  ||dh/dx||  saturated  linear classifier on the code")
for name, model in models.items():
    model.fit(X)
    report = model.report(X[:500])
    classifier = make_pipeline(model, StandardScaler(), LogisticRegression(max_iter=2000))
    accuracy = cross_val_score(classifier, X, y, cv=3).mean()
    print(
        f"{name:13s} {-model.score(X):14.2f} {report.jacobian_norm:10.2f} "
        f"{report.saturation:10.2f} {accuracy:12.3f}"
    )

# %%
# Filters and reconstructions, one column per model.
figure, axes = plt.subplots(2, 2, figsize=(9, 5.8), layout="constrained", height_ratios=[4, 1])
for (upper, lower), (name, model) in zip(axes.T, models.items()):
    FilterDisplay.from_estimator(model, n_filters=36, ax=upper)
    ReconstructionDisplay.from_estimator(model, X[:10], ax=lower)
    upper.set_title(f"{name}: filters")
figure.suptitle("The penalty turns filters of noise into spots and strokes", weight="bold")
figure.savefig("contraction_filters.png")

# %%
# With the penalty, the code varies in few directions.
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, model in models.items():
    SpectrumDisplay.from_estimator(model, X[:500], n_values=60, label=name, ax=ax)
ax.set_title("With the penalty the code moves in few directions")
figure.savefig("contraction_spectrum.png")
print("saved contraction_filters.png and contraction_spectrum.png")
