"""Measurements in a JSON-lines file, from which a stopped benchmark resumes."""

import json
import time
from pathlib import Path

import numpy as np
from scipy import stats


class Records:
    """The measurements of one benchmark, each made once.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    name : str
        Of the files: ``name.jsonl`` has the measurements, ``name.log`` a line for each, ``name.txt`` the table.
    measuring : bool, default=True
        Whether to make those that the file does not have.
    """

    def __init__(self, folder, name, measuring=True):
        self._path, self._measuring = Path(folder) / name, measuring
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def once(self, key, measure):
        """Return the record of ``key``, a dict; where the file has none, that of ``measure()`` is appended.

        It is None where the file has none and nothing is to be measured.
        """
        for record in self._stored():
            if all(record.get(name) == value for name, value in key.items()):
                return record
        if not self._measuring:
            return None
        start = time.perf_counter()
        record = {**key, **measure(), "seconds": round(time.perf_counter() - start, 1)}
        self._append(".jsonl", json.dumps(record))
        self.log(" ".join(f"{name}={value}" for name, value in record.items()))
        return record

    def hours(self, **key):
        """Return the hours that all measurements of ``key`` took, those of settings that were not chosen too."""
        found = [
            record["seconds"]
            for record in self._stored()
            if all(record.get(name) == value for name, value in key.items())
        ]
        return sum(found) / 3600

    def log(self, text):
        """Print a line, with the time, and keep it."""
        line = f"{time.strftime('%H:%M:%S')} {text}"
        print(line, flush=True)
        self._append(".log", line)

    def table(self, text):
        """Print a table and keep it in place of the one before."""
        print(text, flush=True)
        self._path.with_suffix(".txt").write_text(text + "\n")

    def _stored(self):
        path = self._path.with_suffix(".jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _append(self, suffix, line):
        with open(self._path.with_suffix(suffix), "a") as file:
            file.write(line + "\n")


def half_interval(numbers):
    """Return half of the 95% interval of a mean (Student); NaN for a single number."""
    if len(numbers) < 2:
        return np.nan
    return stats.t.ppf(0.975, len(numbers) - 1) * np.std(numbers, ddof=1) / np.sqrt(len(numbers))


def half_width(percent, n_samples):
    """Return half of the 95% interval of an error rate in percent, measured on ``n_samples``."""
    share = percent / 100
    return 196 * np.sqrt(share * (1 - share) / n_samples)


def pairs_in_order(names, ours, published, resolution=0.0):
    """Return how many pairs of names have the published order, and how many pairs are told apart.

    Parameters
    ----------
    names : sequence of str
    ours, published : dict of float
        Errors by name.
    resolution : float, default=0.0
        Pairs of ``ours`` that differ by no more are left out.
    """
    pairs = [(a, b) for i, a in enumerate(names) for b in names[:i]]
    apart = [(a, b) for a, b in pairs if abs(ours[a] - ours[b]) > resolution]
    kept = sum((ours[a] < ours[b]) == (published[a] < published[b]) for a, b in apart)
    return kept, len(apart)
