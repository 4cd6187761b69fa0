"""Plain words first: sentences made from a study's numbers by rules that are printed beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import biases as bias_rule
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.choice import (
    BIASED,
    POINTS,
    RESAMPLES,
    SETTLED,
    SHORT,
    SILENT,
    Choice,
    Evidence,
    choose,
    evidence_of,
)
from nestbench.reports.comparing.grades import Grade
from nestbench.reports.comparing.shared import Shared
from nestbench.reports.measures.proportions import wilson
from nestbench.reports.wording import percent, several
from nestbench.reports.words import cautions
from nestbench.reports.words.cautions import of_level
from nestbench.reports.words.ground import ground
from nestbench.reports.words.lint import replications_needed
from nestbench.reports.words.sentence import Verdict
from nestbench.reports.words.untold import RULE as UNTOLD
from nestbench.reports.words.untold import untold
from nestbench.sim.counted import plural

ALIKE = 0.01
"""Relative difference of scores up to which methods count as equally good."""
RULE = (
    "In order is a method that in every estimand (a condition and a term; the intercept is left out) answers at least "
    f"{percent(grades.USABLE_ENOUGH)} of the data sets with intervals that have an end, isn't shown to fall short of "
    "its coverage and isn't shown to be biased. Of these come first those whose coverage is suspect (below the band by "
    "a test of its own at 5 %) in fewest estimands, then the lowest score: the geometric mean over estimands "
    "of the mean interval score (width plus a penalty for misses, so that intervals that are too wide lose), on the "
    "data sets that all methods answer, a score counting at most as much as a miss by half the usual width. None is "
    f"named where a coverage has a Monte Carlo error above {100 * POINTS:g} percentage points. "
    f"{grades.RULE} {bias_rule.RULE}"
)
CHOICE_RULE = (
    f"{RESAMPLES} runs are made by drawing data sets again with replacement, the same ones for all methods, and the "
    f"rule of the recommendation is applied to each. The choice is settled when at least {percent(SETTLED)} of those "
    "that name a method name the same one. Differences in score are given with their 95 % interval over these runs."
)


def verdicts(
    table: pd.DataFrame, experiment: Experiment, shared: Sequence[Sequence[Shared]]
) -> list[Verdict]:
    """Return the verdict of a study: what to use and how sure that is, what not to trust.

    `table` is the performance table, `shared` what `shared_of_run` returns.
    """
    evidence = evidence_of(table, experiment, shared)
    unknown = [Verdict("note", sentence, UNTOLD) for sentence in untold(table, experiment)]
    if evidence.graded.empty:
        return [
            Verdict(
                "note",
                "There is nothing to judge yet: no stored interval for a term with a known truth.",
                "A verdict needs coverage of at least one fixed effect.",
            ),
            *unknown,
        ]
    counts = grades.tally(evidence.graded, evidence.places)
    choice = choose(evidence)
    return [
        *recommendation(evidence, choice, counts),
        *cautions.shortfalls(evidence, counts),
        *cautions.too_wide(evidence, counts),
        *cautions.bias(evidence),
        *cautions.failed(evidence),
        *cautions.left_out(evidence),
        *unknown,
    ]


def recommendation(evidence: Evidence, choice: Choice, counts: pd.DataFrame) -> list[Verdict]:
    """Say which method to use, how sure that is and on what ground; or that there are too few replications, or none."""
    if choice.few and choice.n:
        return [Verdict("note", _too_few(evidence, choice), RULE)]
    sure = [Verdict("note", words, CHOICE_RULE)] if (words := _sureness(choice)) else []
    if choice.named is None:
        return [Verdict("use", _closest(evidence, choice, counts), RULE), *sure]
    ground_rule = (
        "The populations, layouts and models of the study's file, against what each method says it assumes."
    )
    return [
        Verdict("use", _named(evidence, choice, counts), RULE),
        *sure,
        Verdict("note", ground(evidence.experiment, evidence.places["cell"]), ground_rule),
    ]


def _too_few(evidence: Evidence, choice: Choice) -> str:
    """Return how many data sets a recommendation would need."""
    level = choice.level
    needed = [replications_needed(level, points) for points in (POINTS, 0.01)]
    return (
        f"Too few replications to recommend a method: with {plural(choice.n, 'data set')} in common a coverage of "
        f"{percent(level)} has a Monte Carlo error of {100 * choice.error:.1f} percentage points; {needed[0]:,} data "
        f"sets bring it down to {100 * POINTS:g} points, {needed[1]:,} to 1 point."
    )


def leaders(choice: Choice) -> list[str]:
    """Return the methods in order among which the choice is open: one where it is settled."""
    if choice.settled and choice.named is not None:
        return [choice.named]
    return [label for label in choice.contenders if label in choice.scores.index]


def _named(evidence: Evidence, choice: Choice, counts: pd.DataFrame) -> str:
    """Return the recommendation in words."""
    labels = leaders(choice)
    total = plural(grades.count(counts, labels[0], "estimands"), "estimand")
    promised = _promised(evidence)
    if len(labels) == 1:
        wide = grades.count(counts, labels[0], Grade.WIDE)
        though = f", though it is too wide in {wide} of {total}" if wide else ""
        opening = (
            f"Use `{labels[0]}`{though}: its {promised} intervals are shown to fall short in none of {total}."
        )
    else:
        names = several([f"`{label}`" for label in labels], 6)
        which = "neither" if len(labels) == 2 else "none"
        opening = (
            f"Not settled between {names}: the {promised} intervals of {which} are shown to fall short in any of "
            f"{total}."
        )
    facts = [_facts(evidence, counts, label, len(labels) == 1) for label in labels]
    is_open = (counts.loc[labels, [Grade.LIKELY, Grade.DOUBTFUL, Grade.LOOSE]].to_numpy() > 0).any()
    more = ["More replications would settle the open ones."] if is_open else []
    return " ".join([opening, *facts, *more, *_alike(choice, labels)])


def _facts(evidence: Evidence, counts: pd.DataFrame, label: str, alone: bool) -> str:
    """Return a method's lowest coverage, what can't be excluded, and where its coverage is in order."""
    row: Any = counts.loc[label]
    total, holds, wide, loose, likely, doubtful = (
        int(row[name])
        for name in ("estimands", Grade.HOLDS, Grade.WIDE, Grade.LOOSE, Grade.LIKELY, Grade.DOUBTFUL)
    )
    parts = [f"in order beyond Monte Carlo error in {holds or 'none'} of {total}"] if alone else []
    parts += [f"too wide in {wide}"] if wide else []
    parts += [f"perhaps too wide in {loose}"] if loose else []
    parts += [f"likely in order in {likely}"] if likely and alone else []
    parts += [f"doubtful in {doubtful}"] if doubtful else []
    if holds == total:
        parts = ["in order beyond Monte Carlo error everywhere"]
    low, bound = _lowest(evidence, label), _bound(evidence, label)
    if alone:
        return f"Its lowest coverage is {low}, and {bound} can't be excluded; coverage is {', '.join(parts)}."
    facts = [f"lowest coverage {low}", f"{bound} can't be excluded", *parts]
    return f"`{label}`: {', '.join(facts)}."


def _lowest(evidence: Evidence, label: str) -> str:
    """Return the coverage that falls furthest short of its level, with the level where levels differ."""
    graded = evidence.graded
    own = graded[graded["estimator"] == label].sort_values("missed", ascending=False, kind="stable")
    row = own.iloc[0]
    return percent(row["coverage"], row["error"]) + of_level(graded, row["level"])


def _bound(evidence: Evidence, label: str) -> str:
    """Return the coverage that can be excluded from below, in words."""
    graded = evidence.graded
    coverage, level = excluded_below(graded[graded["estimator"] == label])
    return percent(coverage) + of_level(graded, level)


def _alike(choice: Choice, labels: Sequence[str]) -> list[str]:
    """Return which other methods are nearly as good, in words."""
    scores = choice.scores
    alike = (scores["ratio"] <= 1.0 + ALIKE) & (scores["suspect"] <= scores["suspect"].iloc[0])
    close = scores[alike & ~scores.index.isin(labels)]
    others = [f"`{label}` ({_more(close.loc[label])})" for label in close.index]
    return [f"Nearly as good: {several(others)}."] if others else []


def _more(row: pd.Series[Any]) -> str:
    """Return by how much a score is higher, with its interval."""
    ratio, low, high = (100.0 * (float(row[name]) - 1.0) for name in ("ratio", "low", "high"))
    # "-0.3 % higher" is no sentence.
    if ratio < 0:
        ratio, low, high, than = -ratio, -high, -low, "lower"
    else:
        than = "higher"
    # An interval that is a point when printed says nothing.
    if high - low < 0.005:
        return f"score {ratio:.2f} % {than}"
    suspect = int(row["suspect"])
    doubt = f", coverage suspect in {plural(suspect, 'estimand')}" if suspect else ""
    return f"score {ratio:.1f} % {than}, 95 % interval {low:.1f} to {high:.1f}".replace("-0.0", "0.0") + doubt


def _sureness(choice: Choice) -> str:
    """Return how often resampled runs name which method, and how far the next one is."""
    if not choice.shares or (choice.named is None and choice.nobody > SETTLED):
        return ""
    if choice.named is None:
        opening = "Another draw might find one:"
    else:
        opening = "The choice is settled:" if choice.settled else "The choice isn't settled:"
    (label, share), *others = choice.shares.items()
    first = f"all {RESAMPLES}" if share == 1.0 else f"{_often(share)} of {RESAMPLES}"
    more = [f"{_often(share)} `{label}`" for label, share in others if share >= 0.01]
    words = f"{opening} {several([f'{first} resampled runs name `{label}`', *more], 6)}"
    words += f"; in {_often(choice.nobody)} no method is in order." if choice.nobody >= 0.01 else "."
    rest = [label for label in choice.scores.index if label != choice.named]
    if rest and not (choice.settled and choice.scores.loc[rest[0], "ratio"] <= 1.0 + ALIKE):
        words += f" Next to `{choice.named}` comes `{rest[0]}`: {_more(choice.scores.loc[rest[0]])}."
    return words


def _often(share: float) -> str:
    """Return a share of the resampled runs, in words."""
    return f"{100.0 * share:.0f} %" if share < 0.995 else "nearly all"


def _closest(evidence: Evidence, choice: Choice, counts: pd.DataFrame) -> str:
    """Return that no method is in order, and which has fewest faults."""
    faults = choice.faults
    at_fault = faults[["estimator", "cell", "term"]].drop_duplicates().groupby("estimator").size()
    order = sorted(
        counts.index,
        key=lambda label: (
            int(at_fault.get(label, 0)) / grades.count(counts, label, "estimands"),
            grades.count(counts, label, Grade.DOUBTFUL),
            # Last, a method that answers nowhere.
            float(np.nan_to_num(counts.loc[label, "missed"], nan=np.inf)),
            label,
        ),
    )
    label, total = order[0], grades.count(counts, order[0], "estimands")
    own = faults[faults["estimator"] == label]
    parts = [
        f"{words} in {len(own[own['fault'] == fault])}"
        for fault, words in _FAULTS.items()
        if (own["fault"] == fault).any()
    ]
    answers = np.isfinite(counts.loc[label, "missed"])
    lowest = f"; its lowest coverage is {_lowest(evidence, label)}" if answers else ""
    return (
        f"No method keeps its promise everywhere. Closest is `{label}`, with {_promised(evidence)} intervals: of "
        f"{plural(total, 'estimand')} it {several(parts)}{lowest}."
    )


_FAULTS = {SHORT: "falls short", BIASED: "is biased", SILENT: "has no or too few usable answers"}


def _promised(evidence: Evidence) -> str:
    """Return the nominal levels, in words."""
    cells = evidence.experiment.cells
    levels = {cells[cell].model.level for cell in evidence.graded["cell"].unique()}
    return " / ".join(f"{100 * level:g} %" for level in sorted(levels))


def excluded_below(graded: pd.DataFrame) -> tuple[float, float]:
    """Return the coverage below which none is plausible, and its level: the lowest end of the 95 % Wilson intervals.

    The lowest of the true coverages lies below it with a chance of at most 2.5 %, however many there are; lowest is
    what falls furthest short of its level.
    """
    low, _ = wilson(graded["coverage"], graded["n"])
    worst = int(np.argmax(grades.missed(low, graded["level"])))
    return float(low[worst]), float(graded["level"].iloc[worst])
