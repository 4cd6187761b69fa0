"""Tasks on a Dask cluster, by its executor: a few ahead of its workers, results as they come.

joblib's own backend for Dask never tells a waiting generator of a task that failed outside of its function: a run would
wait for ever for a task whose workers were killed. Futures of the executor say so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from itertools import islice
from typing import Any, TypeVar

from distributed.scheduler import KilledWorker

from nestbench.experiments.running.given_up import GivenUp
from nestbench.sim.errors import WorkersLost

PATIENCE = 60.0
"""Seconds without any worker, or without an answer of the scheduler, after which a run ends."""
AHEAD = 2
"""Tasks handed over for every thread of the cluster, so that none waits for the next."""

T = TypeVar("T")
W = TypeVar("W")


def answers(client: Any, do: Callable[[W], T], works: Iterator[W]) -> Generator[T, None, None]:
    """Yield what a function makes of each task, in the order in which workers finish; `client` is Dask's.

    Raises
    ------
    GivenUp
        The workers of a task died again and again (by default four times).
    WorkersLost
        The cluster has had no worker, or given no answer, for `PATIENCE` seconds.
    """
    # Pure tasks are named by their content: one that is done again would be given the answer of the one that was lost.
    executor = client.get_executor(pure=False)
    cluster = _Cluster(client)
    waiting: set[Future[T]] = set()
    while True:
        free = max(AHEAD * cluster.threads(), 1) - len(waiting)
        waiting.update(executor.submit(do, work) for work in islice(works, max(free, 0)))
        if not waiting:
            return
        done, waiting = wait(waiting, timeout=cluster.pause, return_when=FIRST_COMPLETED)
        # What succeeded first: raising for one that failed drops those behind it, and they would be done again.
        for future in sorted(done, key=_failed):
            yield _result(future)


def _failed(future: Future[T]) -> bool:
    return future.cancelled() or future.exception() is not None


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except KilledWorker as error:
        raise GivenUp(str(error)) from error
    except CancelledError as error:
        raise WorkersLost("the Dask scheduler dropped what was under way", "look at it") from error


class _Cluster:
    """A cluster's threads, asked for every `pause` seconds at most."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._threads, self._asked, self._seen = 0, -float("inf"), time.monotonic()
        self.pause = min(1.0, PATIENCE / 4)

    def threads(self) -> int:
        """Return how many there are; raise `WorkersLost` where there were none for `PATIENCE` seconds."""
        if time.monotonic() - self._asked < self.pause:
            return self._threads
        why = "it has no workers"
        try:
            cores = self._client.sync(self._client.scheduler.ncores, callback_timeout=PATIENCE)
            self._threads = sum(cores.values())
        except (OSError, TimeoutError) as error:
            self._threads, why = 0, f"it doesn't answer ({type(error).__name__})"
        self._asked = time.monotonic()
        if self._threads:
            self._seen = self._asked
        elif self._asked - self._seen > PATIENCE:
            raise WorkersLost(f"waited {PATIENCE:g} s for the Dask scheduler, but {why}", "start workers")
        return self._threads
