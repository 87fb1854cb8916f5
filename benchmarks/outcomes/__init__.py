"""The parts of ``bench_outcomes.py``, one module each, and the data they share."""
