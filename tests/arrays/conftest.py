"""These tests need SCIPY_ARRAY_API=1 before scipy is imported: ``SCIPY_ARRAY_API=1 pytest tests/arrays``."""

import os

if os.environ.get("SCIPY_ARRAY_API") != "1":
    collect_ignore_glob = ["test_*.py"]
