"""The package where nothing can be written, and in a process that is interrupted."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import skae

FIT = """
    import numpy as np
    from skae import ContractiveAE
    X = np.random.default_rng(0).random((50, 8))
    print(ContractiveAE(3, max_iter=2, random_state=0).fit(X).loss_)
"""


def _run(code, **options):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_no_folder_can_be_written(tmp_path):
    source = Path(skae.__file__).parent
    shutil.copytree(source, tmp_path / "skae", ignore=shutil.ignore_patterns("__pycache__"))
    # A file in the place of each cache folder stops root too, which permissions do not.
    for folder in (tmp_path / "skae").rglob("."):
        (folder / "__pycache__").touch()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG"))}
    environment |= {"HOME": "/dev/null/home", "PYTHONPATH": str(tmp_path)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    result = _run(FIT, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) > 0


def test_import_loads_no_extra():
    result = _run("import sys, skae; print(sorted({'matplotlib', 'skops'} & set(sys.modules)))")
    assert result.stdout.strip() == "[]", result.stderr


def test_ctrl_c_publishes_weights():
    code = """
        import numpy as np
        from skae import ContractiveAE

        class Shout:
            def epoch_begin(self, state): pass
            def epoch_end(self, state): print("epoch", flush=True)

        X = np.random.default_rng(0).random((500, 20))
        model = ContractiveAE(5, max_iter=10**6, tol=0, n_iter_no_change=10**6)
        model._reporters = lambda X: [Shout()]
        try:
            model.fit(X)
        except KeyboardInterrupt:
            print(model.n_iter_ > 2, np.isfinite(model.transform(X)).all())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert process.stdout.readline() == "epoch\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0].endswith("True True\n")
