"""What an unfinished run or a part of a study lacks, said before anything else is."""

from __future__ import annotations

from dataclasses import dataclass

from nestbench.experiments.results import UNREPEATABLE, Extent, Results, unrepeatable_sentence
from nestbench.reports.conditions import conditions
from nestbench.reports.wording import several
from nestbench.sim.counted import plural

NAMED, LETTERS = 4, 160
"""Conditions named before the others are counted, and letters of their names if that's more than one."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Which conditions lack data sets.

    Attributes
    ----------
    conditions : int
        Of the whole study.
    begun, empty : tuple of int
        Numbers of the conditions with some of their data sets, and with none; a condition has all of them when every
        method has as many as the study asks for.
    part : tuple of int or None
        Which part of a study this is, (index, count) from 1.
    """

    conditions: int
    begun: tuple[int, ...]
    empty: tuple[int, ...]
    part: tuple[int, int] | None

    @property
    def whole(self) -> int:
        """Number of conditions that have all their data sets."""
        return self.conditions - len(self.begun) - len(self.empty)

    def __bool__(self) -> bool:
        return self.whole < self.conditions


def missing_of(extent: Extent) -> Missing:
    """Return which conditions lack data sets; false where none does."""
    short = [
        i
        for i, (asked, fitted) in enumerate(zip(extent.asked, extent.fitted, strict=True))
        if any(fitted[label] < n for label, n in asked.items())
    ]
    begun = tuple(i for i in short if any(extent.fitted[i].values()))
    empty = tuple(i for i in short if i not in begun)
    return Missing(len(extent.asked), begun, empty, extent.part)


def missing_sentence(results: Results) -> str:
    """Return what a run lacks in a few sentences; nothing where it lacks nothing."""
    if words := missing_data(results):
        return f"{words} What follows rests on what is there."
    wanted, done = results.extent().audited
    return f"Audits are missing: {wanted - done} of {plural(wanted, 'data set')}." if done < wanted else ""


def missing_data(results: Results) -> str:
    """Return which conditions lack data sets; nothing where none does."""
    extent, names = results.extent(), conditions(results.experiment)
    missing = missing_of(extent)
    if not missing:
        return ""
    what = "Unfinished" if missing.part is None else f"Part {missing.part[0]} of {missing.part[1]} of a study"
    have = "has all its" if 1 in (missing.whole, missing.conditions) else "have all their"
    words = [f"{what}: {missing.whole} of {plural(missing.conditions, 'condition')} {have} data sets."]
    if missing.begun:
        words.append(f"Begun: {_named([f'{names[i]} ({_progress(extent, i)})' for i in missing.begun])}.")
    if missing.empty:
        words.append(f"Without any: {_named([names[i] for i in missing.empty])}.")
    return " ".join(words)


def unrepeatable(results: Results) -> str:
    """Return which methods gave other numbers the second time, in a sentence; nothing where none did."""
    return unrepeatable_sentence(results.provenance.get(UNREPEATABLE, ()))


def _named(items: list[str]) -> str:
    """Join with semicolons, for conditions have commas of their own; as many as a line or two hold, one at least."""
    first = max(k for k in range(1, NAMED + 1) if k == 1 or len("; ".join(items[:k])) <= LETTERS)
    more = [f"and {len(items) - first} more"] if len(items) > first else []
    return "; ".join(items[:first] + more)


def _progress(extent: Extent, cell: int) -> str:
    """Return how far the methods of a condition are: the least advanced by name where they differ."""
    asked, fitted = extent.asked[cell], extent.fitted[cell]
    share = {label: fitted[label] / n for label, n in asked.items() if n}
    last = min(share, key=lambda label: share[label])
    whose = f"{last} " if len(set(share.values())) > 1 else ""
    return f"{whose}{fitted[last]:,} of {asked[last]:,}"


def data_sets(results: Results) -> str:
    """Return how many data sets a condition has, in words: ``60 data sets a condition (mixedlm 12)``.

    ``up to`` where conditions differ: in unfinished runs, and where precision decides.
    """
    fitted = results.extent().fitted
    by_method = {label: {counts[label] for counts in fitted} for label in (fitted[0] if fitted else ())}
    most = {label: max(counts) for label, counts in by_method.items()}
    top = max(most.values(), default=0)
    up_to = "up to " if any(len(counts) > 1 for counts in by_method.values()) else ""
    fewer: dict[int, list[str]] = {}
    for label, n in most.items():
        if n < top:
            fewer.setdefault(n, []).append(label)
    groups = [f"{several(labels)} {n:,}" for n, labels in fewer.items()]
    return f"{up_to}{plural(top, 'data set')} a condition" + (f" ({'; '.join(groups)})" if groups else "")
