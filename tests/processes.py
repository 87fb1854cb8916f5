"""Other processes that begin at once: forks of one that has imported the package."""

import multiprocessing
import os
import time


def process(function, *arguments):
    """Return the started process of ``function(*arguments)``, which are pickled."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["skae.distributed", "skae.generative", "skae.images", "skae.plotting"]
    )
    started = context.Process(target=function, args=arguments)
    started.start()
    return started


def kill_fit_when(path, model, *data):
    """Fit ``model`` in another process until ``path`` exists and a little longer."""
    fit = process(model.fit, *data)
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    fit.kill()
    fit.join()
    assert os.path.exists(path)
