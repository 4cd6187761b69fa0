"""Rule (b) of `nestbench check`: differences against both Monte Carlo errors, Holm over all, and a margin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nestbench.estimators.estimates import FitStatus
from nestbench.reports.accuracy.baseline import CellRecord, Record, Value
from nestbench.reports.accuracy.changes import (
    MARGINS,
    SHARES,
    Change,
    Context,
    Mark,
    difference,
    gap_of,
    judged,
)
from nestbench.reports.accuracy.significance import difference_p, holm, paired_share_p, share_p
from nestbench.reports.measures.performance import FIT
from nestbench.sim.batch import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One estimator in one cell, in the baseline and in the run.

    `cell` is the run's (its number and levels); `same_data` and `same_code` say which rule holds.
    """

    cell: CellRecord
    label: str
    before: Record
    after: Record
    same_data: bool
    same_code: bool
    rtol: float

    @property
    def exact(self) -> bool:
        """Whether rule (a) holds."""
        return self.same_data and self.same_code

    @property
    def same_replications(self) -> bool:
        """Whether both have exactly the same replications."""
        return np.array_equal(self.before.replications, self.after.replications)


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """One measure before and after; p_value None means: by the measure's own test."""

    pair: Pair
    term: str
    measure: str
    before: Value
    after: Value
    context: Context
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests found: changes, number of tests, number that show a difference within the margin."""

    changes: list[Change]
    tests: int
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
    """Test all hypotheses, and their means over cells; mark what is significant (Holm) and beyond its margin."""
    if not hypotheses:
        return Tested([], 0, 0)
    gaps = np.array([difference(h.measure, h.before, h.after, h.context) for h in hypotheses])
    single = _p_values(hypotheses, gaps)
    groups = _groups(hypotheses)
    means = np.array([_mean_difference(gaps[members]) for members in groups]).reshape(-1, 2)
    pooled = difference_p(means[:, 0], means[:, 1], np.inf)
    adjusted = holm(np.concatenate([single, pooled]))
    limits = np.array([margins[h.measure] for h in hypotheses])
    wide = np.array([margins[hypotheses[m[0]].measure] for m in groups])
    hit = (adjusted[: len(single)] <= alpha) & (np.abs(gaps[:, 0]) > limits)
    hit_all = (adjusted[len(single) :] <= alpha) & (np.abs(means[:, 0]) > wide)
    changes = [_single_change(hypotheses[int(i)], adjusted[i]) for i in np.flatnonzero(hit)]
    for g in np.flatnonzero(hit_all).tolist():
        members = [hypotheses[i] for i in groups[g]]
        changes.append(_pooled_change(members, means[g, 0], adjusted[len(single) + g]))
    with np.errstate(invalid="ignore"):
        settled = int((np.abs(gaps[:, 0]) + 1.96 * gaps[:, 1] <= limits).sum())
    return Tested(changes, len(hypotheses) + len(groups), settled)


def context_of(pair: Pair, term: str) -> Context:
    """Return what the targets of a term's measures depend on; the two empirical SEs are pooled under rule (b)."""
    spreads = [r.measures.get(term, {}).get("empirical_se", (np.nan,))[0] for r in (pair.before, pair.after)]
    context = Context(pair.cell.truth.get(term, np.nan), pair.cell.alpha, spreads[0], spreads[1])
    return context if pair.exact else context.pooled


def usable_value(record: Record) -> Value:
    """Return the share of usable fits with its MCSE and n."""
    share, n = float((record.status <= FitStatus.BOUNDARY).mean()), len(record.status)
    return share, float(np.sqrt(share * (1.0 - share) / n)), n


def _usable_hypothesis(pair: Pair) -> Hypothesis:
    before, after = usable_value(pair.before), usable_value(pair.after)
    p_value = None
    if pair.same_data and pair.same_replications:
        then, now = (r.status <= FitStatus.BOUNDARY for r in (pair.before, pair.after))
        p_value = paired_share_p(int((now & ~then).sum()), int((then & ~now).sum()))
    nothing = Context(np.nan, pair.cell.alpha, np.nan, np.nan)
    return Hypothesis(pair, FIT, "usable_share", before, after, nothing, p_value)


def _redundant(pair: Pair, name: str, before: Value, after: Value) -> bool:
    """Whether a number is missing, or a term's usable share says no more than the fit's."""
    if np.isnan(before[0]) or np.isnan(after[0]):
        return True
    if name != "usable_share":
        return False
    fits = usable_value(pair.before)[0], usable_value(pair.after)[0]
    return (before[0], after[0]) == fits or before[0] == after[0] == 0.0


def _p_values(hypotheses: Sequence[Hypothesis], gaps: Floats) -> Floats:
    n = np.array([(h.before[2], h.after[2]) for h in hypotheses])
    p = difference_p(gaps[:, 0], gaps[:, 1], n.min(axis=1) - 1.0)
    shares = np.array([h.measure in SHARES for h in hypotheses])
    hits = np.array([(round(h.before[0] * h.before[2]), round(h.after[0] * h.after[2])) if s else (0, 0)
                     for h, s in zip(hypotheses, shares, strict=True)])  # fmt: skip
    if shares.any():
        p[shares] = share_p(hits[shares, 0], n[shares, 0], hits[shares, 1], n[shares, 1])
    given = [(i, h.p_value) for i, h in enumerate(hypotheses) if h.p_value is not None]
    for i, value in given:
        p[i] = value
    return p


def _groups(hypotheses: Sequence[Hypothesis]) -> list[list[int]]:
    """Return the hypotheses of each estimator x term x measure that occurs in several cells, by position."""

    def name(i: int) -> tuple[str, str, str]:
        return hypotheses[i].pair.label, hypotheses[i].term, hypotheses[i].measure

    order = sorted(range(len(hypotheses)), key=name)
    groups = [list(members) for _, members in itertools.groupby(order, key=name)]
    return [members for members in groups if len(members) > 1]


def _mean_difference(gaps: Floats) -> tuple[float, float]:
    """Return the mean of differences [m, 2] and its Monte Carlo standard error; cells without one are left out."""
    known = gaps[np.isfinite(gaps).all(axis=1)]
    if len(known) < 2:
        return np.nan, np.nan
    return float(known[:, 0].mean()), float(np.sqrt((known[:, 1] ** 2).sum()) / len(known))


def _single_change(h: Hypothesis, p_value: float) -> Change:
    cell = h.pair.cell
    mark = judged(h.measure, gap_of(h.measure, h.before, h.after, h.context))
    return Change(
        mark, cell.number, cell.factors, h.pair.label, h.term, h.measure, h.before, h.after, float(p_value)
    )


def _pooled_change(members: Sequence[Hypothesis], delta: float, p_value: float) -> Change:
    first = members[0]
    growth = [gap_of(h.measure, h.before, h.after, h.context) for h in members]
    known = [g for g in growth if g is not None and np.isfinite(g)]
    # Cells without a target (power beside type I error) leave the direction open.
    mark = judged(first.measure, float(np.mean(known)) if len(known) == len(growth) else None)
    detail = f"mean difference over {len(members)} cells {delta:+.4g}"
    label = first.pair.label
    return Change(mark, None, {}, label, first.term, first.measure, p_value=float(p_value), detail=detail)
