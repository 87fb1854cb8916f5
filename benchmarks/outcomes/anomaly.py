"""Anomalies: ROC AUC of the default detector and auto-encoders on raw columns, and of two detectors of scikit-learn.

Protocol ``all`` fits on all rows and ranks the same rows; ``normal`` fits on half of the normal rows and ranks the
other half and all anomalies. The anomalies are the rarer class of mammography and the malignant rows of breast cancer.
With the second protocol, detectors tell anomalies by their default thresholds, too.
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
DETECTORS = ("AnomalyDetector", *CONTROLS)  # which have a threshold


def fitted_detector(method, X, seed):
    """Return a detector of new rows, fitted to X."""
    if method == "LocalOutlierFactor":
        return make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)).fit(X)
    return {**OURS, "IsolationForest": IsolationForest}[method](random_state=seed).fit(X)


def ranked(method, X, seed):
    """Return the anomaly scores of the rows of the fit."""
    if method == "LocalOutlierFactor":
        return -LocalOutlierFactor().fit(StandardScaler().fit_transform(X)).negative_outlier_factor_
    return -fitted_detector(method, X, seed).score_samples(X)


def new_rows(X, anomalous, seed):
    """Return half of the normal rows, to fit to; then all others, and which of these are anomalous."""
    train, rest = train_test_split(np.flatnonzero(~anomalous), train_size=0.5, random_state=seed)
    test = np.concatenate([rest, np.flatnonzero(anomalous)])
    return X[train], X[test], anomalous[test]


def measure(bench, name, protocol, method, seed):
    """Return the area under the curve, or how many normal and anomalous rows are told to be anomalies, in percent."""
    data = bench.load(name)
    X, anomalous = data.X, data.y == LABELS[name]
    if protocol == "all":
        return {"auc": area(anomalous, ranked(method, X, seed))}
    X, X_test, anomalous = new_rows(X, anomalous, seed)
    detector = fitted_detector(method, X, seed)
    if protocol == "normal":
        return {"auc": area(anomalous, -detector.score_samples(X_test))}
    told = detector.predict(X_test) == -1
    shares = {"false_alarms": told[~anomalous], "found": told[anomalous]}
    return {key: round(100 * float(np.mean(rows)), 3) for key, rows in shares.items()}


def area(anomalous, scores):
    """Return the area under the curve, in percent."""
    return round(100 * roc_auc_score(anomalous, scores), 3)


def measured(bench, name, protocol, methods=(*OURS, *CONTROLS)):
    """Return the runs of each of the methods."""
    return {
        method: bench.runs(
            {"set": name, "protocol": protocol, "method": method},
            lambda seed, method=method: measure(bench, name, protocol, method, seed),
            ours=method in OURS,
        )
        for method in methods
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
        lines.append(f"{name}, new rows told to be anomalies: normal ones %, anomalies %")
        methods = measured(bench, name, "threshold", DETECTORS)
        lines += rows(name, methods, ("false_alarms", "found"))
    return lines
