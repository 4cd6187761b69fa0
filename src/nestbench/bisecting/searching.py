"""Which version is tried next: binary search over versions of which some can't be tried.

What is kept true all the while: the lower end answers as the oldest version does, the upper end doesn't. So what is
found is always a version at which the answer moved, whatever lies beyond; that it is the only one is an assumption,
which trying every version (`every`) does without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A version that could not be tried, and why."""

    why: str


Try = Callable[[str], "A | Skipped"]


@dataclass(slots=True)
class Search(Generic[A]):
    """Versions in order, what was found of them, and the steps: pairs of versions between which the answer moved.

    Attributes
    ----------
    versions : tuple of str
    found : dict
        Version -> its answer, or why it has none.
    steps : list of (str, str)
        Neighbours of those that answered.
    """

    versions: tuple[str, ...]
    found: dict[str, A | Skipped] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)

    def answered(self) -> list[str]:
        """Return the versions that have an answer, in order."""
        return [v for v in self.versions if v in self.found and not isinstance(self.found[v], Skipped)]

    def untried(self, before: str, after: str) -> list[str]:
        """Return what lies between two versions: all of it could not be tried, or wasn't."""
        return list(self.versions[self.versions.index(before) + 1 : self.versions.index(after)])


def bisect(search: Search[A], attempt: Try[A], moved: Callable[[A, A], bool]) -> None:
    """Find one step between the two ends, which have answered and differ.

    Parameters
    ----------
    search : Search
        Holds what is found, as it is found.
    attempt : callable
        Version -> its answer, or `Skipped`.
    moved : callable
        Whether two answers differ.
    """
    low, high = 0, len(search.versions) - 1
    oldest = _answer(search, search.versions[low])
    while (middle := _next(search, low, high)) is not None:
        version = search.versions[middle]
        answer = search.found[version] = attempt(version)
        if isinstance(answer, Skipped):
            continue
        if moved(oldest, answer):
            high = middle
        else:
            low = middle
    search.steps.append((search.versions[low], search.versions[high]))


def every(search: Search[A], attempt: Try[A], moved: Callable[[A, A], bool]) -> None:
    """Try all versions that haven't been, oldest first, and find all steps."""
    for version in search.versions:
        if version not in search.found:
            search.found[version] = attempt(version)
    there = search.answered()
    for before, after in pairwise(there):
        if moved(_answer(search, before), _answer(search, after)):
            search.steps.append((before, after))


def _next(search: Search[A], low: int, high: int) -> int | None:
    """Return the place nearest to the middle that hasn't been tried; the older of two as near."""
    left = [k for k in range(low + 1, high) if search.versions[k] not in search.found]
    return min(left, key=lambda k: abs(2 * k - low - high), default=None)


def _answer(search: Search[A], version: str) -> A:
    """Return the answer of a version that has one."""
    found = search.found[version]
    if isinstance(found, Skipped):
        raise ValueError(f"{version} has no answer")
    return found
