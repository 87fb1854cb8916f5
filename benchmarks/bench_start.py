"""Time to the first result: import, and first fit with cold and with warm caches.

Each figure is the median over fresh processes. The import time is what skae adds to scikit-learn and numba.

    python benchmarks/bench_start.py [--repeats 5]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

IMPORT = """
import time
import sklearn, numba
start = time.perf_counter()
import skae
print(time.perf_counter() - start)
"""

FIT = """
import time
import numpy as np
from skae import {model}
X = np.random.default_rng(0).random((100, 20))
start = time.perf_counter()
{model}(5, max_iter=2).fit(X)
print(time.perf_counter() - start)
"""


def seconds(code, cache):
    """Return what ``code`` prints in a new process."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as cache:
        value = statistics.median(seconds(IMPORT, cache) for _ in range(repeats))
    print(f"import skae adds     {value:.2f} s")
    for model in ("AutoEncoder", "DenoisingAE", "ContractiveAE"):
        cold, warm = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                code = FIT.format(model=model)
                cold.append(seconds(code, cache))
                warm.append(seconds(code, cache))
        print(
            f"{model:13s} first fit: {statistics.median(cold):.2f} s in a cold cache, "
            f"{statistics.median(warm):.2f} s in a warm one"
        )


if __name__ == "__main__":
    main()
