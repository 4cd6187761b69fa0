"""What a person or a program reads of a bisection."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from nestbench.bisecting.answers import NOTHING, Answer, Key, Move, Number
from nestbench.bisecting.asking import Outcome
from nestbench.bisecting.searching import Skipped
from nestbench.bisecting.trying import Trials
from nestbench.own_data.primitives import primitives
from nestbench.sim.counted import plural

MOST = 8
"""Moves of a step that are listed."""


def to_text(outcome: Outcome, trials: Trials, beyond: float) -> str:
    """Return the table of versions, and what moved where.

    Parameters
    ----------
    outcome : Outcome
    trials : Trials
        Where the runs are.
    beyond : float
        What counted as a move.
    """
    return "\n".join(
        [
            *_table(outcome, trials),
            "",
            *_steps(outcome, trials),
            *_notes(outcome, trials, beyond),
        ]
    )


def to_json(outcome: Outcome, trials: Trials, beyond: float) -> str:
    """Return the same for programs: every version, every move of every step."""
    versions = []
    for version, found in _in_order(outcome):
        skipped = found.why if isinstance(found, Skipped) else None
        versions.append({"version": version, "skipped": skipped, "along": trials.along(version)})
    content = {
        "package": outcome.package,
        "beyond": beyond,
        "versions": versions,
        "steps": [
            {
                "before": before,
                "after": after,
                "untried": outcome.search.untried(before, after),
                "moves": [_plain(move) for move in moved],
            }
            for (before, after), moved in outcome.moved.items()
        ],
        "moved_later": outcome.later,
    }
    return json.dumps(primitives(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def shown_key(outcome: Outcome) -> Key | None:
    """Return the measure that stands in the table: the one that moved most, in Monte Carlo errors."""
    moved = [move for of_step in outcome.moved.values() for move in of_step] or list(outcome.ends)
    finite = [move for move in moved if math.isfinite(move.size)]
    best = max(finite, key=lambda move: move.size, default=moved[0] if moved else None)
    return best.key if best else None


def _table(outcome: Outcome, trials: Trials) -> Iterator[str]:
    """Yield a line a version that was tried: the measure that moved most, and what is to be said of the version."""
    key = shown_key(outcome)
    rows: list[tuple[str, str, str]] = [("version", "" if key is None else key[3], "")]
    after = {step[1] for step in outcome.moved}
    for version, found in _in_order(outcome):
        if isinstance(found, Skipped):
            rows.append((version, "-", f"skipped: {found.why}"))
            continue
        brought = ", ".join(f"{name} {number}" for name, number in trials.along(version).items())
        said = ["moved"] * (version in after) + [f"with {brought}"] * bool(brought)
        rows.append((version, "" if key is None else _number(found.get(key, NOTHING)), "; ".join(said)))
    widths = [max(len(row[k]) for row in rows) for k in (0, 1)]
    if key is not None:
        yield f"{key[3]} of {key[2]}, {key[1]}, {key[0]}"
    for name, number, words in rows:
        yield f"{name.ljust(widths[0])}  {number.ljust(widths[1])}  {words}".rstrip()


def _steps(outcome: Outcome, trials: Trials) -> Iterator[str]:
    """Yield what moved at each step."""
    versions = outcome.search.versions
    if not outcome.moved:
        tried = plural(len(outcome.search.answered()), "version")
        yield f"Nothing moved from {outcome.package} {versions[0]} to {versions[-1]}, of {tried} tried."
    for (before, after), moved in outcome.moved.items():
        where = f"at {outcome.package} {after} (as in {before} before)"
        if between := outcome.search.untried(before, after):
            where = (
                f"after {outcome.package} {before} and not later than {after} ({_listed(between)} between them gave no "
                "answer)"
            )
        yield f"{plural(len(moved), 'measure')} moved {where}:"
        yield from (f"  {_move(move)}" for move in moved[:MOST])
        if len(moved) > MOST:
            yield f"  ... and {len(moved) - MOST} more (--json lists all)"
        yield f"  both runs: nestbench compare {_place(trials, before)} {_place(trials, after)}"


def _notes(outcome: Outcome, trials: Trials, beyond: float) -> Iterator[str]:
    """Yield what was assumed, and how to know more."""
    yield (
        f"A measure has moved if it differs by more than {beyond:g} of its Monte Carlo error and a part in a million; "
        "all versions saw the same data sets."
    )
    untried = [v for v in outcome.search.versions if v not in outcome.search.found]
    if outcome.later:
        yield f"It moved again between {next(iter(outcome.moved))[1]} and {outcome.search.versions[-1]}."
    if untried:
        yield (
            f"{plural(len(untried), 'version')} not tried: what moved and came back, or moved twice, isn't seen by "
            "halving; --every tries all."
        )
    yield f"Environments and runs: {trials.folder}"


def _move(move: Move) -> str:
    """Return a move as a line."""
    condition, method, term, measure = move.key
    size = f"{move.size:.2g} MCSE" if math.isfinite(move.size) else "a number came, went or has no error"
    return f"{measure} of {term}, {method}, {condition}: {_number(move.before)} -> {_number(move.after)} [{size}]"


def _number(number: Number) -> str:
    """Return a value with its error."""
    value, error, n = number
    if math.isnan(value):
        return "none"
    return f"{value:.5g} (MCSE {error:.2g}, n {n})" if not math.isnan(error) else f"{value:.5g} (n {n})"


def _in_order(outcome: Outcome) -> list[tuple[str, Answer | Skipped]]:
    """Return the versions that were tried, oldest first."""
    found = outcome.search.found
    return [(version, found[version]) for version in outcome.search.versions if version in found]


def _listed(versions: Sequence[str]) -> str:
    """Return versions in a sentence."""
    return ", ".join(versions[:6]) + (", ..." if len(versions) > 6 else "")


def _place(trials: Trials, version: str) -> str:
    """Return a run's folder as it is typed."""
    import shlex

    return shlex.quote(str(trials.folder / "runs" / trials.study.mark / f"{trials.package}-{version}"))


def _plain(move: Move) -> dict[str, Any]:
    """Return a move as JSON values."""
    names = ("condition", "method", "term", "measure")
    return {
        **dict(zip(names, move.key, strict=True)),
        "before": list(move.before),
        "after": list(move.after),
    }
