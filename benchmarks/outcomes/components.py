"""Classifiers on codes of principal components, on the components, and on these scaled each by itself."""

from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import ContractiveAE

from .bench import accuracies, gain, rows

SETS = (
    ("digits", 40),
    ("MNIST 0-1", 50),
    ("MNIST 0-1", 200),
    ("Olivetti", 100),
    ("Reuters acq", 100),
    ("Reuters acq", 400),
)
CODES, COMPONENTS, SCALED = METHODS = ("codes", "components", "scaled each")
CLASSIFIERS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "10 neighbors": KNeighborsClassifier(10),
    "SVC": SVC(),
}


def reduced(name, width, seed, X, X_test):
    """Return the components of both, found in X; those of texts are of their TF-IDF."""
    if name.startswith("Reuters"):
        weights = TfidfTransformer(sublinear_tf=True)
        model = make_pipeline(weights, TruncatedSVD(width, random_state=seed))
    else:
        model = PCA(width, random_state=seed)
    return model.fit_transform(X), model.transform(X_test)


def measured(bench, name, width):
    """Return the runs of each method."""

    def measure(seed, method):
        X, X_test, y, y_test = bench.split(name, seed)
        X, X_test = reduced(name, width, seed, X, X_test)
        if method != COMPONENTS:
            encoder = ContractiveAE(random_state=seed) if method == CODES else StandardScaler()
            X, X_test = encoder.fit_transform(X), encoder.transform(X_test)
        return {
            title: accuracies(clone(classifier), X, X_test, y, y_test)["accuracy"]
            for title, classifier in CLASSIFIERS.items()
        }

    return {
        method: bench.runs(
            {"set": name, "components": width, "method": method},
            lambda seed, method=method: measure(seed, method),
            ours=method == CODES,
        )
        for method in METHODS
    }


def table(bench):
    """Measure and return the lines."""
    heads = " ".join(f"{title + ' %':>20s}" for title in CLASSIFIERS)
    lines = [f"{'set':14s} {'method':24s} {heads}"]
    known = bench.sets([name for name, _ in SETS])
    for name, width in SETS:
        if name in known:
            title, methods = f"{name} {width}", measured(bench, name, width)
            lines += rows(title, methods, CLASSIFIERS)
            for classifier in CLASSIFIERS:
                line = gain(title, methods, CODES, COMPONENTS, classifier)
                lines.append(f"{line}  ({classifier})")
    return lines
