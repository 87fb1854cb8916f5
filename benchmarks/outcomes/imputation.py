"""Missing cells of mixed tables: the default denoising auto-encoder on raw columns, and scikit-learn's imputers.

A fifth of the cells of 10,000 rows is removed at random; the one-hot columns of a missing category are all empty.
Quantities are standardized for the controls, and all errors are in standard deviations. '?' in Adult is also missing,
and not scored. KNNImputer fills only the first rows, and all methods are scored on these. The one-hot columns of a
category determine each other, so IterativeImputer stays at their means: it is shown again without the first column of
each category.
"""

import time
from dataclasses import dataclass

import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from skae import DenoisingAE

from .bench import fitted, gain, rows

SETS = ("Adult", "Covertype")
SHARE = 0.2
OURS = "DenoisingAE"
CONTROLS = {
    "SimpleImputer": SimpleImputer,
    "KNNImputer": KNNImputer,
    "IterativeImputer": IterativeImputer,
    "Iterative, drop first": IterativeImputer,
}


@dataclass(frozen=True)
class Cells:
    """A table as numbers, and which columns belong to a cell.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_columns)
        NaN where nothing is known.
    groups : list of ndarray of int
        One-hot columns of each category; they follow the quantities.
    n_real : int
    """

    X: np.ndarray
    groups: list
    n_real: int


def complete(table, n_rows, seed):
    """Return ``Cells`` of rows that are drawn by the seed."""
    chosen = np.random.default_rng(seed).permutation(len(table.y))[:n_rows]
    if not table.categories:
        starts = [table.n_real, table.n_real + 4, table.X.shape[1]]
        groups = [np.arange(*pair) for pair in zip(starts, starts[1:])]
        return Cells(table.X[chosen].astype(np.float64), groups, table.n_real)
    frame = table.X.iloc[chosen]
    numbers = frame.drop(columns=list(table.categories)).to_numpy(np.float64)
    blocks, groups = [numbers], []
    for name in table.categories:
        kinds = sorted(set(table.X[name]) - {"?"})
        block = OneHotEncoder(categories=[kinds], handle_unknown="ignore", sparse_output=False)
        block = block.fit_transform(frame[[name]].to_numpy(object))
        block[block.sum(axis=1) == 0] = np.nan
        start = sum(other.shape[1] for other in blocks)
        groups.append(np.arange(start, start + len(kinds)))
        blocks.append(block)
    return Cells(np.concatenate(blocks, axis=1), groups, numbers.shape[1])


def emptied(cells, seed):
    """Return a copy of X with empty cells."""
    rng = np.random.default_rng([seed, 1])
    X = cells.X.copy()
    parts = [*np.arange(cells.n_real)[:, None], *cells.groups]
    for columns in parts:
        X[np.ix_(rng.random(len(X)) < SHARE, columns)] = np.nan
    return X


def filled(method, X, cells, n_scored, seed):
    """Return the first rows without gaps, and the CPU seconds of the fit."""
    if method == OURS:
        model, cpu = fitted(DenoisingAE(random_state=seed), X)
        return model.impute(X[:n_scored]), cpu
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    real = slice(cells.n_real)
    center[real], scale[real] = np.nanmean(X[:, real], axis=0), np.nanstd(X[:, real], axis=0)
    firsts = [columns[0] for columns in cells.groups] if "drop" in method else []
    kept = np.setdiff1d(np.arange(X.shape[1]), firsts)
    standard = ((X - center) / scale)[:, kept]
    seeded = {"random_state": seed} if CONTROLS[method] is IterativeImputer else {}
    model, cpu = fitted(CONTROLS[method](keep_empty_features=True, **seeded), standard)
    guesses = np.zeros((n_scored, X.shape[1]))
    guesses[:, kept] = model.transform(standard[:n_scored])
    for columns in cells.groups if "drop" in method else ():
        guesses[:, columns[0]] = 1 - guesses[:, columns[1:]].sum(axis=1)
    return guesses * scale + center, cpu


def errors(cells, X, guesses):
    """Return the error of the quantities in standard deviations, and the share of right categories."""
    n_scored = len(guesses)
    truth = cells.X[:n_scored]
    asked = np.isnan(X[:n_scored]) & ~np.isnan(truth)
    real = slice(cells.n_real)
    off = (guesses[:, real] - truth[:, real]) / cells.X[:, real].std(axis=0)
    right = []
    for columns in cells.groups:
        some = asked[:, columns[0]]
        kinds = [part[np.ix_(some, columns)].argmax(axis=1) for part in (guesses, truth)]
        right.append(kinds[0] == kinds[1])
    return {
        "rmse": round(float(np.sqrt(np.mean(off[asked[:, real]] ** 2))), 4),
        "categories": round(100 * float(np.concatenate(right).mean()), 3),
        "cells": int(asked[:, real].sum() + sum(map(len, right))),
    }


def measure(bench, name, method, seed):
    """Return the errors of one method, and its CPU seconds."""
    n_rows, n_scored = (1000, 500) if bench.short else (10_000, 2000)
    cells = complete(bench.load(name), n_rows, seed)
    X = emptied(cells, seed)
    start = time.process_time()
    guesses, cpu = filled(method, X, cells, n_scored, seed)
    total = {"total_cpu": round(time.process_time() - start, 2)}
    return {**errors(cells, X, guesses), **cpu, **total}


def table(bench):
    """Measure and return the lines."""
    lines = [
        f"{'set':14s} {'method':24s} {'RMSE':>20s} {'categories %':>20s} {'fit, CPU s':>20s} {'and filling':>20s}"
    ]
    for name in bench.sets(SETS):
        methods = {
            method: bench.runs(
                {"set": name, "method": method},
                lambda seed, name=name, method=method: measure(bench, name, method, seed),
                ours=method == OURS,
            )
            for method in (OURS, *CONTROLS)
        }
        lines += rows(name, methods, ("rmse", "categories", "cpu", "total_cpu"), digits=3)
        for control in CONTROLS:
            lines.append(gain(name, methods, OURS, control, "rmse", digits=3, lower=True))
            lines.append(gain(name, methods, OURS, control, "categories"))
    return list(filter(None, lines))
