"""Rule (b) of `nestbench check`: permuted replications (`permuting`), and a margin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.accuracy.baseline import CellRecord, Record, Value
from nestbench.reports.accuracy.changes import (
    MARGINS,
    RATIOS,
    SHARES,
    Change,
    Context,
    Mark,
    difference,
    judged,
    move_of,
)
from nestbench.reports.accuracy.permuting import Panel, adjusted_p, family_of
from nestbench.reports.comparing.holm import t_quantile
from nestbench.reports.measures.performance import FIT
from nestbench.sim.cells.cell import is_null
from nestbench.sim.observed.batch import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One method in one condition, in the baseline and in the run.

    `cell` is the run's (its number and levels), `law` names its data sets; `same_data` and `same_code` say which rule
    holds, `determined` whether the data alone decide the numbers (`baseline.Method`), `outside` whether nothing is
    known of the method, `at_zero` whether a variance that it estimates is truly 0, or estimated near 0 in all of these
    data sets (`near_zero`), which no rule of same numbers is fit for.
    """

    cell: CellRecord
    law: str
    label: str
    before: Record
    after: Record
    same_data: bool
    same_code: bool
    rtol: float
    determined: bool
    outside: bool = False
    at_zero: bool = False

    @property
    def exact(self) -> bool:
        """Whether rule (a) holds."""
        return self.same_data and self.same_code and not self.at_zero

    @property
    def same_replications(self) -> bool:
        """Whether both have exactly the same replications."""
        return np.array_equal(self.before.replications, self.after.replications)

    @property
    def factual(self) -> bool:
        """Whether every difference between measures is a fact: nothing random, and no optimiser's path."""
        return self.exact and self.same_replications and self.determined


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """One measure before and after."""

    pair: Pair
    term: str
    measure: str
    before: Value
    after: Value
    context: Context


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests found: changes, number of tests, number of those whose numbers are the same in every data set,
    number of the others that show a difference within the margin."""

    changes: list[Change]
    tests: int
    alike: int
    settled: int


def hypotheses_of(pair: Pair) -> Iterator[Hypothesis]:
    """Yield what is tested of a pair: usable fits, then every gated measure of every term."""
    if not pair.exact:
        yield _usable_hypothesis(pair)
    for term, measures in pair.before.measures.items():
        context = context_of(pair, term)
        for name, before in measures.items():
            after = pair.after.measures.get(term, {}).get(name)
            if name in MARGINS and after is not None and not _redundant(pair, name, before, after):
                yield Hypothesis(pair, term, name, before, after, context)


def df_changes(pair: Pair) -> Iterator[Change]:
    """Yield the terms whose df was one constant and is another, whatever the data; one fit alone proves no constant."""
    if min(int((r.status <= FitStatus.BOUNDARY).sum()) for r in (pair.before, pair.after)) < 2:
        return
    for term, (low, high) in pair.before.df.items():
        now = pair.after.df.get(term)
        if now and low == high and now[0] == now[1] and low != now[0]:
            cell = pair.cell
            detail = f"df {low:g} -> {now[0]:g} in every fit"
            yield Change(Mark.NEW_DF, cell.number, cell.factors, pair.label, term, "df", detail=detail)


def decide(hypotheses: Sequence[Hypothesis], margins: Mapping[str, float], alpha: float) -> Tested:
    """Test all hypotheses, and their means over conditions; mark what is significant and beyond its margin.

    Parameters
    ----------
    hypotheses : sequence of Hypothesis
    margins : mapping
    alpha : float
        Chance that a check without any change flags one, over all hypotheses.

    Returns
    -------
    Tested
        Changes that count, and how many tests were made.
    """
    if not hypotheses:
        return Tested([], 0, 0, 0)
    ordered = sorted(hypotheses, key=lambda h: h.pair.law)
    panels = [_panel(list(part)) for _, part in itertools.groupby(ordered, key=lambda h: h.pair.law)]
    groups = _groups(ordered)
    family = family_of(panels, groups)
    gaps = np.array([difference(h.measure, h.before, h.after, h.context) for h in ordered])
    limits = np.array([margins[h.measure] for h in ordered])
    means = np.array([_mean(gaps[of, 0]) for of in groups])
    with np.errstate(invalid="ignore"):
        beyond = np.concatenate(
            [np.abs(gaps[:, 0]) > limits, np.abs(means) > limits[[of[0] for of in groups]]]
        )
        shared = np.concatenate([panel.pairing() for panel in panels])
        within = t_quantile([min(h.before[2], h.after[2]) for h in ordered]) * gaps[:, 1] * shared
        settled = int((np.abs(gaps[:, 0]) + within <= limits)[shared > 0].sum())
    adjusted = adjusted_p(family, family.observed(), beyond, alpha)
    hit = np.flatnonzero(beyond & (adjusted <= alpha)).tolist()
    changes = [_single_change(ordered[i], adjusted[i]) for i in hit if i < len(ordered)]
    for i in (i for i in hit if i >= len(ordered)):
        members = [ordered[j] for j in groups[i - len(ordered)]]
        changes.append(_pooled_change(members, means[i - len(ordered)], adjusted[i]))
    alike = [bool((shared[of] == 0).all()) for of in (*np.arange(len(ordered))[:, None], *groups)]
    return Tested(changes, family.tests, sum(alike), settled)


def _mean(gaps: Floats) -> float:
    """Return the mean difference over the conditions that have one."""
    known = gaps[np.isfinite(gaps)]
    return float(known.mean()) if len(known) > 1 else np.nan


def context_of(pair: Pair, term: str) -> Context:
    """Return what the targets of a term's measures depend on; on other data the yardstick is both empirical SEs."""
    nothing = (np.nan, np.nan, 0)
    records = (pair.before, pair.after)
    spreads = [r.measures.get(term, {}).get("empirical_se", nothing)[0] for r in records]
    ratios = [r.measures.get(term, {}).get("se_error", nothing) for r in records]
    spread = spreads[0] if pair.exact else float(np.sqrt(0.5 * (spreads[0] ** 2 + spreads[1] ** 2)))
    null = is_null(pair.cell.truth.get(term, np.nan), pair.cell.null.get(term, 0.0))
    return Context(null, pair.cell.alpha, spread, ratios[0], ratios[1], pair.same_data)


def usable_value(record: Record) -> Value:
    """Return the share of usable fits with its MCSE and n."""
    share, n = float((record.status <= FitStatus.BOUNDARY).mean()), len(record.status)
    return share, float(np.sqrt(share * (1.0 - share) / n)), n


def _usable_hypothesis(pair: Pair) -> Hypothesis:
    """Return the hypothesis that as many fits are usable as before."""
    nothing = (np.nan, np.nan, 0)
    context = Context(False, pair.cell.alpha, np.nan, nothing, nothing, pair.same_data)
    return Hypothesis(pair, FIT, "usable_share", usable_value(pair.before), usable_value(pair.after), context)


def _redundant(pair: Pair, name: str, before: Value, after: Value) -> bool:
    """Whether a number is missing, or a term's usable share says no more than the fit's."""
    if np.isnan(before[0]) or np.isnan(after[0]):
        return True
    if name != "usable_share":
        return False
    fits = usable_value(pair.before)[0], usable_value(pair.after)[0]
    return (before[0], after[0]) == fits or before[0] == after[0] == 0.0


def _panel(hypotheses: Sequence[Hypothesis]) -> Panel:
    """Return the replications behind hypotheses about conditions of one population: the baseline's rows above the
    run's."""
    pairs = list(dict.fromkeys(h.pair for h in hypotheses))
    paired = pairs[0].same_data
    shown = {id(pair): _shown(pair) for pair in pairs}
    left, right = (np.unique(np.concatenate([shown[id(p)][side] for p in pairs])) for side in (0, 1))
    values = np.full((len(left) + len(right), len(hypotheses)), np.nan)
    present = np.zeros((len(values), len(pairs)), dtype=np.bool_)
    rows = {}
    for i, pair in enumerate(pairs):
        then, now = shown[id(pair)]
        rows[id(pair)] = np.concatenate(
            [np.searchsorted(left, then), len(left) + np.searchsorted(right, now)]
        )
        present[rows[id(pair)], i] = True
    columns: dict[tuple[int, str], dict[str, Floats]] = {}
    for j, h in enumerate(hypotheses):
        key = (id(h.pair), h.term)
        if key not in columns:
            columns[key] = _columns(h.pair, h.term, shown[id(h.pair)])
        values[rows[id(h.pair)], j] = columns[key][h.measure]
    after = np.arange(len(values)) >= len(left)
    shares = np.array([h.measure in SHARES for h in hypotheses])
    return Panel(values, shares, after, tuple(_strata(present, len(left), paired)), paired)


def _shown(pair: Pair) -> tuple[Ints, Ints]:
    """Return the replications of both runs that are compared: those of the same data sets, or all that are kept."""
    then, now = (r.replications[: r.rows] for r in (pair.before, pair.after))
    if pair.same_data:
        common = np.intersect1d(then, now, assume_unique=True)
        return common, common
    return then, now


def _strata(present: np.ndarray, before: int, paired: bool) -> Iterator[Ints]:
    """Yield rows among which labels are exchangeable: those that the same methods have."""
    if paired:
        # Each data set is a pair of rows of its own; those of fewer methods are swapped like the others.
        yield np.arange(len(present))
        return
    _, kind = np.unique(present, axis=0, return_inverse=True)
    for number in range(int(kind.max(initial=-1)) + 1):
        yield np.flatnonzero(kind.ravel() == number)


def _columns(pair: Pair, term: str, shown: tuple[Ints, Ints]) -> dict[str, Floats]:
    """Return measure -> its values in the compared replications, the baseline's first."""
    parts = [
        {name: values[np.searchsorted(r.replications, numbers)] for name, values in _values(r, term).items()}
        for r, numbers in zip((pair.before, pair.after), shown, strict=True)
    ]
    nothing = [np.full(len(numbers), np.nan) for numbers in shown]
    columns = {
        name: np.concatenate([p.get(name, none) for p, none in zip(parts, nothing, strict=True)])
        for name in MARGINS
    }
    errors = columns["bias"]
    if np.isfinite(errors).any():
        # Permuting needs a value a replication: absolute deviations from the median of both runs together, whose
        # means differ where spreads do (Brown & Forsythe 1974).
        columns["empirical_se"] = np.abs(errors - np.nanmedian(errors))
    return columns


def _values(record: Record, term: str) -> dict[str, Floats]:
    """Return a record's columns by measure, a value a replication."""
    usable = (record.status[: record.rows] <= FitStatus.BOUNDARY).astype(np.float64)
    if term == FIT:
        return {"usable_share": usable}
    if term not in record.kept:
        return {}
    values = record.kept[term].values()
    return {**values, "usable_share": np.isfinite(values["bias"]).astype(np.float64)}


def _groups(hypotheses: Sequence[Hypothesis]) -> list[Ints]:
    """Return the hypotheses of each method x term x measure that occurs in several conditions, by position."""

    def name(i: int) -> tuple[str, str, str]:
        """Return what a hypothesis is about, whatever the condition."""
        return hypotheses[i].pair.label, hypotheses[i].term, hypotheses[i].measure

    order = sorted(range(len(hypotheses)), key=name)
    groups = [np.array(list(members)) for _, members in itertools.groupby(order, key=name)]
    return [members for members in groups if len(members) > 1]


def in_words(measure: str, delta: float) -> str:
    """Return a difference on the measure's own scale (`changes.difference`) as people read it."""
    if measure in RATIOS:
        return f"{100.0 * np.expm1(delta):+.3g} %"
    return f"{delta:+.3g}{' empirical SEs' if measure == 'bias' else ''}"


def _single_change(h: Hypothesis, p_value: float) -> Change:
    """Return a significant difference in one condition as a change."""
    cell = h.pair.cell
    mark = judged(h.measure, [move_of(h.measure, h.before, h.after, h.context)])
    return Change(
        mark, cell.number, cell.factors, h.pair.label, h.term, h.measure, h.before, h.after, float(p_value)
    )


def _pooled_change(members: Sequence[Hypothesis], delta: float, p_value: float) -> Change:
    """Return a significant mean difference over conditions as a change."""
    first = members[0]
    # Conditions without a target (power beside type I error) leave the direction open.
    mark = judged(first.measure, [move_of(h.measure, h.before, h.after, h.context) for h in members])
    detail = f"mean difference over {len(members)} conditions {in_words(first.measure, delta)}"
    label = first.pair.label
    return Change(mark, None, {}, label, first.term, first.measure, p_value=float(p_value), detail=detail)
