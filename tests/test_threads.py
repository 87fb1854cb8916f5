"""Work shared among threads: equal to doing it alone, and BLAS as it was afterwards."""

import gc
import os
import random
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from processes import process
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    _cores,
    _threads,
    _workers,
)
from skae._arrays import products
from skae._pace import Pace
from skae._threads import product, share, share_items, team


def _blas_threads():
    return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(
    "shape", [(1, 3000, 2000), (3000, 2000, 1), (700, 301, 93), (93, 301, 700)]
)
def test_product(shape, n_threads):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(shape[:2]), rng.standard_normal(shape[1:])
    with threadpool_limits(n_threads, user_api="blas"), team():
        np.testing.assert_allclose(product(a, b), a @ b, rtol=0, atol=1e-10)
        out = np.empty((shape[0], shape[2]))
        assert product(a, b, out) is out
        np.testing.assert_allclose(out, a @ b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("n_rows", [1, 2, 64, 65])
@pytest.mark.parametrize("has_wide_registers", [True, False])
def test_products_of_few_rows(has_wide_registers, n_rows, transposed, n_threads, monkeypatch):
    monkeypatch.setattr(products, "has_wide_registers", lambda: has_wide_registers)
    rng = np.random.default_rng(0)
    a, b = rng.random((n_rows, 900), np.float32), rng.random((400, 900), np.float32).T
    if not transposed:
        b = np.ascontiguousarray(b)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    columns = np.asfortranarray(a)
    wider = np.full((n_rows + 1, 420), -1, np.float32)
    with threadpool_limits(n_threads, user_api="blas"), team():
        np.testing.assert_allclose(product(a, b), expected, rtol=1e-5)
        np.testing.assert_allclose(product(columns, b), expected, rtol=1e-5)
        product(a, b, wider[1:, 10:410])
    np.testing.assert_allclose(wider[1:, 10:410], expected, rtol=1e-5)
    assert (wider[0] == -1).all() and (wider[:, [9, 410]] == -1).all()


def test_each_item_is_done_once():
    counts, together = np.zeros(1003, int), threading.Barrier(3)

    def work(part):
        counts[part] += 1

    def meet(part):
        together.wait(timeout=60)
        work(part)

    with threadpool_limits(3, user_api="blas"), team():
        share(meet, len(counts), 10**6)
        share(work, len(counts), 1)
    assert (counts == 2).all()


def test_a_thread_starts_with_its_first_task():
    before = threading.active_count()
    with team(2):
        share(lambda part: None, 100, 1)
        assert threading.active_count() == before
        share(lambda part: None, 100, 10**6)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_no_part_is_empty():
    sizes = []
    with threadpool_limits(3, user_api="blas"), team():
        share(lambda part: sizes.append(part.stop - part.start), 2, 10**7)
    assert sizes == [1, 1]


def test_items_outside_a_team_leave_later_teams_their_threads():
    assert share_items(str, [1, 2]) == ["1", "2"]
    sizes = []
    with threadpool_limits(3, user_api="blas"), team():
        share(lambda part: sizes.append(part.stop - part.start), 2, 10**7)
    assert sizes == [1, 1]


def test_errors_of_other_threads_arrive():
    def work(part):
        if part.start:
            raise KeyError("second half")

    before = _blas_threads()
    with threadpool_limits(2, user_api="blas"), pytest.raises(KeyError, match="second"), team():
        share(work, 100, 10**6)
    assert _blas_threads() == before


@pytest.mark.slow
def test_blas_is_given_back_by_fits_side_by_side():
    before = _blas_threads()
    X = np.random.default_rng(0).random((200, 100))

    def fit(_):
        ContractiveAE(100, max_iter=5, random_state=0).fit(X)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(8)))
    assert _blas_threads() == before


def test_training_in_threads_is_training():
    X = np.random.default_rng(0).random((600, 300))
    model = ContractiveAE(200, batch_size=300, max_iter=3, random_state=0)
    losses = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"):
            losses.append(model.fit(X).loss_curve_)
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-9)


def test_items_are_shared_and_may_share_themselves():
    idents = set()

    def function(item):
        idents.add(threading.get_ident())
        out = np.zeros(2000)

        def fill(part):
            out[part] = item

        share(fill, 2000, 10**6)
        time.sleep(0.002)
        return out.sum()

    with team(2):
        results = share_items(function, list(range(100)))
    assert results == [2000.0 * item for item in range(100)]
    assert len(idents) == 2


def test_teams_that_overlap_leave_blas_as_it_was():
    entered, left = threading.Event(), threading.Event()

    def outlive_the_first():
        entered.wait(timeout=60)
        with team(2):
            left.wait(timeout=60)

    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        before = _blas_threads()
        later = pool.submit(outlive_the_first)
        with team(2):
            entered.set()
            time.sleep(0.05)
        left.set()
        later.result()
        assert _blas_threads() == before


@pytest.mark.slow
def test_a_team_that_is_left_open_ends_with_its_object_and_leaves_others():
    """As after Ctrl-C in the moment in which Python calls ``__exit__``."""
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as pool:
        before, threads = _blas_threads(), threading.active_count() + 1
        left = [team(2)]

        def leave_open():
            left[0].__enter__()
            share(lambda part: None, 10, 10**6)

        pool.submit(leave_open).result()
        assert threading.active_count() == threads + 1
        with team(2):
            own = _threads.local.team
            left.clear()
            gc.collect(1)
            assert _threads.local.team is own
            assert set(_blas_threads()) == {1}
        assert _blas_threads() == before
        assert threading.active_count() == threads


@pytest.mark.slow
def test_a_team_may_end_while_blas_is_being_limited(monkeypatch):
    """As the garbage collector may end one that was left open, at any allocation; a lock that is held would halt it."""
    limit, seen = _threads.set_blas_threads, []

    def overlap():
        left = [team(2)]
        left[0].__enter__()
        _threads.local.team = None

        def collecting(library, n_threads):
            if left:
                left.clear()
                gc.collect(1)
            limit(library, n_threads)

        monkeypatch.setattr(_threads, "set_blas_threads", collecting)
        with team(2):
            seen.append(set(_blas_threads()))

    with threadpool_limits(2, user_api="blas"):
        before = _blas_threads()
        thread = threading.Thread(target=overlap, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive() and seen == [{1}]
        assert _blas_threads() == before


def fit_with_interrupts(error):
    """Interrupt fits by ``error`` at 40 random times, after which all threads and limits are as before."""
    warnings.simplefilter("ignore")
    _threads._SMALLEST_WORK = 1000
    threadpool_limits(2, user_api="blas")
    limits = [each["num_threads"] for each in threadpool_info()]
    X = np.random.default_rng(0).random((300, 40))
    model = AutoEncoder(20, batch_size=100, max_iter=3, random_state=0).fit(X)
    whole, start = model.components_.copy(), time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    random.seed(0)

    def throw(*args):
        raise error("now")

    def interrupt(after, caught):
        time.sleep(after)
        while not caught.is_set():  # Python drops an exception that a destructor raises
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            caught.wait(5)

    signal.signal(signal.SIGINT, throw)
    for _ in range(40):
        caught = threading.Event()
        arguments = random.uniform(0, seconds), caught
        thread = threading.Thread(target=interrupt, args=arguments)
        try:
            thread.start()
            while True:
                model.fit(X)
        except error:
            caught.set()
            thread.join()
        deadline = time.monotonic() + 5
        while threading.active_count() > 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert threading.active_count() == 1
        assert [each["num_threads"] for each in threadpool_info()] == limits
    np.testing.assert_array_equal(model.fit(X).components_, whole)


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_interrupts_at_any_time_leave_no_thread_and_no_limit(error):
    """In a process of its own, which is killed if it hangs."""
    fits = process(fit_with_interrupts, error)
    fits.join(120)
    fits.kill()
    assert fits.exitcode == 0


def test_an_interrupt_as_a_thread_starts_stays_an_interrupt():
    """It was a RuntimeError where the thread had a number, but could not be joined yet."""
    worker = _workers.Worker(False)
    worker._thread._ident = threading.get_ident()
    worker.end()


def test_a_worker_that_is_not_there_is_done_without():
    """As in a process that was forked in the middle of it."""
    done = []
    with team(3):
        for worker in _threads.local.team:
            worker.end()
        share(done.append, 30, 10**6)
        share(done.append, 30, 10**6)
    assert done == [slice(0, 10), slice(10, 20), slice(20, 30)] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_forked_during_a_fit_has_all_threads_of_blas():
    X, seen = np.random.default_rng(0).random((200, 100)), []

    class Forking:
        def __call__(self, X, seed, out):
            out[:] = X
            if not seen:
                seen.append(_exit_status_of(lambda: _blas_threads() == before and _fits_alike()))

    def _fits_alike():
        models = [ContractiveAE(100, max_iter=1, random_state=0).fit(X) for _ in range(2)]
        return (models[0].components_ == models[1].components_).all()

    with threadpool_limits(2, user_api="blas"):
        before = _blas_threads()
        DenoisingAE(100, corruption=Forking(), max_iter=1).fit(X)
        assert _blas_threads() == before
    assert seen == [0]


def _exit_status_of(check):
    """Return 0 if ``check()`` is true in a forked process, which has a minute."""
    child = os.fork()
    if not child:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


@pytest.mark.slow
def test_fits_side_by_side_have_the_bits_of_fits_alone():
    X = np.random.default_rng(0).random((500, 150)).astype(np.float32)
    models = [
        ContractiveAE(120, max_iter=3, batch_size=250, random_state=0),
        StackedAE(
            [("low", ContractiveAE(99, max_iter=2)), ("high", ContractiveAE(88, max_iter=2))],
            random_state=0,
        ),
        SparseCoder(80, max_iter=2, random_state=0),
        SparseAutoEncoder(200, k=8, max_iter=3, batch_size=250, random_state=0),
        RBM(110, max_iter=3, batch_size=250, random_state=0),
    ]

    def fitted(model):
        return clone(model).fit(X)._state["params"]

    with threadpool_limits(2, user_api="blas"):
        alone = [fitted(model) for model in models]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fitted, models * 3))
    for number, params in enumerate(together):
        np.testing.assert_array_equal(params, alone[number % len(models)])


@pytest.mark.parametrize(
    ("line", "folder", "files", "cores"),
    [
        ("0::/a/b", "a/b", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/a/b", "a", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b", "a", {"cpu.max": "max 100000"}, np.inf),
        ("0::/", "", {"cpu.max": "200000 100000"}, 2),
        ("4:cpu:/a", "cpu/a", {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "25000"}, 2),
        ("4:cpu,cpuacct:/a", "cpu,cpuacct", {"cpu.cfs_quota_us": "5", "cpu.cfs_period_us": "2"}, 2.5),
        ("4:cpu:/a", "cpu/a", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "25000"}, np.inf),
        ("4:cpuset:/a", "cpuset/a", {"cpu.cfs_quota_us": "5", "cpu.cfs_period_us": "2"}, np.inf),
    ],
)  # fmt: skip
def test_the_quota_of_a_container(line, folder, files, cores, tmp_path, monkeypatch):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (tmp_path / folder / name).write_text(text + "\n")
    (tmp_path / "membership").write_text(f"9:pids:/\n{line}\n")
    monkeypatch.setattr(_cores, "_MEMBERSHIP", str(tmp_path / "membership"))
    monkeypatch.setattr(_cores, "_GROUPS", str(tmp_path))
    _cores.allowed_cores.cache_clear()
    assert _cores.allowed_cores() == cores
    idents = set()
    with team(4):
        share_items(lambda _: (idents.add(threading.get_ident()), time.sleep(0.005)), range(40))
    _cores.allowed_cores.cache_clear()
    assert len(idents) == max(min(int(min(cores, 4)), 4), 1)


@pytest.mark.slow
def test_a_thread_works_alone_while_others_are_halted():
    pace = Pace()
    for _ in range(100):
        pace.note(1, 2.5 if not pace.alone else 1.0, 0.5)
    assert pace.alone
    for _ in range(10_000):
        pace.note(1, 0.55 if not pace.alone else 1.0, 0.5 if not pace.alone else 1.0)
        time.sleep(1e-5)
    assert not pace.alone
