"""What the examples print whose figures are in README.

    python benchmarks/bench_examples.py [--results benchmarks/results]

Each example is run in a process of its own with one thread, and its CPU seconds are noted; those of a second run, since
the first one of a version compiles. Pictures are not kept. What is printed is kept in ``bench_examples.jsonl``, and an
example is repeated when its text or the sources of skae change.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from outcomes.bench import source_hash
from records import Records

HERE = Path(__file__).parent
EXAMPLES = (
    "plot_digits_pipeline.py",
    "images/plot_image_features.py",
    "images/plot_deep_codes.py",
    "images/plot_image_denoising.py",
)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def run(path):
    """Return the CPU seconds of an example and what it prints."""
    environment = {**os.environ, **ONE_THREAD, "MPLBACKEND": "agg"}
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, path], cwd=folder, env=environment, capture_output=True, text=True
        )
    if done.returncode:
        sys.exit(f"{path} failed:\n{done.stderr}")
    after = os.times()
    return {"cpu": round(sum(after[2:4]) - sum(before[2:4])), "printed": done.stdout}


def main():
    """Run the examples that are missing and print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=HERE / "results")
    options = parser.parse_args()
    records, lines = Records(options.results, "bench_examples"), []
    for name in EXAMPLES:
        path = HERE.parent / "examples" / name
        text = hashlib.sha256(path.read_bytes()).hexdigest()[:10]
        key = {"example": name, "text": text, "code": source_hash()}
        found = records.once(key, lambda path=path: run(path) and run(path))
        lines += [f"{name}, {found['cpu']} CPU seconds", *found["printed"].splitlines(), ""]
    records.table("\n".join(lines).rstrip())


if __name__ == "__main__":
    main()
