"""Shared by all parts: measurements made once, counts of warnings, intervals over seeds."""

import argparse
import hashlib
import os
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from records import half_interval
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

import skae

from . import data

RESULTS = Path(__file__).parents[1] / "results"
# What an estimator of ours may raise about its input or its training; anything else stops the benchmark.
REFUSALS = (ValueError, TypeError, ArithmeticError)


class Bench:
    """The measurements of one part.

    Parameters
    ----------
    records : Records
    arguments : Namespace
        With ``data``, ``seeds``, ``short`` and ``code``.
    """

    def __init__(self, records, arguments):
        self._records, self._arguments = records, arguments
        self.folder, self.short = arguments.data, arguments.short

    def sets(self, names):
        """Return those of ``names`` whose files are there."""
        return [name for name in names if self.folder or name in data.BUNDLED]

    def load(self, name):
        """Return a ``Table``."""
        return data.load(name, self.folder, self.short)

    def split(self, name, seed):
        """Return X, X_test, y and y_test."""
        return data.split(name, self.folder, self.short, seed)

    def runs(self, key, measure, *, ours, most=None):
        """Return the records of all seeds, or of the first ``most``, of ``measure(seed)``.

        ``ours`` are measured anew when skae changes, and may be refused; others are controls.
        """
        key = {**key, "code": self._arguments.code if ours else ""}
        found = (
            self._records.once({**key, "seed": seed}, partial(watched, measure, seed, ours))
            for seed in range(self._arguments.seeds)[:most]
        )
        return [record for record in found if record]


def argument_parser(description):
    """Return a parser of the arguments that all these benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--seeds", type=int, help="default: 5, or 3 for a short form")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--code", default=source_hash(), help="name of the state of skae that is measured"
    )
    parser.set_defaults(short=False)
    return parser


def print_table(records, title, table, arguments):
    """Measure what is missing and print the lines of ``table(bench)`` below the ``title``."""
    arguments.seeds = arguments.seeds or (3 if arguments.short else 5)
    with threadpool_limits(arguments.threads):
        lines = list(table(Bench(records, arguments)))
    head = f"{title}, {arguments.seeds} seeds, skae {arguments.code}"
    records.table("\n".join([head, *lines]))


def watched(measure, seed, ours):
    """Return what ``measure`` returns, or why skae refused it, and how many warnings there were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            record = measure(seed)
        except REFUSALS as error:
            if not ours:
                raise
            record = {"failed": f"{type(error).__name__}: {first_line(error)}"}
    noise = (DeprecationWarning, FutureWarning)
    kept = [w for w in caught if not issubclass(w.category, noise)]
    first = f"{kept[0].category.__name__}: {first_line(kept[0].message)}" if kept else ""
    return {**record, "warnings": len(kept), "first_warning": first}


def first_line(message):
    """Return the first line of a text, cut at 150 characters."""
    return str(message).strip().split("\n")[0][:150]


def fitted(model, X, y=None, name="cpu"):
    """Return the fitted model and a dict of the CPU seconds it took, of all threads."""
    start = time.process_time()
    model.fit(X) if y is None else model.fit(X, y)
    return model, {name: round(time.process_time() - start, 2)}


def accuracies(model, X, X_test, y, y_test):
    """Fit a classifier and return what it reaches on the test rows, in percent."""
    model, cpu = fitted(model, X, y)
    predicted = model.predict(X_test)
    return {
        "accuracy": round(100 * float(np.mean(predicted == y_test)), 3),
        "balanced": round(100 * balanced_accuracy_score(y_test, predicted), 3),
        **cpu,
    }


def scaler(table):
    """Return what makes features of the raw columns: pixels over their peak, other columns standardized."""
    if table.peak:
        return FunctionTransformer(partial(np.multiply, 1 / table.peak))
    return StandardScaler()


def source_hash():
    """Return a short hash of the sources of skae."""
    folder = Path(skae.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(os.fsencode(path.relative_to(folder)) + path.read_bytes())
    return digest.hexdigest()[:10]


def values(runs, name):
    """Return the values of ``name`` by seed, of the runs that have it."""
    return {run["seed"]: run[name] for run in runs if run.get(name) is not None}


def differences(runs, others, name):
    """Return the paired differences of the seeds that both have."""
    ours, theirs = values(runs, name), values(others, name)
    return np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])


def spread(numbers, digits=2):
    """Return a mean with its interval as text."""
    numbers = np.asarray(list(numbers), float)
    if not len(numbers):
        return "-"
    if len(numbers) == 1:
        return f"{numbers[0]:.{digits}f} (one seed)"
    return f"{numbers.mean():.{digits}f} +- {half_interval(numbers):.{digits}f}"


def remarks(runs):
    """Return what went wrong: refusals and warnings, with the first of each."""
    failed = [run["failed"] for run in runs if "failed" in run]
    total = sum(run["warnings"] for run in runs)
    first = next((run["first_warning"] for run in runs if run["first_warning"]), "")
    refusal = f"refused in {len(failed)} of {len(runs)}: {failed[0]}" if failed else ""
    return "; ".join(
        text for text in (refusal, f"{total} warnings, {first}" if total else "") if text
    )


def rows(title, methods, names, digits=2):
    """Return a line for each method: the spread of each of ``names`` over the seeds, and remarks."""
    for method, runs in methods.items():
        if runs:
            cells = " ".join(
                f"{spread(values(runs, name).values(), digits):>20s}" for name in names
            )
            yield f"{title:14s} {method:24s} {cells}  {remarks(runs)}".rstrip()


def gain(title, methods, better, worse, name="accuracy", *, least=None, digits=2, lower=False):
    """Return a line with the paired gain of one method over another, and whether it is ``least`` or more.

    It is None where no seed has both. ``lower`` is for errors: the gain is then how much lower it is.
    """
    numbers = differences(methods.get(better, ()), methods.get(worse, ()), name)
    if not len(numbers):
        return None
    numbers = -numbers if lower else numbers
    verdict = (
        "" if least is None else f"  at least {least:g}: {verdict_of(numbers.mean() >= least)}"
    )
    share = f"ahead in {np.sum(numbers > 0)} of {len(numbers)}"
    return f"{title:14s} {better} over {worse}: {spread(numbers, digits)}, {share}{verdict}"


def verdict_of(held):
    """Return a word for it."""
    return "yes" if held else "NO"
