"""Learned features serve the estimator that comes next."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skae import ContractiveAE

X, y = load_digits(return_X_y=True)


def _accuracy(*steps):
    return cross_val_score(make_pipeline(*steps), X, y, cv=3).mean()


@pytest.mark.slow
def test_contractive_features_beat_pixels_for_a_linear_classifier():
    pixels = [
        _accuracy(scaler, LogisticRegression(C=C, max_iter=2000))
        for scaler in (StandardScaler(), MinMaxScaler())
        for C in (0.1, 1, 10)
    ]
    features = []
    for seed in range(2):
        cae = ContractiveAE(100, loss="bernoulli", contraction=0.3, batch_size=64, max_iter=40)
        cae.set_params(learning_rate="constant", random_state=seed)
        linear = LogisticRegression(max_iter=2000)
        features.append(_accuracy(MinMaxScaler(clip=True), cae, StandardScaler(), linear))
    assert np.mean(features) > max(pixels) + 0.01


@pytest.mark.slow
def test_grid_search_over_a_pipeline():
    cae = ContractiveAE(30, max_iter=5, random_state=0)
    pipeline = Pipeline([("scale", MinMaxScaler(clip=True)), ("cae", cae), ("svm", SVC(C=10))])
    grid = {"cae__contraction": [0.01, 0.1], "cae__hidden_layer_sizes": [(), (40,)]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X[:600], y[:600])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(X[600:], y[600:]) > 0.8


@pytest.mark.slow
def test_default_features_beat_pixels_for_a_linear_classifier():
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[:900], rows[900:]
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    features = make_pipeline(ContractiveAE(random_state=0), linear)
    theirs, ours = (
        model.fit(X[train], y[train]).score(X[test], y[test]) for model in (linear, features)
    )
    assert ours > theirs + 0.01
