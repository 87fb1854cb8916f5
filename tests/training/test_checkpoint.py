"""Checkpoints that are damaged or made up, and folders and disks that fail."""

import io
import json
import os
import re
import shutil
import signal
import stat
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from interrupts import InterruptAtLine
from processes import process
from sklearn.base import clone

from skae import (
    DBM,
    DBN,
    RBM,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
)
from skae.training import files
from skae.training.files import check_writable, remove_leftovers, replacing

resource = pytest.importorskip("resource")  # not of Windows
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
STEADY = {"max_iter": 3, "tol": 0, "n_iter_no_change": 10**6, "random_state": 0}
STEADY |= {"batch_size": 20, "learning_rate": "constant"}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _model(path=None, **options):
    return AutoEncoder(3, **{**STEADY, "checkpoint": path, **options})


@pytest.fixture
def path(tmp_path):
    """Return the path of a checkpoint after three epochs."""
    path = tmp_path / "state.npz"
    _model(path).fit(X)
    return path


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def _claim(shape, descr="'<f4'"):
    """Return an array file that says it has ``shape``, and has not."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + b"\0" * 64


def _header(members, **changes):
    header = json.loads(str(np.load(io.BytesIO(members["header.npy"]))))
    header["state"] |= changes
    return _npy(json.dumps(header))


def _refused(path):
    with pytest.raises(ValueError, match=r"cannot be read .*\. Delete it to start anew"):
        _model(path, resume=True).fit(X)


SIZE = 3 * 6 + 3 + 6
ARRAYS = {
    "short": _npy(np.zeros(3, np.float32)),
    "long": _npy(np.zeros(SIZE + 1, np.float32)),
    "two-dimensional": _npy(np.zeros((SIZE, 1), np.float32)),
    "double": _npy(np.zeros(SIZE)),
    "integer": _npy(np.zeros(SIZE, np.int32)),
    "not finite": _npy(np.full(SIZE, np.nan, np.float32)),
    "another byte order": _npy(np.zeros(SIZE, ">f4")),
    "another version": _npy(np.zeros(SIZE, np.float32), version=(2, 0)),
    "pickle": _npy(np.array([None]), allow_pickle=True),
    "empty": b"",
    "terabytes": _claim(f"({10**13},)"),
    "negative": _claim("(-1,)"),
    "nested": _claim("(" * 4000 + ")" * 4000)[:65000],
    "no Python": _claim("(3,", "'<f4"),
    "objects": _claim(f"({SIZE},)", "'|O'"),
    "records": _claim(f"({SIZE},)", "[('a', '<f4')]"),
}


@pytest.mark.slow
@pytest.mark.parametrize("member", ["params", "solver_first", "solver_n_steps", "best_params"])
@pytest.mark.parametrize("content", ARRAYS.values(), ids=ARRAYS)
def test_an_array_of_another_kind_is_refused(path, member, content):
    _write(path, {**_members(path), f"{member}.npy": content})
    _refused(path)


HISTORIES = {
    "seed": [-1, "0", None, 2.5],
    "best": [None, "low", float("nan")],
    "n_stale": [None, 1.5, -1, 10**30],
    "converged": [0, "no"],
    "loss_curve": [None, 1, [None], ["a"], [float("nan")], {"0": 1.0}],
    "validation_curve": [None, [1.0] * 9],
    "rng": [None, {}, {"bit_generator": "MT19937"}, []],
    "more": [1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HISTORIES.items() for value in values]
)
def test_a_history_of_another_kind_is_refused(path, name, value):
    members = _members(path)
    _write(path, {**members, "header.npy": _header(members, **{name: value})})
    _refused(path)


@pytest.mark.parametrize(
    "header",
    [b"", _npy("no JSON"), _npy("[]"), _npy("{}"), _npy("[" * 10**5), _npy('{"identity": 1}')],
    ids=["empty", "text", "list", "dict", "nested", "identity"],
)
def test_a_header_of_another_kind_is_refused(path, header):
    _write(path, {**_members(path), "header.npy": header})
    _refused(path)


def test_only_known_members_are_read(path):
    members = _members(path)
    _write(path, {**members, "solver_third.npy": members["solver_first.npy"]})
    _refused(path)
    del members["solver_first.npy"]
    _write(path, members)
    _refused(path)


def test_best_parameters_are_there_with_errors_on_held_out_rows(path):
    _model(path, early_stopping=True).fit(X)
    members = _members(path)
    del members["best_params.npy"]
    _write(path, members)
    with pytest.raises(ValueError, match="cannot be read.*Delete it"):
        _model(path, early_stopping=True, resume=True).fit(X)


@pytest.mark.slow
def test_no_member_may_expand(path):
    members = _members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name != "params.npy":
                archive.writestr(name, content)
        with archive.open("params.npy", "w") as file:
            file.write(_claim(f"({10**8 // 4},)"))
            for _ in range(100):
                file.write(bytes(10**6))
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    try:
        _refused(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_flipped_bits_are_found_or_do_not_matter(path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    whole = _model(path, resume=True).fit(X)._params
    for place in rng.integers(len(content), size=300):
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            resumed = _model(path, resume=True).fit(X)
        except ValueError as error:
            assert "cannot be read" in str(error)
        else:
            np.testing.assert_array_equal(resumed._params, whole)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_before_the_first_epoch(tmp_path, make):
    make(tmp_path / "state")
    for resume in (False, True):
        with pytest.raises(ValueError, match="checkpoint=.* cannot be written"):
            _model(tmp_path / "state", resume=resume).fit(X)


def _machine(name):
    return name, RBM(3, max_iter=1)


@pytest.mark.parametrize(
    "model",
    [
        DBM([_machine("low"), _machine("high")]),
        DBN([_machine("low"), _machine("state")]),
        BoltzmannClassifier(RBM(3, max_iter=1)),
        ManifoldTangentClassifier(AutoEncoder(3, max_iter=1)),
        StackedAE([("low", AutoEncoder(3, max_iter=1))], fine_tune="reconstruction"),
        StackedAEClassifier([("low", AutoEncoder(3, max_iter=1))], pretraining="partial"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_no_file_is_refused_before_parts_are_trained(tmp_path, model):
    """Of stages the last file is written after days."""
    (tmp_path / "state").mkdir()
    (tmp_path / "machines.state").mkdir()
    name = "machines" if isinstance(model, DBN) else "state"
    with pytest.raises(ValueError, match="checkpoint=.* cannot be written"):
        clone(model).set_params(checkpoint=tmp_path / name).fit(X, np.arange(len(X)) % 2)
    assert sorted(os.listdir(tmp_path)) == ["machines.state", "state"]


@pytest.mark.parametrize("name", ["loop", "a\0b"])
def test_other_paths_of_no_file_are_named(tmp_path, name):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ValueError, match="checkpoint=.* cannot be written"):
        _model(f"{tmp_path}/{name}").fit(X)


@pytest.mark.parametrize("make", [AutoEncoder, StackedAE, ManifoldTangentClassifier])
def test_an_empty_path_is_refused(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="checkpoint"):
        make(checkpoint="").fit(X, np.arange(len(X)) % 2)
    assert not os.listdir(tmp_path)


def test_paths_of_bytes_are_those_of_their_letters(tmp_path, monkeypatch):
    """As an entry of ``os.scandir(b".")`` is one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").touch()
    (entry,) = os.scandir(b".")
    layers = [("low", AutoEncoder(3, max_iter=1)), ("high", AutoEncoder(2, max_iter=1))]
    _model(entry).fit(X)
    StackedAE(layers, fine_tune="reconstruction", max_iter=1, checkpoint=entry).fit(X)
    StackedAE(layers, schedule="simultaneous", checkpoint=entry).fit(X)
    expected = ["state", "state.high", "state.layers", "state.low"]
    assert sorted(os.listdir(tmp_path)) == expected


def test_a_folder_that_is_not_there_is_refused_before_the_first_epoch(tmp_path):
    for Model in (AutoEncoder, RBM, SparseCoder):
        model = Model(3, checkpoint=tmp_path / "none" / "state", max_iter=10**9)
        with pytest.raises(ValueError, match="checkpoint=.* cannot be written"):
            model.fit(X)
        assert not hasattr(model, "_state")


def _resumed_equals_whole(path, done):
    resumed = _model(path, resume=True, max_iter=done + 2).fit(X)
    np.testing.assert_array_equal(resumed._params, _model(max_iter=done + 2).fit(X)._params)


@contextmanager
def small_files():
    """Yield a function after which, in the block, no file can be larger than so many bytes; pytest's log can afterwards."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda n_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Breaking:
    """A corruption that calls ``action`` once, in the third epoch."""

    def __init__(self, action):
        self.action, self.n_calls = action, 0

    def __call__(self, X, seed, out):
        out[:] = X
        self.n_calls += 1
        if self.n_calls == 7:  # batches
            self.action()

    def __repr__(self):
        return "Breaking()"


def _denoising(path, action, **options):
    return DenoisingAE(3, corruption=Breaking(action), checkpoint=path, **{**STEADY, **options})


def test_weights_are_kept_where_the_disk_is_full(tmp_path):
    path = tmp_path / "state.npz"
    with small_files() as limit:
        model = _denoising(path, lambda: limit(512), max_iter=9)
        with pytest.raises(OSError, match=re.escape(str(path))):
            model.fit(X)
    assert model.n_iter_ == 3 and np.isfinite(model.transform(X)).all()
    assert os.listdir(tmp_path) == ["state.npz"]
    with np.load(path) as file:
        assert len(json.loads(str(file["header"]))["state"]["loss_curve"]) == 2


def test_weights_are_kept_where_the_folder_is_lost(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    model = _denoising(folder / "state", lambda: shutil.rmtree(folder), max_iter=9)
    with pytest.raises(FileNotFoundError):
        model.fit(X)
    assert model.n_iter_ == 3 and np.isfinite(model.transform(X)).all()


def test_a_stack_keeps_its_layers_where_the_folder_is_lost(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    broken = _denoising(None, lambda: shutil.rmtree(folder), max_iter=9)
    stack = StackedAE([("low", _model()), ("high", broken)], checkpoint=folder / "stack")
    with pytest.raises(FileNotFoundError):
        stack.fit(X)
    assert [layer.n_iter_ for _, layer in stack.layers_] == [3, 3]
    assert np.isfinite(stack.transform(X)).all()


def killed_in_a_write(path):
    np.savez = lambda file, **arrays: (
        file.write(b"half") and file.flush() or os.kill(os.getpid(), signal.SIGKILL)
    )
    AutoEncoder(3, checkpoint=path).fit(np.eye(8))


@pytest.mark.slow
def test_a_write_that_is_killed_leaves_nothing_for_ever(tmp_path):
    path = tmp_path / "state.npz"
    training = process(killed_in_a_write, path)
    training.join(60)
    assert training.exitcode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    other = tmp_path / "state.npz.low.tmp"
    other.write_text("of somebody else")
    _model(path).fit(X)
    assert sorted(os.listdir(tmp_path)) == ["state.npz", other.name]


def test_a_write_of_another_process_goes_on(tmp_path):
    path = os.path.realpath(tmp_path / "state")
    with replacing(path) as file:
        file.write(b"whole")
        remove_leftovers(path)
    assert (tmp_path / "state").read_bytes() == b"whole"


def test_the_file_keeps_its_mode(tmp_path):
    path, plain = tmp_path / "state.npz", tmp_path / "plain"
    plain.touch()
    _model(path).fit(X)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o640)
    _model(path).fit(X)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path):
    for target in ("there", "not yet"):
        if target == "there":
            _model(tmp_path / target).fit(X)
        link = tmp_path / f"link to {target}"
        link.symlink_to(tmp_path / target)
        _model(link).fit(X)
        assert link.is_symlink() and (tmp_path / target).is_file()
        _resumed_equals_whole(link, 3)


def test_a_checkpoint_has_what_observers_keep(tmp_path):
    y, options = np.arange(60) % 2, {**STEADY, "checkpoint": tmp_path / "state"}
    base = ContractiveAE(3, max_iter=2, random_state=0).fit(X)
    machine = RBM(3, gradient="pcd", **options)
    classifier = ManifoldTangentClassifier(
        base, n_tangents=2, prefit=True, update_tangents=2, **options
    )
    for model in (machine, classifier):
        whole = model.set_params(max_iter=5, checkpoint=None, resume=False).fit(X, y)._params.copy()
        model.set_params(max_iter=3, checkpoint=tmp_path / "state", resume=False).fit(X, y)
        model.set_params(max_iter=5, resume=True).fit(X, y)
        np.testing.assert_array_equal(model._params, whole)


def _replace(path):
    with replacing(path) as file:
        file.write(b"new")


@pytest.mark.parametrize("write", [_replace, check_writable])
def test_an_interrupt_at_any_line_leaves_no_file(write, tmp_path):
    path = tmp_path / "state"
    for number in range(100):
        path.write_bytes(b"old")
        try:
            with InterruptAtLine(number, files) as tracer:
                write(path)
        except KeyboardInterrupt:
            pass
        assert os.listdir(tmp_path) == ["state"]
        assert path.read_bytes() in (b"old", b"new")
        if tracer.left >= 0:
            break
    assert 5 < number < 99


@pytest.mark.parametrize(
    "model",
    [
        ContractiveAE(3, solver="lbfgs", tol=0.1, max_iter=50, random_state=0),
        StackedAEClassifier([("low", AutoEncoder(3, **STEADY))], solver="lbfgs", tol=0.1, random_state=0),
    ],
    ids=["model", "stack"],
)  # fmt: skip
def test_a_training_by_lbfgs_that_has_converged_is_over(model, tmp_path):
    y = (X[:, 0] > 0.5).astype(int)
    expected = clone(model).fit(X, y)
    assert expected.converged_
    model = clone(model).set_params(checkpoint=tmp_path / "file", resume=True)
    for _ in range(3):
        found = clone(model).fit(X, y)
        assert found.loss_curve_ == expected.loss_curve_
        np.testing.assert_array_equal(found.transform(X), expected.transform(X))
