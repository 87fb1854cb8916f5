"""Work shared among threads: equal to doing it alone, and BLAS as it was afterwards."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skae import ContractiveAE
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


def test_no_part_is_empty():
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
