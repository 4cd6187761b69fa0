"""How far a run is and how long it will take: rough guesses of what fits cost, corrected by what they took.

A guess knows sizes and engines, not methods: a user's own may cost a tenth or a hundred times as much. So each method
has a factor, seconds taken over seconds guessed, learned from the tasks that come back; one that wasn't heard of yet
takes the others' common factor, and no time is promised while such guesses are more than `GUESSED` of what is left.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Task, drawing_seconds, fit_seconds
from nestbench.experiments.storing.outcome import Outcome

GUESSED = 0.1
"""Largest share of the time left that may be a guess, for a time to be told."""

DRAWING, AUDIT = -1, -2
"""What has a factor beside the methods (by position): drawing data, and the other engine in audits."""

Parts = dict[int, float]
"""Seconds by method, `DRAWING` and `AUDIT`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is.

    Attributes
    ----------
    share : float
        Of the run's work, stored earlier or now; 1 only when nothing is left.
    fits, unusable : int
        Made in this session.
    wanted : int
        Fits this session is to make.
    rate : float
        Fits a second since the first task could start.
    seconds : float
        Since the session began, compilation included.
    left : float or None
        Seconds to go; None: not known yet.
    """

    share: float
    fits: int
    wanted: int
    unusable: int
    rate: float
    seconds: float
    left: float | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left."""
        return self.share >= 1.0


@dataclass(slots=True)
class Costs:
    """Keeps account of the tasks of a run. `workers` is None where it isn't known (a cluster).

    The first task of each worker is not learned from: it pays for imports and compiled code.
    """

    experiment: Experiment
    workers: int | None
    begun: float = field(default_factory=time.monotonic)
    working: float = field(default_factory=time.monotonic)
    fits: int = 0
    wanted: int = 0
    unusable: int = 0
    _kinds: dict[tuple[int, tuple[int, ...], bool], Parts] = field(default_factory=dict)
    _done: Parts = field(default_factory=dict)
    _left: Parts = field(default_factory=dict)
    _guessed: Parts = field(default_factory=dict)
    _taken: Parts = field(default_factory=dict)
    _tasks_left: int = 0
    _heard: int = 0
    _share: float = 0.0

    def expect(self, done: Iterable[Task], left: Iterable[Task]) -> Standing:
        """Take on a run: what is stored and what is to do.

        Parameters
        ----------
        done, left : iterable of Task
            Those stored by earlier sessions count as work done, so that a resumed run starts at its share and not at 0.
        """
        for task in done:
            _add(self._done, self._guess(task))
        for task in left:
            _add(self._left, self._guess(task))
            self._tasks_left += 1
            self.wanted += 0 if task.audit else task.fits
        return self.standing()

    def work_begins(self) -> None:
        """Say that from now on tasks are done: what came before was compilation."""
        self.working = time.monotonic()

    def hear(self, outcome: Outcome) -> Standing:
        """Take in what a task came to, and return how far the run is.

        The guess for the task is moved from what is left to what is done, so that the two always add up to the whole;
        what it really took corrects the factors that both are multiplied by.
        """
        guess = self._guess(outcome.task)
        _add(self._done, guess)
        _add(self._left, guess, -1.0)
        self._tasks_left -= 1
        self._heard += 1
        self.fits += outcome.fits
        self.unusable += outcome.unusable
        # A worker's first task isn't learned from.
        if self._heard > (self.workers or 1):
            _add(self._guessed, guess)
            _add(self._taken, _taken(outcome, guess))
        return self.standing()

    def standing(self) -> Standing:
        """Return how far the run is; the share never falls, whatever is learned."""
        done, left = self._corrected(self._done), self._corrected(self._left)
        if not self._tasks_left:
            self._share = 1.0
        elif done + left > 0:
            # A corrected guess may make what is done look less: a bar that goes back is no help.
            # 1 means finished (`Standing.finished`): rounding must not end a bar before the last task.
            self._share = max(self._share, min(done / (done + left), 0.999))
        now = time.monotonic()
        working = max(now - self.working, 1e-9)
        rate, time_left = self.fits / working, self._time_left(left, working)
        return Standing(self._share, self.fits, self.wanted, self.unusable, rate, now - self.begun, time_left)

    def _time_left(self, left: float, elapsed: float) -> float | None:
        """Return the seconds to go; None while too much of what is left has never been timed."""
        if not self._tasks_left:
            return 0.0
        unheard = {part: seconds for part, seconds in self._left.items() if part not in self._guessed}
        if not self._taken or self._corrected(unheard) > GUESSED * left:
            return None
        if self.workers is None:
            # The speed so far stands for workers whose number nobody knows.
            return left * elapsed / max(self._corrected(self._guessed), 1e-9)
        # The last tasks leave workers idle.
        return left / min(self.workers, self._tasks_left)

    def _corrected(self, guesses: Parts) -> float:
        """Return guessed seconds times their factors; the common factor where a method has none yet."""
        common = sum(self._taken.values()) / max(sum(self._guessed.values()), 1e-9) if self._taken else 1.0
        factors = {part: self._taken.get(part, 0.0) / guess for part, guess in self._guessed.items() if guess}
        return max(0.0, sum(seconds * factors.get(part, common) for part, seconds in guesses.items()))

    def _guess(self, task: Task) -> Parts:
        """Return the rough seconds of a task by part, from those of one replication, which are guessed once a kind."""
        kind = (task.cell, task.estimators, task.audit)
        if kind not in self._kinds:
            self._kinds[kind] = _guess_of_one(self.experiment, task)
        return {part: (task.stop - task.start) * seconds for part, seconds in self._kinds[kind].items()}


def _guess_of_one(experiment: Experiment, task: Task) -> Parts:
    """Return the rough seconds of one replication of a task, by part."""
    cell = experiment.cells[task.cell]
    engine = "reference" if task.audit else experiment.engine
    fits = {i: fit_seconds(cell, experiment.estimators[i], engine) for i in task.estimators}
    return {AUDIT: sum(fits.values())} if task.audit else fits | {DRAWING: drawing_seconds(cell)}


def _taken(outcome: Outcome, guess: Parts) -> Parts:
    """Seconds a task took by part: they add up to the task's.

    What no method claims is drawing and storing; where methods claim more, each has what they share in full; where none
    claims anything (fits in child processes aren't timed) the guess shares out.
    """
    if outcome.task.audit:
        return {AUDIT: outcome.seconds}
    claimed = sum(outcome.spent)
    if claimed <= 0:
        return {part: seconds * outcome.seconds / sum(guess.values()) for part, seconds in guess.items()}
    part_of = min(1.0, outcome.seconds / claimed)
    fits = {i: part_of * s for i, s in zip(outcome.task.estimators, outcome.spent, strict=True)}
    return fits | {DRAWING: max(0.0, outcome.seconds - claimed)}


def _add(total: Parts, more: Parts, sign: float = 1.0) -> None:
    for part, seconds in more.items():
        total[part] = total.get(part, 0.0) + sign * seconds
