"""Timing mode: what a fit costs, by method, engine, schools and students; in one process, on one thread, unhurried.

Every combination is warmed up (compiled, paged in) and then timed in turn, round after round, so that a slow moment of
the machine hits all of them alike; the median over rounds is reported. A batch is drawn anew for every timing, so a
time is that of the whole fit: reading the formula, reducing the data, fitting. The unit that travels between machines
is the floor F: NumPy's time to draw the same count of random numbers, 3N + 2G, into an array.

What is drawn by statistics costs as much for any number of students: `student_slopes` says so. Reference engines, which
read rows, are timed up to `ROWS` of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from nestbench.estimators.estimator import Estimator
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.running.oracle import with_truth
from nestbench.experiments.running.peers import Peer
from nestbench.experiments.storing.provenance import provenance
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput, StoreError
from nestbench.sim.observed.batch import Batch

FILE = "timing.json"
DRAWING = "(drawing)"
TOGETHER = "(drawing and reml-z)"
SLICE = 0.05
"""Seconds of the processor a timing should last: replications are doubled until it does."""
PATIENCE = 10.0
"""Times as many seconds of the clock are enough: a method may wait for another process."""
SURE = 0.2
"""Largest standard error of a slope that is told."""
MOST = 256
"""Most replications in a timing: a usual block of a run."""
ROWS, PEER_ROWS = 20_000, 1_000_000
"""Most rows of a data set that reference engines and peers are timed on: of more, a single fit can take minutes."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What one method costs on one kind of data.

    Attributes
    ----------
    estimator, engine : str
        Label; ``batched`` or ``reference``. `DRAWING` is the generator.
    schools, students : int
        Number of schools, students in each.
    seconds, low, high : float
        Per fit: median, least and most over the rounds.
    floors : float
        Median of its ratio to the floor of the same round.
    fits : int
        Fits in a timing.
    cpu_seconds : float
        Processor time per fit, of all threads of the process: median over the rounds. Much less than `seconds` means
        the machine was busy; NaN in files written before it was measured.
    cpu_low, cpu_high : float
        Least and most over the rounds.
    """

    estimator: str
    engine: str
    schools: int
    students: int
    seconds: float
    low: float
    high: float
    floors: float
    fits: int
    cpu_seconds: float = math.nan
    cpu_low: float = math.nan
    cpu_high: float = math.nan


def time_methods(
    experiment: Experiment,
    schools: Sequence[int],
    students: Sequence[int],
    rounds: int = 5,
    peers: Sequence[Peer] = (),
) -> Iterator[list[Timed]]:
    """Time every method of an experiment's first condition, with each engine it has; yield size after size.

    Raises
    ------
    InvalidInput
        No sizes, a size below 2 schools or 1 student, fewer than one round, or sizes the layout can't have.

    Parameters
    ----------
    experiment : Experiment
    schools, students : sequence of int
        Crossed.
    rounds : int
        Times that each combination is timed; the median is reported.
    peers : sequence of Peer
        Other packages to time beside ours, in the same rounds.

    Yields
    ------
    list of Timed
        One size's, methods in the experiment's order.
    """
    if rounds < 1 or not schools or not students or min(schools) < 2 or min(students) < 1:
        raise InvalidInput(
            "expected at least one round, schools >= 2 and students >= 1, "
            f"got rounds {rounds}, schools {list(schools)}, students {list(students)}"
        )
    for size in students:
        for number in schools:
            yield _at(resized(experiment.cells[0], number, size), experiment, rounds, peers)


def resized(cell: Cell, schools: int, students: int) -> Cell:
    """Return a condition with other numbers of schools and students, the same share of schools treated."""
    layout = cell.layout
    treated = round(layout.treated_schools * schools / layout.schools)
    return replace(cell, layout=replace(layout, schools=schools, students=students, treated_schools=treated))


def slopes(timed: Sequence[Timed]) -> dict[tuple[str, str, int], float]:
    """Return d log(seconds) / d log(schools) by (method, engine, students) where there are several sizes.

    Of the processor's seconds for batched engines, which start no process of their own. Left out where its standard
    error is above `SURE`, the error of a log time being half of what lies between its fastest and slowest round: what a
    busy machine does isn't the method's.
    """
    return _slopes(timed, lambda one: one.schools, lambda one: one.students)


def student_slopes(timed: Sequence[Timed]) -> dict[tuple[str, str, int], float]:
    """Return d log(seconds) / d log(students) by (method, engine, schools), as `slopes` does over schools."""
    return _slopes(timed, lambda one: one.students, lambda one: one.schools)


def _slopes(
    timed: Sequence[Timed], along: Callable[[Timed], int], at: Callable[[Timed], int]
) -> dict[tuple[str, str, int], float]:
    curves: dict[tuple[str, str, int], list[Timed]] = {}
    for one in timed:
        curves.setdefault((one.estimator, one.engine, at(one)), []).append(one)
    found = {key: _slope(curve, along) for key, curve in curves.items() if len({along(t) for t in curve}) > 1}
    return {key: slope for key, (slope, error) in found.items() if error <= SURE}


def _slope(curve: Sequence[Timed], along: Callable[[Timed], int]) -> tuple[float, float]:
    """Return the least-squares slope of a method's times and its standard error."""
    across = np.log([along(one) for one in curve])
    weights = across - across.mean()
    weights /= weights @ weights
    by_processor = all(one.engine == "batched" and one.cpu_low > 0.0 for one in curve)
    times = [
        (one.cpu_seconds, one.cpu_low, one.cpu_high) if by_processor else (one.seconds, one.low, one.high)
        for one in curve
    ]
    errors = 0.5 * np.log([high / low for _, low, high in times])
    slope = float(weights @ np.log([middle for middle, _, _ in times]))
    return slope, float(np.sqrt((weights * errors) @ (weights * errors)))


def save(timed: Sequence[Timed], experiment: Experiment, path: Path) -> None:
    """Write timings, slopes and the facts of the machine as JSON."""
    content = {
        "experiment": experiment.name,
        "machine": provenance(1),
        "timings": [{name: getattr(one, name) for name in Timed.__slots__} for one in timed],
        "slopes": [
            {"estimator": e, "engine": engine, "students": m, "slope": slope}
            for (e, engine, m), slope in slopes(timed).items()
        ],
        "student_slopes": [
            {"estimator": e, "engine": engine, "schools": g, "slope": slope}
            for (e, engine, g), slope in student_slopes(timed).items()
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1).encode())


def load(path: Path) -> tuple[list[Timed], Mapping[str, Any]]:
    """Return the timings of a file and the facts of the machine they were made on.

    Raises
    ------
    StoreError
        The file isn't one that `save` wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Timed(**row) for row in content["timings"]], dict(content["machine"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"expected timings saved by nestbench time in '{path}', got something else ({error}); "
            "remove the file or time again"
        ) from error


Job = tuple[Callable[[int, Any], None], Callable[[int], Any]]
"""Work on some number of replications, and what prepares its data."""


def _at(cell: Cell, experiment: Experiment, rounds: int, peers: Sequence[Peer]) -> list[Timed]:
    from threadpoolctl import threadpool_limits

    # A worker of a run has one thread; with more BLAS would make textbook engines look faster than they are there.
    with threadpool_limits(1):
        jobs = _jobs(cell, experiment, peers)
        fits = {key: _enough(*job) for key, job in jobs.items()}
        floor = _floor(cell)
        floor_fits = _enough(floor, _no_data)
        clocked: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in jobs}
        floors = []
        for _ in range(rounds):
            floors.append(_clock(floor, _no_data, floor_fits)[0])
            # In turn, not one method after another: what else the machine does meets all alike.
            for key, job in jobs.items():
                clocked[key].append(_clock(*job, fits[key]))
    schools, students = cell.layout.schools, cell.layout.students
    size = schools, int(students if isinstance(students, int) else np.mean(students))
    return [_timed(*key, *size, clocked[key], floors, fits[key]) for key in jobs]


def _jobs(cell: Cell, experiment: Experiment, peers: Sequence[Peer]) -> dict[tuple[str, str], Job]:
    """Return what is timed on a condition, by method and engine."""
    jobs: dict[tuple[str, str], Job] = {(DRAWING, "batched"): (_drawing(cell, experiment.seed), _no_data)}
    rows = int(cell.layout.sizes().sum())
    for estimator in with_truth(experiment.estimators, cell):
        for engine in ("batched", "reference"):
            if getattr(estimator, engine) is not None and (engine == "batched" or rows <= ROWS):
                jobs[estimator.label, engine] = _fitting(estimator, engine, cell, experiment.seed)
    if peers:
        jobs[TOGETHER, "batched"] = _together(cell, experiment.seed), _no_data
    for peer in peers if rows <= PEER_ROWS else ():
        jobs[peer.label, "peer"] = peer.job(cell.layout.schools, rows // cell.layout.schools), _no_data
    return jobs


def _timed(
    estimator: str,
    engine: str,
    schools: int,
    students: int,
    clocked: Sequence[tuple[float, float]],
    floors: Sequence[float],
    fits: int,
) -> Timed:
    """Return the medians of a method's rounds, given as seconds of the clock and of the processor."""
    times, spent = zip(*clocked, strict=True)
    return Timed(
        estimator=estimator,
        engine=engine,
        schools=schools,
        students=students,
        seconds=median(times),
        low=min(times),
        high=max(times),
        floors=median(t / f for t, f in zip(times, floors, strict=True)),
        fits=fits,
        cpu_seconds=median(spent),
        cpu_low=min(spent),
        cpu_high=max(spent),
    )


def _no_data(fits: int) -> None:
    """Nothing to prepare."""


def _floor(cell: Cell) -> Callable[[int, Any], None]:
    count = 3 * int(cell.layout.sizes().sum()) + 2 * cell.layout.schools
    generator, out = np.random.Generator(np.random.PCG64DXSM(1)), np.empty(count)

    def work(fits: int, _: Any) -> None:
        for _i in range(fits):
            generator.standard_normal(out=out)

    return work


def _together(cell: Cell, seed: int) -> Callable[[int, Any], None]:
    """Data and one mixed model of them: what peers are timed at."""
    from nestbench.estimators.methods.registry import get

    mixed = get("reml-z")
    return lambda fits, _: (mixed.fit(cell.draw(seed, range(fits)), cell.model), None)[1]


def _drawing(cell: Cell, seed: int) -> Callable[[int, Any], None]:
    return lambda fits, _: (cell.draw(seed, range(fits)), None)[1]


def _fitting(
    estimator: Estimator, engine: str, cell: Cell, seed: int
) -> tuple[Callable[[int, Any], None], Callable[[int], Batch]]:
    def work(fits: int, batch: Batch) -> None:
        estimator.fit(batch, cell.model, engine)

    return work, lambda fits: cell.draw(seed, range(fits))


def _clock(work: Callable[[int, Any], None], prepare: Callable[[int], Any], fits: int) -> tuple[float, float]:
    """Return the seconds per fit of one timing, of the clock and of the processor; preparing is not timed."""
    data = prepare(fits)
    started, cpu = perf_counter(), process_time()
    work(fits, data)
    spent = process_time() - cpu
    return (perf_counter() - started) / fits, spent / fits


def _lasts(wall: float, cpu: float, fits: int) -> bool:
    """Whether a timing of so many fits, given per fit, was long enough."""
    return fits * cpu >= SLICE or fits * wall >= PATIENCE * SLICE


def _enough(work: Callable[[int, Any], None], prepare: Callable[[int], Any]) -> int:
    """Warm up; return how many fits make a timing last.

    By the processor's clock and by timings of as many fits: by the clock of a busy machine a method got few fits, among
    which it divided what a batch costs at all, so that its time and its slope were those of a moment.
    """
    _clock(work, prepare, 1)
    fits = 1
    while fits < MOST:
        # Twice: what is compiled or looked up on a second call would otherwise pass for a slow method.
        if _lasts(*_clock(work, prepare, fits), fits) and _lasts(*_clock(work, prepare, fits), fits):
            break
        fits *= 2
    return fits
