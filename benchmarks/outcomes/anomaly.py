"""Anomalies: ROC AUC of the default detector and auto-encoders on raw columns, and of two detectors of scikit-learn.

Protocol ``all`` fits on all rows and ranks the same rows; ``normal`` fits on half of the normal rows and ranks the
other half and all anomalies. The anomalies are the rarer class of mammography and the malignant rows of breast cancer.
"""

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AnomalyDetector, AutoEncoder, ContractiveAE, DenoisingAE

from .bench import gain, rows

LABELS = {"mammography": 1, "breast cancer": 0}
OURS = {
    model.__name__: model for model in (AnomalyDetector, AutoEncoder, DenoisingAE, ContractiveAE)
}
CONTROLS = ("IsolationForest", "LocalOutlierFactor")


def ranked(method, X, X_test, seed):
    """Return the anomaly scores of ``X_test``; None for ``X_test`` ranks the rows of the fit."""
    if method == "LocalOutlierFactor":
        if X_test is None:
            detector = LocalOutlierFactor().fit(StandardScaler().fit_transform(X))
            return -detector.negative_outlier_factor_
        detector = make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True))
    else:
        detector = {**OURS, "IsolationForest": IsolationForest}[method](random_state=seed)
    return -detector.fit(X).score_samples(X if X_test is None else X_test)


def measure(bench, name, protocol, method, seed):
    """Return the area under the curve, in percent."""
    data = bench.load(name)
    X, anomalous = data.X, data.y == LABELS[name]
    if protocol == "all":
        scores = ranked(method, X, None, seed)
    else:
        train, rest = train_test_split(
            np.flatnonzero(~anomalous), train_size=0.5, random_state=seed
        )
        test = np.concatenate([rest, np.flatnonzero(anomalous)])
        scores, anomalous = ranked(method, X[train], X[test], seed), anomalous[test]
    return {"auc": round(100 * roc_auc_score(anomalous, scores), 3)}


def measured(bench, name, protocol):
    """Return the runs of each method."""
    return {
        method: bench.runs(
            {"set": name, "protocol": protocol, "method": method},
            lambda seed, method=method: measure(bench, name, protocol, method, seed),
            ours=method in OURS,
        )
        for method in (*OURS, *CONTROLS)
    }


def table(bench):
    """Measure and return the lines."""
    lines = [f"{'set':14s} {'method':24s} {'ROC AUC %':>20s}"]
    for name in bench.sets(LABELS):
        for protocol in ("all", "normal"):
            lines.append(f"{name}, fitted on {protocol} rows")
            methods = measured(bench, name, protocol)
            lines += rows(name, methods, ("auc",))
            pairs = [(ours, control) for ours in OURS for control in CONTROLS]
            lines += filter(None, (gain(name, methods, *pair, "auc") for pair in pairs))
    return lines
