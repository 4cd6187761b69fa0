"""Halving against brute force: a step that is found is one, whatever can't be tried and however often it moves."""

from __future__ import annotations

import random
from itertools import pairwise

from nestbench.bisecting.searching import Search, Skipped, bisect, every


def attempts(answers: dict[str, int | None], tried: list[str]):  # type: ignore[no-untyped-def]
    """Return what looks up a version's answer, None for one that can't be tried."""

    def attempt(version: str) -> int | Skipped:
        tried.append(version)
        found = answers[version]
        return Skipped("broken") if found is None else found

    return attempt


def begun(answers: dict[str, int | None]) -> Search[int]:
    """Return a search whose ends have been tried."""
    search: Search[int] = Search(tuple(answers))
    for end in (search.versions[0], search.versions[-1]):
        value = answers[end]
        assert value is not None
        search.found[end] = value
    return search


def differ(one: int, other: int) -> bool:
    return one != other


def test_one_step_is_found_in_few_tries() -> None:
    for step in range(1, 100):
        answers: dict[str, int | None] = {str(v): int(v >= step) for v in range(100)}
        search, tried = begun(answers), list[str]()
        bisect(search, attempts(answers, tried), differ)
        assert search.steps == [(str(step - 1), str(step))]
        assert len(tried) == len(set(tried)) <= 7


def test_what_is_found_is_a_step_whatever_the_versions_do() -> None:
    for seed in range(500):
        one_search(seed)


def one_search(seed: int) -> None:
    """Versions that move and fail at random, halved and tried one by one."""
    rng = random.Random(seed)
    n = rng.randint(2, 30)
    answers: dict[str, int | None] = {
        str(v): None if rng.random() < 0.3 else rng.randint(0, 2) for v in range(n)
    }
    answers["0"], answers[str(n - 1)] = 0, 1
    search, tried = begun(answers), list[str]()
    bisect(search, attempts(answers, tried), differ)
    (before, after), *more = search.steps
    assert not more
    assert answers[before] == 0
    assert answers[after] not in (0, None)
    assert all(answers[v] is None for v in search.untried(before, after))
    everything, _ = begun(answers), list[str]()
    every(everything, attempts(answers, tried), differ)
    assert (before, after) in everything.steps
    there = [v for v in answers if answers[v] is not None]
    assert everything.answered() == there
    assert everything.steps == [(a, b) for a, b in pairwise(there) if answers[a] != answers[b]]


def test_versions_that_cannot_be_tried_are_named() -> None:
    answers: dict[str, int | None] = {"1": 0, "2": None, "3": None, "4": 1}
    search = begun(answers)
    bisect(search, attempts(answers, []), differ)
    assert search.steps == [("1", "4")]
    assert search.untried("1", "4") == ["2", "3"]
    assert search.answered() == ["1", "4"]


def test_neighbours_need_no_try() -> None:
    answers: dict[str, int | None] = {"1": 0, "2": 1}
    search, tried = begun(answers), list[str]()
    bisect(search, attempts(answers, tried), differ)
    assert (search.steps, tried) == ([("1", "2")], [])
