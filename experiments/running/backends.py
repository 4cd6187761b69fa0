"""Where tasks are done: processes of this machine by way of joblib, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib

from nestbench.experiments.running.workers import OwnWorkers
from nestbench.sim.errors import InvalidInput

NAMES = ("loky", "dask")


@dataclass(frozen=True, slots=True)
class Backend:
    """Processes of this machine (``loky``), or the workers of a Dask scheduler (``dask``, ``tcp://host:port``).

    Dask workers should have one thread each, this package, and see plugin files under the same path.
    """

    name: str = "loky"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise InvalidInput(f"expected the backend loky or dask, got '{self.name}'")
        if (self.name == "dask") != (self.scheduler is not None):
            raise InvalidInput(
                "expected --backend dask together with --scheduler tcp://HOST:PORT, got one without the other"
            )


LOCAL = Backend()


def processes_start() -> bool:
    """Whether this system lets processes share what a pool of them needs: some containers have no shared memory."""
    try:
        with _safe_path():  # a process of Python's own that keeps track of them starts with the first
            multiprocessing.get_context("spawn").Semaphore()
    except (ImportError, OSError):
        return False
    return True


@contextmanager
def pool(workers: int) -> Iterator[None]:
    """Make joblib use processes of this machine, each with one thread if they are several."""
    # One BLAS thread a worker: as many threads as cores, times as many workers, would fight.
    own = OwnWorkers(inner_max_num_threads=1 if workers > 1 else None)
    with joblib.parallel_config(backend=own), _safe_path():
        yield


@contextmanager
def _safe_path() -> Iterator[None]:
    """Have workers not look for modules in the current folder, where a user's ``random.py`` would stand in for
    Python's."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


@contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """Connect to a Dask scheduler.

    Raises
    ------
    InvalidInput
        Dask isn't installed, or no scheduler answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InvalidInput(
            "expected dask for --backend dask; install it with: pip install 'nestbench[dask]'"
        ) from error
    try:
        # The default client of the process stays whose it was: a notebook may compute elsewhere with Dask.
        client: Any = Client(address, set_as_default=False, timeout=20)  # type: ignore[no-untyped-call,unused-ignore]
    except (OSError, ValueError) as error:
        raise InvalidInput(f"expected a Dask scheduler at '{address}', got {error}") from error
    with client:
        yield client
