"""A check that spends a time: fresh data sets, more and more of them, and one look at the end.

How many replications there are is decided by the clock alone, never by what they show: so the check at the end has the
false-alarm rate alpha it states, as one of a fixed size has. Replications that an earlier call left in the same folder
are pooled with the new ones; each call looks once more at data that grow, and by the union bound k calls raise a false
alarm with probability at most k alpha, whatever the looks have in common.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.progress import Progress
from nestbench.experiments.running.resolving import is_run
from nestbench.experiments.running.start import run_experiment
from nestbench.experiments.storing.store import Store
from nestbench.sim.errors import InvalidInput, StoreError

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
WEEKS = 52
SAFE = 0.9
"""Share of the time that is left which is planned: the costs of a replication are known by those before."""
LEAST = 8
"""Replications that a round adds at least: fewer cost more to start than to fit."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a budget bought: the run, how many of its replications are new, and how many looks a year of weeks has."""

    store: Store
    new: int
    reached: int

    def sentence(self, alpha: float) -> str:
        """Return what was drawn, and the false-alarm rate of looking at it."""
        before = self.reached - self.new
        pooled = f", pooled with {before} of before" if before else ""
        drawn = f"{self.new} replications of each condition with seed {self.store.experiment.seed}{pooled}"
        rate = (
            f"each at a false-alarm rate of {alpha:g}: a year of weekly calls has at most {WEEKS * alpha:.2g}"
        )
        return f"{drawn}; one look a call, {rate}"


def seconds_of(text: str) -> float:
    """Return the seconds of ``30m``, ``1h30m`` or ``90s``.

    Raises
    ------
    InvalidInput
        It is none of these.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(n + unit for n, unit in parts) != text:
        raise InvalidInput(f"expected a time as 30m, 1h30m or 90s, got '{text}'")
    total = sum(float(n) * UNITS[unit] for n, unit in parts)
    if not total > 0:
        raise InvalidInput(f"expected a time above 0, got '{text}'; e.g. 30m")
    return total


def spend(
    experiment: Experiment,
    folder: Path,
    seconds: float,
    most: int,
    workers: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Spent:
    """Run replications of an experiment until the time is spent.

    Parameters
    ----------
    experiment : Experiment
        Its `replications` are those of the first round.
    folder : Path
        Runs of earlier calls, each in a folder of its own; the one that can take more goes on.
    seconds : float
    most : int
        Replications of a condition that a check compares at most; a run that has them is full, and another begins.
    workers, progress
        See `run_experiment`.
    clock : callable
        Wall seconds.
    """
    started, (place, chosen, before) = clock(), going_on(experiment, folder, most)
    wanted, reached, since = min(most, before + max(LEAST, experiment.replications)), before, started
    while True:
        # The bound on slow methods is there to save time, which is what is to be spent.
        sized = replace(chosen, replications=wanted, reference_replications=wanted)
        store = run_experiment(sized, place, workers, progress)
        now = clock()
        each = (now - since) / (wanted - reached)
        left = SAFE * (seconds - (now - started))
        reached, since = wanted, now
        more = min(reached, int(left / each) if each > 0 else reached, most - reached)
        if more < min(LEAST, most - reached) or more < 1:
            return Spent(store, reached - before, reached)
        wanted = reached + more


def going_on(experiment: Experiment, folder: Path, most: int) -> tuple[Path, Experiment, int]:
    """Return the run that an earlier call left unfilled, with its experiment and replications; else a new one, of a
    seed that nobody chose."""
    for place, store in _earlier(folder):
        same = replace(experiment, seed=store.experiment.seed)
        reached = min(store.rounds[-1].replications)
        if store.experiment.key == same.key and reached < most:
            return place, same, reached
    seed = secrets.randbelow(2**31)
    return folder / f"seed-{seed}", replace(experiment, seed=seed), 0


def _earlier(folder: Path) -> Iterator[tuple[Path, Store]]:
    """Yield the runs in a folder that can be read."""
    for place in sorted(folder.glob("seed-*")):
        try:
            if is_run(place):
                yield place, Store.open(place)
        except StoreError:
            # Made by another version, or damaged: not to be gone on with.
            continue
