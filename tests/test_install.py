"""The package where nothing can be written, and in a process that is interrupted."""

import multiprocessing
import os
import re
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from processes import RUN_SMALL, copy_kernels, facts_of_an_import, process, run_anew

import skae
from skae import ContractiveAE
from skae._protocols import Observer

ROOT = Path(__file__).parents[1]


def test_recipe_and_citation_are_of_this_version():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    recipe = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    needed = re.findall(
        r'"([\w-]+)(>=[\d.]+)"', re.search(r"^dependencies = .*$", project, re.M)[0]
    )
    needed.append(("python", re.search(r'requires-python = "(.*)"', project)[1]))
    run = recipe.split("  run:")[1].split("\n\n")[0]
    assert sorted(re.findall(r"- ([\w-]+) (>=[\d.]+)", run)) == sorted(needed)
    assert f'version = "{skae.__version__}"' in recipe
    assert f"\nversion: {skae.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


FIT = """
    import numpy as np
    from skae import ContractiveAE
    X = np.random.default_rng(0).random((50, 8))
    print(ContractiveAE(3, max_iter=1, random_state=0).fit(X).loss_)
"""


@pytest.mark.slow
def test_no_folder_can_be_written(tmp_path):
    source = Path(skae.__file__).parent
    shutil.copytree(source, tmp_path / "skae", ignore=shutil.ignore_patterns("__pycache__"))
    # A file in the place of each cache folder stops root too, which permissions do not.
    for folder in (tmp_path / "skae").rglob("."):
        (folder / "__pycache__").touch()
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME"), "/dev/null/home")
    code = FIT.replace("ContractiveAE", "AutoEncoder")  # which has fewer kernels
    said = run_anew(code, tmp_path, cache="", environment=nowhere)
    assert float(said.stdout) > 0, said.stderr
    assert not list(tmp_path.rglob("*.nb?"))


@pytest.mark.slow
def test_import_loads_no_extra_and_compiles_nothing():
    facts = facts_of_an_import()
    assert not {"matplotlib", "skops"} & {*facts["loaded"]}
    assert facts["kernels"] > 20
    assert facts["compiled"] == 0


@pytest.mark.slow
def test_modules_need_no_import_of_their_own():
    """As in scikit-learn: every module without an underscore is an attribute of the package."""
    facts = facts_of_an_import()
    names = facts["modules"]
    assert {*facts["listed"]} == {*skae.__all__, *names} - {"__version__"}
    assert facts["names"] == [f"skae.{name}" for name in names]
    assert facts["error"] == "module 'skae' has no attribute 'pictures'"


class Shout(Observer):
    def __init__(self, pipe):
        self.pipe = pipe

    def epoch_end(self, state):
        self.pipe.send("epoch")

    def close(self, state):
        pass


def train_and_shout(pipe):
    # Jobs in the background of a shell ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    X = np.random.default_rng(0).random((500, 20))
    model = ContractiveAE(5, max_iter=10**6, tol=0, n_iter_no_change=10**6)
    model._reporters = lambda *_: [Shout(pipe)]
    try:
        model.fit(X)
    except KeyboardInterrupt:
        pipe.send((model.n_iter_ > 2, np.isfinite(model.transform(X)).all()))


@pytest.mark.slow
def test_ctrl_c_publishes_weights():
    pipe, its_end = multiprocessing.Pipe(duplex=False)
    training = process(train_and_shout, its_end)
    its_end.close()
    for _ in range(3):
        assert pipe.poll(60) and pipe.recv() == "epoch"
    os.kill(training.pid, signal.SIGINT)
    said = "epoch"
    while said == "epoch":
        assert pipe.poll(60)
        said = pipe.recv()
    assert said == (True, True)
    training.join(60)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return the kernels in another folder, with a cache that has what RUN_SMALL compiled there.

    A dict of the ``folder``, where ``whole`` is a copy of the ``cache``, and of what the ``first`` run said.
    """
    folder = tmp_path_factory.mktemp("copied")
    copy_kernels(folder)
    cache = folder / "cache"
    first = run_anew(RUN_SMALL, folder, cache)
    shutil.copytree(cache, folder / "whole")
    return {"folder": folder, "cache": cache, "first": first}


def limit_files():
    """Let files have 2000 bytes, which is less than that of any kernel."""
    import resource  # Windows has none

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.slow
def test_a_full_disk_keeps_machine_code_in_memory(copied, tmp_path):
    pytest.importorskip("resource")
    result = run_anew(RUN_SMALL, copied["folder"], tmp_path, prepare=limit_files)
    assert result.stdout == copied["first"].stdout, result.stderr
    assert not list(tmp_path.rglob("*.tmp.*"))


@contextmanager
def _changed_helper(copied):
    """Let the kernel scale by 30 instead of 3 within the block."""
    helper = copied["folder"] / "skae" / "_kernels" / "small_helper.py"
    text = helper.read_text()
    helper.write_text(text.replace("x * 3", "x * 30"))
    try:
        yield
    finally:
        helper.write_text(text)


@pytest.mark.slow
def test_a_changed_helper_is_compiled_anew(copied):
    """Numba looks at the file of a kernel only; its helpers, which are inlined, stand in another one."""
    assert copied["first"].stdout == "1.5\n"
    with _changed_helper(copied):
        result = run_anew(RUN_SMALL, copied["folder"], copied["cache"])
        assert result.stdout == "15.0\n"


@pytest.mark.slow
def test_compilation_is_announced_once(copied):
    assert copied["first"].stderr.count("Compiling") == 1
    again = run_anew(RUN_SMALL, copied["folder"], copied["cache"])
    assert again.stdout == copied["first"].stdout and "Compiling" not in again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_cache_is_replaced(copied, damage):
    expected, places = copied["first"].stdout, (copied["folder"], copied["cache"])
    files = [path for path in copied["cache"].rglob("*.nb?") if path.is_file()]
    assert files
    for path in files:
        path.write_bytes(damage)
    result = run_anew(RUN_SMALL, *places)
    assert result.stdout == expected != "", result.stderr
    assert run_anew(RUN_SMALL, *places).stdout == expected
    assert any(len(path.read_bytes()) > 100 for path in files)


def _exchange(cache):
    """Exchange the two files of each kernel that has two in a cache."""
    for second in cache.rglob("*.2.nbc"):
        first = second.with_name(second.name.replace(".2.nbc", ".1.nbc"))
        contents = first.read_bytes(), second.read_bytes()
        second.write_bytes(contents[0])
        first.write_bytes(contents[1])


@pytest.mark.slow
@pytest.mark.parametrize("other", ["kernels", "types"])
def test_machine_code_of_others_is_not_taken(copied, other, tmp_path):
    """Two processes that compile at the same time may write to a file of the same name."""
    shutil.copytree(copied["folder"] / "whole", tmp_path, dirs_exist_ok=True)
    places, expected = (copied["folder"], tmp_path), copied["first"].stdout
    if other == "types":
        run_anew(RUN_SMALL.replace("float32", "float64"), *places)
    else:
        with _changed_helper(copied):
            assert run_anew(RUN_SMALL, *places).stdout not in (expected, "")
    _exchange(tmp_path)
    for _ in range(2):
        result = run_anew(RUN_SMALL, *places)
        assert result.stdout == expected, result.stderr


@pytest.mark.slow
def test_without_compilation():
    code = FIT.replace("random((50, 8))", "random((8, 4))")
    found = run_anew(code, environment={"NUMBA_DISABLE_JIT": "1"})
    expected = run_anew(code)
    assert float(found.stdout) == pytest.approx(float(expected.stdout), rel=1e-3), found.stderr
