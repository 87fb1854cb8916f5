"""
A contractive auto-encoder before a support vector machine
==========================================================

The scaled digits are encoded by a contractive auto-encoder and classified by an SVM; a grid search
chooses the strength of the contraction. Prints the scores and saves a picture of filters and
reconstructions.
"""

# %%
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from skae import ContractiveAE
from skae.plotting import FilterDisplay, ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

# %%
# Every parameter of the auto-encoder is a parameter of the grid.
cae = ContractiveAE(
    100, loss="bernoulli", batch_size=64, learning_rate_init=3e-3, max_iter=150, random_state=0
)
pipeline = Pipeline([("scale", MinMaxScaler(clip=True)), ("cae", cae), ("svm", SVC(C=10))])
grid = {"cae__contraction": [0.03, 0.1, 0.3], "cae__n_components": [100, 300]}
search = GridSearchCV(pipeline, grid, cv=3, n_jobs=-1).fit(X_train, y_train)

print("contraction  n_components  mean accuracy  std")
results = search.cv_results_
for row in results["mean_test_score"].argsort()[::-1]:
    params = results["params"][row]
    print(
        f"{params['cae__contraction']:11g} {params['cae__n_components']:13d} "
        f"{results['mean_test_score'][row]:14.4f} {results['std_test_score'][row]:.4f}"
    )
print(f"test accuracy of the best: {search.score(X_test, y_test):.4f}")
pixels = Pipeline([("scale", MinMaxScaler()), ("svm", SVC(C=10))]).fit(X_train, y_train)
print(f"test accuracy of the SVM on pixels: {pixels.score(X_test, y_test):.4f}")

# %%
best = search.best_estimator_
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
FilterDisplay.from_estimator(best["cae"], ax=left)
ReconstructionDisplay.from_estimator(best["cae"], best["scale"].transform(X_test[:10]), ax=right)
figure.savefig("digits_pipeline.png", dpi=150)
print("saved digits_pipeline.png")
