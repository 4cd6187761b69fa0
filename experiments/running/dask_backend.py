"""joblib's Dask backend, made to say what it keeps to itself: a task that Dask gave up, a cluster without workers.

joblib's own never tells a waiting generator of a task that failed outside of its function, so a run would wait for ever
for a task whose workers were killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from distributed.scheduler import KilledWorker
from joblib._dask import DaskDistributedBackend

from nestbench.experiments.running.given_up import GivenUp
from nestbench.sim.errors import WorkersLost

PATIENCE = 60.0
"""Seconds without any worker, or without an answer of the scheduler, after which a run ends."""


class TellingBackend(DaskDistributedBackend):  # type: ignore[misc,unused-ignore]
    """Dask through joblib; what goes wrong outside of a task's function is raised to whoever waits for results."""

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Submit as joblib does, and pass errors on to the callback, which joblib calls for results only."""
        future = super().submit(func, callback)

        def tell(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None and callback is not None:
                callback(error)

        future.add_done_callback(tell)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return a task's results, or raise why there are none."""
        if isinstance(out, KilledWorker):
            raise GivenUp(str(out)) from out
        if isinstance(out, (CancelledError, asyncio.CancelledError)):
            raise WorkersLost("the Dask scheduler dropped what was under way", "look at it") from out
        return super().retrieve_result_callback(out)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return the workers, at least two: with one, joblib would do the work in this process."""
        return max(2, int(super().effective_n_jobs(n_jobs)))

    def start_call(self) -> None:
        """Watch the cluster as long as results are awaited."""
        super().start_call()
        self.client.loop.add_callback(self._watch)

    async def _watch(self) -> None:
        seen, why = time.monotonic(), ""
        while self._continue:
            try:
                if await asyncio.wait_for(self.client.scheduler.ncores(), PATIENCE):
                    seen = time.monotonic()
                why = "it has no workers"
            except (OSError, TimeoutError) as error:
                why = f"it doesn't answer ({type(error).__name__})"
            if time.monotonic() - seen > PATIENCE:
                self._give_up(f"waited {PATIENCE:g} s for the Dask scheduler, but {why}")
                return
            await asyncio.sleep(min(1.0, PATIENCE / 4))

    def _give_up(self, why: str) -> None:
        for waiting in list(self._results.values()):
            if not waiting.done():
                waiting.set_exception(WorkersLost(why, "start workers"))
