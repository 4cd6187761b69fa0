"""From a question to what is found: versions listed, both ends tried, then those between."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nestbench.bisecting.answers import BEYOND, Answer, Move, moves
from nestbench.bisecting.searching import Search, Skipped, bisect, every
from nestbench.bisecting.trying import Trials, plugins_of
from nestbench.bisecting.versions import between, listed, require_name, version_of
from nestbench.experiments.running.resolving import resolve
from nestbench.sim.errors import Interrupted, InvalidInput, unknown_name


@dataclass(frozen=True, slots=True)
class Question:
    """Between which versions a measure moved: the ends, what counts as a move, whether every version is tried."""

    old: str
    new: str
    beyond: float = BEYOND
    every: bool = False
    early: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found.

    Attributes
    ----------
    package : str
    search : Search
        Versions with their answers, and the steps.
    moved : mapping
        Step -> what moved there, the largest first.
    ends : tuple of Move
        What differs between the oldest and the newest version.
    later : bool
        Whether something moved between the step that was found and the newest version.
    """

    package: str
    search: Search[Answer]
    moved: Mapping[tuple[str, str], list[Move]]
    ends: tuple[Move, ...]
    later: bool


def ask(trials: Trials, question: Question) -> Outcome:
    """Return at which version the study's measures moved.

    Raises
    ------
    InvalidInput
        A name that isn't known, an end that can't be tried, or too few versions.
    Interrupted
        Ctrl-C; environments and runs are kept.
    """
    require_name(trials.package)
    version_of(question.old), version_of(question.new)
    _look_at(trials)
    try:
        return _found(trials, question)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; environments and runs are kept in {trials.folder}, and the same command goes on from there"
        ) from None


def _look_at(trials: Trials) -> None:
    """Refuse a study that can't be read, or hasn't a method or condition, before anything is installed.

    One with plugins may need the package, which perhaps isn't here: it is read where its version is.
    """
    study = trials.study
    try:
        experiment = resolve(study.source, dict(study.changes), study.trust)
    except InvalidInput:
        if plugins_of(Path(study.source)):
            return
        raise
    labels = [one.label for one in experiment.estimators]
    for name in study.methods:
        if name not in labels:
            raise unknown_name("method of the study", name, labels)
    for number in trials.wanted.conditions:
        if not 0 <= number < len(experiment.cells):
            raise InvalidInput(f"expected a condition from 0 to {len(experiment.cells) - 1}, got {number}")


def _found(trials: Trials, question: Question) -> Outcome:
    """List the versions, try both ends, then search."""
    first = trials.environment(question.old)
    first.begin()
    known = listed(first.python, trials.package, question.early or _is_early(question))
    search: Search[Answer] = Search(tuple(between(trials.package, question.old, question.new, known)))
    trials.tell(f"{trials.package}: {len(search.versions)} versions from {question.old} to {question.new}")

    def moved(before: Answer, after: Answer) -> bool:
        return bool(moves(before, after, question.beyond))

    old, new = search.versions[0], search.versions[-1]
    ends = moves(_end(trials, search, old), _end(trials, search, new), question.beyond)
    if question.every:
        every(search, trials.attempt, moved)
    elif ends:
        bisect(search, trials.attempt, moved)
    return _outcome(trials.package, search, ends, question.beyond)


def _outcome(package: str, search: Search[Answer], ends: list[Move], beyond: float) -> Outcome:
    """Return what the steps of a search are."""
    found = {v: a for v, a in search.found.items() if not isinstance(a, Skipped)}
    steps = {(a, b): moves(found[a], found[b], beyond) for a, b in search.steps}
    later = len(search.steps) == 1 and bool(
        moves(found[search.steps[0][1]], found[search.versions[-1]], beyond)
    )
    return Outcome(package, search, steps, tuple(ends), later)


def _end(trials: Trials, search: Search[Answer], version: str) -> Answer:
    """Return the answer of an end."""
    found = search.found[version] = trials.attempt(version)
    if isinstance(found, Skipped):
        raise InvalidInput(
            f"expected {trials.package} {version} to run the study, got: {found.why}; choose another version as this "
            "end, or look at the study"
        )
    return found


def _is_early(question: Question) -> bool:
    """Whether an end is a pre-release: then others count, too."""
    with contextlib.suppress(InvalidInput):
        return version_of(question.old).is_prerelease or version_of(question.new).is_prerelease
    return False
