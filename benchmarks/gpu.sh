#!/usr/bin/env bash
# Tests on a GPU, and the tables of bench_engines.py beside PyTorch on the same card: under 8 minutes.
#
#     benchmarks/gpu.sh [folder with mnist.npz]
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}" SCIPY_ARRAY_API=1 PYTHONUNBUFFERED=1
data=${1:+--data $1}
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
time timeout 150 python3 -m pytest -q tests/arrays/test_gpu.py || true
time timeout 320 python3 benchmarks/bench_engines.py --device cuda --repeats 1 $data
