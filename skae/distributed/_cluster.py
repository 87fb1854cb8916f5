"""The workers of a Dask cluster: their data, their tasks, and recovery when one is lost."""

import time

_MAX_ATTEMPTS = 10  # attempts for a task whose worker was lost
_PATIENCE = 1.0  # seconds between checks of the workers


def client_or_default(client, timeout):
    """Return ``client``, or the one that is active in this process; an address has ``timeout`` seconds to answer.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If there is no active client.
    """
    try:
        from distributed import Client, default_client
    except ImportError as error:
        raise ImportError("Distributed needs Dask: pip install 'skae[dask]'.") from error
    if isinstance(client, str):
        return Client(client, set_as_default=False, timeout=timeout)
    if client is not None:
        return client
    try:
        return default_client()
    except ValueError as error:
        raise ValueError(
            "No Dask client is active: make one, client = Client(LocalCluster()), or give its address, client='tcp://...'."
        ) from error


class Cluster:
    """Workers that run tasks; if a worker is lost, another one runs its task again.

    Parameters
    ----------
    client : distributed.Client
    min_workers : int
    timeout : float
        Number of seconds for which there may be fewer workers.
    """

    def __init__(self, client, min_workers, timeout):
        self.client, self._min_workers, self._timeout = client, min_workers, timeout
        self._homes = {}

    @property
    def n_threads(self):
        """int: number of threads of all workers."""
        return sum(self.client.nthreads().values())

    def wait_for_workers(self):
        """Wait until there are enough workers.

        Raises
        ------
        RuntimeError
            If there are too few for the whole of ``timeout``, or the client is closed.
        """
        deadline = time.monotonic() + self._timeout
        while (n_workers := len(self._workers())) < self._min_workers:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The cluster has {n_workers} workers, and min_workers={self._min_workers}, for {self._timeout} s: start "
                    "workers, or lower min_workers."
                )
            time.sleep(0.05)

    def _workers(self):
        """Return the addresses of the workers."""
        if self.client.status == "closed":
            raise RuntimeError(
                "The Dask client is closed: make a new one, client = Client(LocalCluster()), or give its address, "
                "client='tcp://...'."
            )
        return sorted(self.client.scheduler_info(n_workers=-1)["workers"])

    def send(self, number, something):
        """Return the future of an object of part ``number``, on the worker that has this part's other objects."""
        for _ in range(_MAX_ATTEMPTS):
            self.wait_for_workers()
            try:
                options = {"workers": [self._home(number)], "hash": False}
                return self.client.scatter([something], **options)[0]
            except (OSError, *_lost()):
                self._homes.pop(number, None)
        raise RuntimeError(
            f"Workers were lost {_MAX_ATTEMPTS} times while rows were sent to them: see their logs."
        )

    def _home(self, number):
        """Return the address of a part's worker, or of another one if that is gone."""
        workers = self._workers()
        if not workers:
            raise ConnectionError("The last worker has gone.")
        if self._homes.get(number) not in workers:
            self._homes[number] = workers[number % len(workers)]
        return self._homes[number]

    def run(self, function, inputs, tasks, **options):
        """Return the list of results of ``function(*objects, *arguments, **options)`` for each task.

        Parameters
        ----------
        function : callable
        inputs : list of RemoteObjects
            The objects of each task, which stay on the workers.
        tasks : dict
            Arguments of the tasks, by number.
        """
        results = {}
        for attempt in range(_MAX_ATTEMPTS):
            missing = [number for number in tasks if number not in results]
            if attempt:
                self.wait_for_workers()
                for each in inputs:
                    each.send(missing)
            futures = {
                number: self._submitted(function, inputs, number, tasks[number], options)
                for number in missing
            }
            for number, future in futures.items():
                self._take(number, future, [each[number] for each in inputs], results)
            if len(results) == len(tasks):
                return [results[number] for number in tasks]
        raise RuntimeError(
            f"Workers were lost {_MAX_ATTEMPTS} times during one task, perhaps because memory ran out: see their logs, or set a larger n_parts."
        )

    def _submitted(self, function, inputs, number, arguments, options):
        """Return the future of a task, or None if an object that it needs is lost."""
        try:
            objects = [each[number] for each in inputs]
            return self.client.submit(function, *objects, *arguments, **options, pure=False)
        except _lost():
            return None

    def _take(self, number, future, objects, results):
        """Store the result of a future under its number, unless it or an object that it needs was lost.

        Raise the error that the task raised.
        """
        patience = _PATIENCE
        while future is not None and future.status in ("pending", "finished", "error"):
            try:
                results[number] = future.result(timeout=patience)
                return
            except TimeoutError:
                if future.status == "error":
                    raise
            except _lost():
                return
            self.wait_for_workers()
            if any(each.status != "finished" for each in objects):
                return
            patience = 2 * patience  # a large result takes longer


def _lost():
    """Return the errors that are raised for tasks and data whose worker was lost."""
    import asyncio
    from concurrent.futures import CancelledError

    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    return KilledWorker, CommClosedError, CancelledError, asyncio.CancelledError, TimeoutError


class RemoteObjects:
    """Objects on workers, the inputs of tasks, by number; lost ones are sent again.

    Parameters
    ----------
    cluster : Cluster
    make : callable
        ``make(number)`` returns an object.
    numbers : iterable of int
    """

    def __init__(self, cluster, make, numbers):
        self._cluster, self._make, self._futures = cluster, make, {}
        self.send(numbers)

    def __getitem__(self, number):
        return self._futures[number]

    def send(self, numbers):
        """Send the objects of ``numbers`` to present workers, one by one: this process has one at a time."""
        for number in numbers:
            self._futures[number] = self._cluster.send(number, self._make(number))
