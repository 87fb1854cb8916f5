"""CPU seconds to the first result: import, and first fit with cold and with warm caches.

Each figure is the median over fresh processes. The import time is what skae adds to scikit-learn and numba. A fit is of
100 rows of 20 columns, in two epochs.

    python benchmarks/bench_start.py [--repeats 5] [--results benchmarks/results]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from records import Records

RESULTS = Path(__file__).parent / "results"
IMPORT = """
import time
import sklearn, numba
start = time.process_time()
import skae
print(time.process_time() - start)
"""

FIT = """
import time
import numpy as np
from skae import {model}
X = np.random.default_rng(0).random((100, 20))
start = time.process_time()
{model}(5, max_iter=2).fit(X)
print(time.process_time() - start)
"""


def seconds(code, cache):
    """Return what ``code`` prints in a new process."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", default=RESULTS)
    options = parser.parse_args()
    repeats = options.repeats
    with tempfile.TemporaryDirectory() as cache:
        value = statistics.median(seconds(IMPORT, cache) for _ in range(repeats))
    lines = [f"CPU seconds, medians of {repeats} processes", f"import skae adds     {value:.2f} s"]
    for model in ("AutoEncoder", "DenoisingAE", "ContractiveAE", "SparseCoder"):
        cold, warm = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                code = FIT.format(model=model)
                cold.append(seconds(code, cache))
                warm.append(seconds(code, cache))
        lines.append(
            f"{model:13s} first fit: {statistics.median(cold):.2f} s in a cold cache, "
            f"{statistics.median(warm):.2f} s in a warm one"
        )
    Records(options.results, "bench_start").table("\n".join(lines))


if __name__ == "__main__":
    main()
