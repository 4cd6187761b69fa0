"""Rule (a) of `nestbench check`: same data, same code, so that every difference is a fact about a replication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from nestbench.estimators.estimates import ENDS, P_VALUE, FitStatus
from nestbench.reports.accuracy.baseline import Record, Value
from nestbench.reports.accuracy.changes import Change, Mark, difference, judged, move_of
from nestbench.reports.accuracy.differences import Pair, context_of, usable_value
from nestbench.reports.accuracy.fingerprint import moved
from nestbench.reports.measures.performance import FIT
from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Ints

_ROUNDING = 1e-4
"""Share of its Monte Carlo error by which rounding in single replications may move a measure."""
MOVED = {"df, intervals, p-values": "df, intervals or p-values"}
"""What a part of `fingerprint.PARTS` is called when it moved: its code tells that one of them did, not which."""
_FOLLOWING = (*ENDS, P_VALUE)
_SHOWN = 1e-8
"""Sampled numbers have 9 digits in the file."""


def moved_changes(pair: Pair) -> Iterator[Change]:
    """Yield one change if replications that both runs have moved beyond the tolerance, or changed their status.

    *Changed* where the data determine the numbers and the code is the same, *moved* otherwise.
    """
    numbers, replications, said = moved_fits(pair)
    if not said:
        yield from _later_changes(pair, len(numbers))
        return
    mark = Mark.CHANGED if pair.exact and pair.determined else Mark.MOVED
    detail = f"moved: {said}{_examples(pair)}"
    yield _change(pair, mark, FIT, "replications", detail=detail, replications=replications)


def moved_fits(pair: Pair) -> tuple[Ints, Ints, str]:
    """Return the replications that both runs have, those that moved or changed their status, and in words what did."""
    numbers, parts = _moved_by_part(pair)
    left, right = _common(pair)
    restated = pair.before.status[left] != pair.after.status[right]
    replications = np.union1d(
        numbers[np.any(list(parts.values()), axis=0)], pair.before.replications[left][restated]
    )
    said = [
        f"{MOVED.get(part, part)} in {int(hit.sum())} of {len(numbers)}"
        for part, hit in parts.items()
        if hit.any()
    ]
    if restated.any():
        said.append(f"statuses in {int(restated.sum())} of {len(left)}")
    return numbers, replications, "; ".join(said)


def failure_changes(pair: Pair) -> Iterator[Change]:
    """Yield the replications that lost, and those that gained, a usable fit."""
    left, right = _common(pair)
    numbers = pair.before.replications[left]
    then, now = (_usable(pair.before)[left], _usable(pair.after)[right])
    for mark, hit in ((Mark.NEW_FAILURE, then & ~now), (Mark.FIXED, ~then & now)):
        if hit.any():
            status = (pair.after if mark is Mark.NEW_FAILURE else pair.before).status
            where = right if mark is Mark.NEW_FAILURE else left
            names = sorted({FitStatus(int(s)).name for s in status[where][hit]})
            when = "now" if mark is Mark.NEW_FAILURE else "was"
            detail = f"{int(hit.sum())} of {plural(len(numbers), 'fit')}, {when} "
            yield _change(
                pair, mark, FIT, "usable_share", detail=detail + ", ".join(names), replications=numbers[hit]
            )


def measure_changes(pair: Pair, margins: Mapping[str, float]) -> Iterator[Change]:
    """Yield the measures that differ by more than their margin, both runs having the same replications."""
    for term, measures in pair.before.measures.items():
        context = context_of(pair, term)
        for name, before in measures.items():
            after = pair.after.measures.get(term, {}).get(name)
            if after is None or name not in margins:
                continue
            delta, _ = difference(name, before, after, context)
            if not abs(delta) <= margins[name] and not (np.isnan(before[0]) and np.isnan(after[0])):
                mark = judged(name, [move_of(name, before, after, context)])
                yield Change(mark, pair.cell.number, pair.cell.factors, pair.label, term, name, before, after)


def _later_changes(pair: Pair, known: int) -> Iterator[Change]:
    """Yield a change if measures differ by more than rounding though no replication that is kept has moved."""
    if not pair.factual or known == len(pair.before.replications):
        return
    changes = [
        f"{name} of {term}"
        for term, measures in pair.before.measures.items()
        for name, before in measures.items()
        if _differs(before, pair.after.measures.get(term, {}).get(name, before))
    ]
    if changes:
        named = ", ".join(changes[:3]) + (", ..." if len(changes) > 3 else "")
        detail = f"moved: {named}, beyond the {plural(known, 'replication')} kept"
        none = np.empty(0, dtype=np.int64)
        yield _change(pair, Mark.CHANGED, FIT, "replications", detail=detail, replications=none)


def _differs(before: Value, after: Value) -> bool:
    """Whether two values of a measure differ by more than the rounding of its replications and of the file."""
    reach = _ROUNDING * np.nan_to_num(before[1]) + _SHOWN * abs(before[0])
    return bool(abs(after[0] - before[0]) > reach) or np.isnan(before[0]) != np.isnan(after[0])


def _moved_by_part(pair: Pair) -> tuple[Ints, dict[str, npt.NDArray[np.bool_]]]:
    """Return the replications that have codes in both runs, and per part whether they moved."""
    before, after = pair.before, pair.after
    counts = [min(len(before.codes[part]), len(before.replications)) for part in before.codes]
    coded = before.replications[: min(counts, default=0)]
    fresh = after.replications[: min((len(c) for c in after.codes.values()), default=0)]
    numbers, left, right = np.intersect1d(coded, fresh, assume_unique=True, return_indices=True)
    parts = {part: moved(codes[left], after.codes[part][right]) for part, codes in before.codes.items()}
    return numbers, parts


def _common(pair: Pair) -> tuple[Ints, Ints]:
    """Return the positions of the replications that both records have."""
    _, left, right = np.intersect1d(
        pair.before.replications, pair.after.replications, assume_unique=True, return_indices=True
    )
    return left, right


def _usable(record: Record) -> npt.NDArray[np.bool_]:
    """Return which replications have usable fits."""
    return np.asarray(record.status <= FitStatus.BOUNDARY)


def _examples(pair: Pair, most: int = 3) -> str:
    """Return the largest relative moves among the sampled numbers, as text: first of what the others follow from."""
    examples: list[tuple[bool, float, str]] = []
    for term, columns in pair.before.sample.items():
        for column, before in columns.items():
            after = pair.after.sample.get(term, {}).get(column, [])
            for r, old, new in zip(pair.before.replications, before, after, strict=False):
                size = _relative(old, new)
                if size > max(pair.rtol, _SHOWN):
                    examples.append(
                        (
                            column in _FOLLOWING,
                            -size,
                            f"{term} {column} {old:.6g} -> {new:.6g} in replication {r}",
                        )
                    )
    examples.sort()
    return "; e.g. " + ", ".join(text for _, _, text in examples[:most]) if examples else ""


def _relative(old: float, new: float) -> float:
    """Return the relative difference of two numbers; 1 where one of them is missing."""
    if (np.isnan(old) and np.isnan(new)) or old == new:
        return 0.0
    if not np.isfinite(old) or not np.isfinite(new):
        return 1.0
    return float(abs(new - old) / max(abs(old), abs(new)))


def _change(pair: Pair, mark: Mark, term: str, measure: str, detail: str, replications: Ints) -> Change:
    """Return what moved as a change, with the replications where it did."""
    shares = measure == "usable_share"
    return Change(
        mark,
        pair.cell.number,
        pair.cell.factors,
        pair.label,
        term,
        measure,
        before=usable_value(pair.before) if shares else None,
        after=usable_value(pair.after) if shares else None,
        detail=detail,
        replications=tuple(replications.tolist()),
    )
