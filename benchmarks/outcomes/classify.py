"""A default SVM on codes of raw columns by the default auto-encoder: no loss compared with an SVM on scaled columns."""

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from skae import ContractiveAE

from .bench import accuracies, differences, gain, rows, spread, values, verdict_of

SETS = ("digits", "breast cancer", "wine", "MNIST 0-255", "MNIST 0-1")
OTHERS = ("iris", "mammography", "Olivetti", "Covertype 5k", "Reuters acq")
SHORT_OTHERS = ("iris", "mammography")
SCALERS = {"raw": None, "standard": StandardScaler, "min-max": MinMaxScaler}
METHODS = [(coded, scaled) for coded in (True, False) for scaled in SCALERS]
OURS, CONTROL = "raw, CAE, SVC", "standard, SVC"


def name_of(coded, scaled):
    """Return the name of a method."""
    return f"{scaled}, CAE, SVC" if coded else f"{scaled}, SVC"


def build(coded, scaled, seed):
    """Return a pipeline of defaults."""
    steps = [("scaler", SCALERS[scaled]())] if SCALERS[scaled] else []
    if coded:
        steps.append(("cae", ContractiveAE(random_state=seed)))
    return Pipeline([*steps, ("svm", SVC())])


def measured(bench, name):
    """Return the runs of each method on one set."""

    def measure(coded, scaled):
        key = {"set": name, "method": name_of(coded, scaled)}

        def accuracy(seed):
            return accuracies(build(coded, scaled, seed), *bench.split(name, seed))

        return bench.runs(key, accuracy, ours=coded)

    return {name_of(*method): measure(*method) for method in METHODS}


def verdicts(results):
    """Return the lines of the rule."""
    kept, level = [], []
    for name in SETS:
        numbers = (
            differences(results[name][OURS], results[name][CONTROL], "accuracy")
            if name in results
            else ()
        )
        # A set on which no fit succeeds counts as lost.
        kept.append(len(numbers) > 0 and numbers.mean() >= -0.5)
        level.append(len(numbers) > 0 and numbers.mean() >= 0)
    lost = [name for name, held in zip(SETS, kept) if not held and name in results]
    yield f"never below by more than 0.5 points: {verdict_of(not lost)} {', '.join(lost)}".rstrip()
    n_sets = sum(name in results for name in SETS)
    yield f"at or above on at least half: {verdict_of(2 * sum(level) >= n_sets)}, {sum(level)} of {n_sets}"
    reached = list(values(results.get("MNIST 0-255", {}).get(OURS, ()), "accuracy").values())
    if reached:
        mean = sum(reached) / len(reached)
        yield f"MNIST 0-255 at 94 or more: {verdict_of(mean >= 94)}, {spread(reached)}"


def table(bench):
    """Measure and return the lines."""
    others = SHORT_OTHERS if bench.short else OTHERS
    results = {name: measured(bench, name) for name in bench.sets([*SETS, *others])}
    lines = [
        f"{'set':14s} {'method':24s} {'accuracy %':>20s} {'balanced %':>20s} {'CPU seconds':>20s}"
    ]
    for name, methods in results.items():
        if name == others[0]:
            lines.append("other sets")
        lines += rows(name, methods, ("accuracy", "balanced", "cpu"))
        for control in (CONTROL, "raw, SVC"):
            least = -0.5 if control == CONTROL else None
            lines.append(gain(name, methods, OURS, control, least=least))
    return [*filter(None, lines), *verdicts(results)]
