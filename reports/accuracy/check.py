"""`nestbench check`: is this run as accurate as the baseline?

Conditions are matched by key, methods by label; what has no counterpart is *not comparable*. For each pair:

**(a) Same data, same code** (same seed and condition; the method's version, its engine and, for reference engines,
the version of statsmodels as they were). Nothing is random: numbers must agree, replication by replication, within
the relative tolerance of the method's agreement class (`fingerprint.tolerance`). A replication that moved makes
the pair *changed*, unless an optimiser's path decides its numbers (`Method.determined`): then it has *moved*. One that
lost its usable answer is a *new failure*, one that gained it *fixed*. On the replications that both runs have, a
measure that differs by more than its margin is *worse* or *better* without any test, *changed* where the direction
isn't beyond Monte Carlo error. Where a baseline doesn't keep all of these (`common`), and where an optimiser decides,
measures are tested as in (b).

**(b) Other seed or other versions.** Each measure's difference is tested by permuting replications between the two
runs (`permuting`): within data sets where these are the same. Beside each condition there is a test of the mean
difference over all conditions, which finds small changes that are everywhere. The largest statistic of all is the
reference, so that a run without any change is flagged with a chance of at most `alpha`, whatever the number of
replications and the tails. A difference is marked only if it is significant *and* larger than its margin
(`changes.MARGINS`). What a check of this size would see is said beside it (`sight`).

**A variance of 0.** Where a variance that a method from outside estimates is truly 0, the last bits, which differ
between processors, decide where its fits end: some move by many standard errors though nothing has changed. There (b)
decides on the same data, too: which of the two runs has such a fit is exchangeable. The replications that moved are a
note, and stand beside the measures that changed. Elsewhere the same holds of data sets whose estimate is near 0, if any
of these moved (`near_zero`); the others are held to (a).

Under both rules a df that was one constant and is another is a *new df*, without a test.

Where the data are the same but versions differ, (b) decides, and the replications that moved are listed beside it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from nestbench.experiments.results import Results
from nestbench.reports.accuracy import differences as diff
from nestbench.reports.accuracy import moves
from nestbench.reports.accuracy.baseline import (
    NO_AGREEMENT,
    Baseline,
    CellRecord,
    Method,
    Record,
    cell_record,
    methods_of,
    record_of,
    versions_of,
)
from nestbench.reports.accuracy.changes import FAILING, MARGINS, Change, Mark
from nestbench.reports.accuracy.common import on_common
from nestbench.reports.accuracy.near_zero import components, parted
from nestbench.reports.accuracy.permuting import can_show, least_replications
from nestbench.reports.accuracy.sight import Sight, sights_of
from nestbench.reports.measures.performance import FIT
from nestbench.reports.words.missing import missing_sentence, unrepeatable
from nestbench.sim.cells.cell import places_of
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput, did_you_mean

ALPHA = 1e-4
"""Chance, per check, that a run without any change is flagged under rule (b)."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of a check.

    Attributes
    ----------
    baseline : str
        The experiment's name in the baseline.
    changes : tuple of Change
        Gravest first; empty when everything is as it was.
    pairs, identical, replayed, tested : int
        Cell x method pairs compared; those with the same bytes; those where rule (a) holds; those tested.
    tests, alike, settled : int
        Tests under rule (b); how many of them compare numbers that are the same in every data set, how many of the
        others show a difference within the margin (95 % interval): the rest would need more replications to say so.
    alpha : float
    notes : tuple of str
        What differs between the two runs as such: seeds, versions; and where they are too small to show anything.
    sights : tuple of Sight
        What the tests would see with how many replications; empty where nothing was tested on other data.
    """

    baseline: str
    changes: tuple[Change, ...]
    pairs: int
    identical: int
    replayed: int
    tested: int
    tests: int
    alike: int
    settled: int
    alpha: float
    notes: tuple[str, ...]
    sights: tuple[Sight, ...] = ()

    def failing(self, marks: tuple[Mark, ...] = FAILING) -> tuple[Change, ...]:
        """Return the changes whose mark makes the check fail."""
        return tuple(change for change in self.changes if change.mark in marks)

    def counts(self) -> dict[str, int]:
        """Return mark -> number of changes, gravest first, marks that occur only."""
        marks = Counter(change.mark for change in self.changes)
        return {mark.value: marks[mark] for mark in Mark if marks[mark]}


def check(
    baseline: Baseline,
    results: Results,
    margins: Mapping[str, float] | None = None,
    alpha: float = ALPHA,
) -> Check:
    """Compare a run with a baseline, by the rules above.

    Parameters
    ----------
    baseline : Baseline
    results : Results
    margins : mapping, optional
        Measure -> margin, over the defaults `MARGINS`.
    alpha : float
        False-alarm rate of the whole check under rule (b).

    Raises
    ------
    InvalidInput
        Nothing in the run has a counterpart in the baseline, or a margin isn't one.
    """
    limits = _margins(margins or {})
    pairs, missing = _pair_up(baseline, results)
    if not pairs:
        raise InvalidInput(
            f"expected a run with conditions and methods of the baseline '{baseline.name}', got none in common; "
            "check the experiment the baseline was made from, or write a new baseline"
        )
    changes: list[Change] = list(missing)
    hypotheses: list[diff.Hypothesis] = []
    near: list[tuple[diff.Pair, int]] = []
    identical = 0
    for pair in pairs:
        if _same(pair):
            identical += 1
            continue
        changes += diff.df_changes(pair)
        for part in parted(pair):
            if part.at_zero and part.same_data:
                near.append((part, len(pair.before.replications)))
            elif part.same_data:
                changes += moves.moved_changes(part)
            if part.exact:
                changes += moves.failure_changes(part)
            if part.factual:
                changes += moves.measure_changes(part, limits)
            else:
                hypotheses += diff.hypotheses_of(part)
    tested = diff.decide(hypotheses, limits, alpha)
    apart: dict[tuple[int | None, str], diff.Pair] = {(p.cell.number, p.label): p for p, _ in near}
    changes += [_with_moved(change, apart) for change in tested.changes]
    fresh = [h.pair for h in hypotheses if not h.pair.same_data]
    order = list(Mark)
    ordered = sorted(_thinned(changes), key=lambda change: order.index(change.mark))
    return Check(
        baseline=baseline.name,
        changes=tuple(ordered),
        pairs=len(pairs),
        identical=identical,
        replayed=sum(pair.exact for pair in pairs),
        tested=len({id(h.pair) for h in hypotheses}),
        tests=tested.tests,
        alike=tested.alike,
        settled=tested.settled,
        alpha=alpha,
        notes=(
            *_notes(baseline, results),
            *_too_small(fresh, alpha),
            *itertools.starmap(_at_zero_note, near),
        ),
        sights=tuple(sights_of(fresh, limits, alpha, tested.tests)),
    )


def _with_moved(change: Change, near: Mapping[tuple[int | None, str], diff.Pair]) -> Change:
    """Return a change of a measure with the replications that moved, where these are no change of their own."""
    pair = near.get((change.cell, change.estimator))
    return change if pair is None else replace(change, replications=tuple(moves.moved_fits(pair)[1].tolist()))


def _at_zero_note(pair: diff.Pair, whole: int) -> str:
    """Say what moved where a variance is 0 or near 0, and what it was judged by."""
    said = moves.moved_fits(pair)[2] or "none does by more than the tolerance"
    few = len(pair.before.replications)
    where = "truly 0" if few == whole else f"estimated near 0 in {few} of {plural(whole, 'data set')}"
    return (
        f"{pair.label}, condition {pair.cell.number}: a variance is {where}, where last bits decide fits: measures "
        f"were tested, single fits may differ ({said})"
    )


def _too_small(pairs: list[diff.Pair], alpha: float) -> Iterator[str]:
    """Say where so few replications were compared that no difference at all could be significant in one condition."""
    sizes = sorted({(p.before.rows, min(p.after.rows, len(p.after.replications))) for p in pairs}, key=min)
    for then, now in sizes[:1]:
        if not can_show(then, now, alpha):
            least = least_replications(alpha)
            yield (
                f"too few replications: with {then} of the baseline and {now} of the run "
                f"no change of one condition can be significant at {alpha:g}; {least} and {least} are the least"
            )


def _margins(own: Mapping[str, float]) -> dict[str, float]:
    """Return the usual margins with a user's own in their places."""
    for name, margin in own.items():
        if name not in MARGINS:
            raise InvalidInput(
                f"unknown margin '{name}'.{did_you_mean(name, MARGINS)} Known: {', '.join(MARGINS)}"
            )
        if not margin >= 0:
            raise InvalidInput(f"expected a margin >= 0 for {name}, got {margin}")
    return {**MARGINS, **own}


def _same(pair: diff.Pair) -> bool:
    """Whether two records are of the same data and have the same bytes."""
    return pair.same_data and pair.before.digest == pair.after.digest


def _pair_up(baseline: Baseline, results: Results) -> tuple[list[diff.Pair], list[Change]]:
    """Return what can be compared, and what has no counterpart."""
    experiment = results.experiment
    places = places_of([cell.key for cell in baseline.cells], experiment.cells)
    pairs, missing = [], []
    for cell, place in zip(baseline.cells, places, strict=True):
        if place is None:
            missing.append(_gone(cell, "(all)", None, "the run has no such condition"))
            continue
        cell_pairs, cell_missing = _pairs_of_cell(baseline, results, cell, place)
        pairs += cell_pairs
        missing += cell_missing
    for number in sorted({*range(len(experiment.cells))} - {*places}):
        new = cell_record(experiment, number, {})
        missing.append(_gone(new, "(all)", number, "the baseline has no such condition"))
    return pairs, missing


def _pairs_of_cell(
    baseline: Baseline, results: Results, cell: CellRecord, number: int
) -> tuple[list[diff.Pair], list[Change]]:
    """Return the pairs of one condition, and what only one side has."""
    experiment = results.experiment
    here, by_label = experiment.cells[number], results.estimates(number)
    now, packages = methods_of(experiment), versions_of(results)
    current = cell_record(experiment, number, {})
    pairs, missing = [], []
    for label, before in cell.estimators.items():
        estimates = by_label.get(label)
        if estimates is None or not estimates.size:
            missing.append(_gone(cell, label, number, "the run has no such method"))
            continue
        then = baseline.methods[label]
        coded = max((len(codes) for codes in before.codes.values()), default=0)
        # By their numbers: a run that was merged of parts may lack some in between.
        keep = int(np.searchsorted(estimates.replications, _last(before, coded), side="right"))
        after = record_of(estimates, here, then.rtol, before.scales, keep, _sampled(before), like=before)
        # Only textbook engines ask statsmodels for numbers.
        reference = "reference" in (then.engine, now[label].engine)
        same_code = then == now[label] and not (
            reference and baseline.versions.get("statsmodels") != packages.get("statsmodels")
        )
        # Not the condition's place: the same one may be drawn in another version of its population.
        same_data = baseline.seed == experiment.seed and cell.key == here.key
        held, shown = on_common(before, after) if same_data else (before, after)
        pairs.append(
            diff.Pair(
                cell=current,
                law=here.law_key,
                label=label,
                before=held,
                after=shown,
                same_data=same_data,
                same_code=same_code,
                rtol=then.rtol,
                determined=then.determined and now[label].determined,
                outside=now[label].agreement == NO_AGREEMENT,
                at_zero=_at_zero(cell, before, now[label]),
            )
        )
    new = [label for label in by_label if label not in cell.estimators]
    missing += [_gone(cell, label, number, "the baseline has no such method") for label in new]
    return pairs, missing


def _at_zero(cell: CellRecord, before: Record, method: Method) -> bool:
    """Whether a method from outside estimates a variance that is truly 0: the last bits decide where such fits end."""
    return method.agreement == NO_AGREEMENT and any(
        cell.truth.get(name) == 0.0 for name in components(before)
    )


def _last(record: Record, coded: int) -> int:
    """Return the last replication whose numbers are kept."""
    return int(record.replications[coded - 1]) if coded else -1


def _sampled(record: Record) -> int:
    """Return how many replications are kept as they are."""
    return max((len(v) for columns in record.sample.values() for v in columns.values()), default=0)


def _gone(cell: CellRecord, label: str, number: int | None, why: str) -> Change:
    """Return the change that says that something has no counterpart."""
    return Change(Mark.NOT_COMPARABLE, number, cell.factors, label, FIT, "", detail=why)


def _thinned(changes: list[Change]) -> Iterator[Change]:
    """Leave out a term's usable share where the fit's own is listed: failed fits are said once."""
    fits = {
        (c.cell, c.estimator) for c in changes if c.term == FIT and c.mark in (Mark.NEW_FAILURE, Mark.FIXED)
    }
    for change in changes:
        repeated = change.measure == "usable_share" and change.term != FIT
        if not (repeated and (change.cell, change.estimator) in fits):
            yield change


def _notes(baseline: Baseline, results: Results) -> Iterator[str]:
    """Yield what a reader should know of the comparison: another seed, other versions, unfinished runs."""
    experiment = results.experiment
    yield from filter(None, (missing_sentence(results), unrepeatable(results)))
    if baseline.seed != experiment.seed:
        yield f"seed {baseline.seed} in the baseline, {experiment.seed} in the run: other data sets"
    keys = [cell.key for cell in baseline.cells]
    pairs = zip(keys, places_of(keys, experiment.cells), strict=True)
    if any(place is not None and experiment.cells[place].key != key for key, place in pairs):
        yield "data sets drawn in another version of the population (population.version): other data sets"
    packages = versions_of(results)
    for name, then in baseline.versions.items():
        if packages.get(name) != then:
            yield f"{name} {then} in the baseline, {packages.get(name, 'none')} now"
    now = methods_of(experiment)
    for label, method in baseline.methods.items():
        if label in now and now[label] != method:
            yield (
                f"{label}: version {method.version} ({method.engine}) in the baseline, "
                f"{now[label].version} ({now[label].engine}) now"
            )
