#!/usr/bin/env bash
# Tests on a GPU, and the tables of bench_engines.py beside PyTorch on the same card: under 8 minutes.
#
#     benchmarks/gpu.sh [folder with mnist.npz]
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}" SCIPY_ARRAY_API=1 PYTHONUNBUFFERED=1
export TORCHINDUCTOR_COMPILE_THREADS=2
data=${1:+--data $1}
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
side_by_side=$(python3 -c "import xdist" 2>/dev/null && echo "-n 8" || true)
time timeout 150 python3 -m pytest -q $side_by_side tests/arrays/test_gpu.py || true
time timeout 320 python3 benchmarks/bench_engines.py --device cuda --repeats 1 $data
