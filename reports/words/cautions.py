"""What not to trust: coverage that falls short or is too wide, bias, fits without an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import biases as bias_rule
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.biases import Bias
from nestbench.reports.comparing.choice import Evidence
from nestbench.reports.comparing.grades import USABLE_ENOUGH, Grade
from nestbench.reports.conditions import where
from nestbench.reports.frames import items_of
from nestbench.reports.wording import percent, several, unsigned
from nestbench.reports.words.sentence import Verdict
from nestbench.sim.counted import plural


def coverage_words(row: Any) -> str:
    """Return an estimand's coverage with its error; where many fits are unusable, what is left if they are misses."""
    words = percent(float(row["coverage"]), float(row["error"]))
    if row["partial"]:
        words += f" of the usable fits, {percent(float(row['bound']))} if the others count as misses"
    return words


def of_level(graded: pd.DataFrame, level: float) -> str:
    """Return `` of 80 % intervals`` where the study has several levels, so that its coverages can't be compared."""
    return f" of {100 * level:g} % intervals" if graded["level"].nunique() > 1 else ""


def shortfalls(evidence: Evidence, counts: pd.DataFrame) -> Iterator[Verdict]:
    """Name the worst failure of coverage in full, then every other method that fails somewhere."""
    graded, experiment = evidence.graded, evidence.experiment
    failing = graded[graded["grade"] == Grade.FAILS]
    if failing.empty:
        return
    # By name where two fall short alike: the same study has the same sentence.
    failing = failing.sort_values(["missed", "estimator"], ascending=[False, True], kind="stable")
    row = failing.iloc[0]
    name = row["estimator"]
    sentence = (
        f"Don't trust `{name}` for `{row['term']}`:{where(experiment, row['cell'])} it covers "
        f"{coverage_words(row)}, where {100 * row['level']:g} % was promised; it falls short in {_share(counts, name)}."
    )
    yield Verdict(
        "avoid",
        sentence,
        f"The coverage furthest below its level among the estimands graded 'fails'. {grades.RULE}",
    )
    rest = [label for label in failing["estimator"].unique() if label != name]
    if rest:
        order = sorted(rest, key=lambda label: (-grades.count(counts, label, Grade.FAILS), label))
        parts = [f"`{label}` ({_share(counts, label)})" for label in order]
        yield Verdict("avoid", f"Also too low somewhere: {several(parts, 8)}.", grades.RULE)


def _share(counts: pd.DataFrame, label: str) -> str:
    """Return in how many of a method's estimands it falls short, in words."""
    row: Any = counts.loc[label]
    silent = f", no answer in {int(row['none'])}" if row["none"] else ""
    return f"{int(row[Grade.FAILS])} of {plural(int(row['estimands']), 'estimand')}{silent}"


def too_wide(evidence: Evidence, counts: pd.DataFrame) -> Iterator[Verdict]:
    """Name methods whose intervals are too wide beyond Monte Carlo error, or endless."""
    graded, experiment = evidence.graded, evidence.experiment
    wide = graded[graded["grade"] == Grade.WIDE].sort_values("missed", kind="stable")
    parts = []
    for label in sorted(wide["estimator"].unique()):
        row = wide[wide["estimator"] == label].iloc[0]
        parts.append(
            f"`{label}` in {grades.count(counts, label, Grade.WIDE)} of "
            f"{plural(int(counts.loc[label, 'estimands']), 'estimand')} "
            f"(up to {percent(row['coverage'], row['error'])}{of_level(graded, row['level'])}: "
            f"`{row['term']}`{where(experiment, row['cell'])})"
        )
    if parts:
        yield Verdict("note", f"Too wide, at the cost of power: {several(parts, 3)}.", grades.RULE)
    endless = {
        label: (share, place)
        for place, one in evidence.shared.items()
        for label, share in zip(one.labels, one.endless, strict=True)
        if share > 0
    }
    worst = [
        f"`{label}` in {_small_percent(share)} of data sets for `{term}`{where(experiment, cell)}"
        for label, (share, (cell, term)) in sorted(endless.items(), key=lambda item: (-item[1][0], item[0]))
    ]
    if worst:
        rule = "An interval without an end says nothing; its interval score counts up to the cap (see the ranking)."
        yield Verdict("avoid", f"Intervals without an end: {several(worst, 3)}.", rule)


def bias(evidence: Evidence) -> Iterator[Verdict]:
    """Say which estimates are biased, or how large a bias can't be excluded."""
    biased, experiment = evidence.biased, evidence.experiment
    if biased.empty:
        return
    shown = biased[biased["state"] == Bias.BIASED]
    slight = biased[biased["state"] == Bias.SLIGHT]
    if shown.empty:
        words = _excluded(biased, experiment) if slight.empty else _slight(biased, slight, experiment)
        yield Verdict("note", words, bias_rule.RULE)
        return
    size = shown["value"].abs()
    row = shown.loc[size == size.max()].sort_values("estimator", kind="stable").iloc[0]
    others = [f"`{label}`" for label in sorted(shown["estimator"].unique()) if label != row["estimator"]]
    yield Verdict(
        "avoid",
        f"`{row['estimator']}` is biased for `{row['term']}` by {_errors(row)}"
        f"{where(experiment, row['cell'])}."
        + (f" Also biased somewhere: {several(others, 8)}." if others else "")
        + f" Biased: {len(shown)} of {plural(len(biased), 'estimate')} (a method, an estimand)"
        + (f"; slightly: {len(slight)}." if len(slight) else "."),
        bias_rule.RULE,
    )


def _slight(biased: pd.DataFrame, slight: pd.DataFrame, experiment: Experiment) -> str:
    """Return that biases are shown, all of them slight, and how large one can't be excluded."""
    order = slight.assign(size=slight["value"].abs()).sort_values(
        ["size", "estimator"], ascending=[False, True], kind="stable"
    )
    row = order.iloc[0]
    bound = float(biased["bound"].max())
    larger = (
        f"one of up to {_up(bound)} can't be excluded"
        if np.isfinite(bound)
        else "none can be excluded elsewhere"
    )
    return (
        f"Bias is shown in {len(slight)} of {plural(len(biased), 'estimate')} (a method, an estimand), "
        "but none of more than "
        f"{bias_rule.SHARE:g} standard errors: the largest is of `{row['estimator']}` for `{row['term']}`"
        f"{where(experiment, row['cell'])}, {abs(float(row['value'])):.2f} standard errors (MCSE {row['mcse']:.2g}); "
        f"{larger}."
    )


def _errors(row: pd.Series[Any]) -> str:
    """Return a bias in standard errors, in words."""
    value, mcse = abs(float(row["value"])), float(row["mcse"])
    if not np.isfinite(value):
        return "more than its estimates ever vary"
    # A second decimal only where Monte Carlo error leaves it some meaning.
    size = f"{value:.1f}" if not np.isfinite(mcse) or mcse >= 0.05 else f"{value:.2f}"
    return f"{size} standard errors" + (f" (MCSE {mcse:.2g})" if np.isfinite(mcse) else "")


def _excluded(biased: pd.DataFrame, experiment: Experiment) -> str:
    """Return which bias can't be excluded, where none is shown."""
    row = biased.sort_values(["bound", "estimator"], ascending=[False, True], kind="stable").iloc[0]
    bound = float(row["bound"])
    if bound <= bias_rule.SHARE:
        return (
            f"No method is biased by more than {bound:.2g} of its standard error, Monte Carlo error included."
        )
    if not np.isfinite(bound):
        return "No bias of an effect is shown, but there are too few replications to exclude any."
    error = f" (MCSE {row['mcse']:.2g})" if np.isfinite(row["mcse"]) else ""
    value = unsigned(f"{row['value']:.2f}")
    return (
        f"No bias of an effect is shown, which doesn't say that there is none: biases of up to {_up(bound)} standard "
        f"errors can't be excluded (`{row['estimator']}` for `{row['term']}`{where(experiment, row['cell'])}: "
        f"{value}{error} over {plural(int(row['n']), 'data set')})."
    )


def _up(value: float) -> str:
    """Return a bound rounded upwards, so that it stays one."""
    return f"{np.ceil(100.0 * value) / 100.0:.2f}"


def failed(evidence: Evidence) -> Iterator[Verdict]:
    """Say which methods gave no usable answer, how often at worst, and in how many conditions."""
    usable, experiment = evidence.usable, evidence.experiment
    failing = (1.0 - usable)[usable < 1.0].sort_values(ascending=False, kind="stable")
    replayed = "kept and counted" if experiment.brought else "kept, counted and can be replayed"
    rule = f"Usable: status OK or BOUNDARY. Failed fits are {replayed}."
    if failing.empty:
        yield Verdict("note", "Every fit gave a usable answer.", rule)
        return
    asked_in = usable.groupby("estimator").size()
    parts = []
    failures: dict[str, list[tuple[int, float]]] = {}
    for (cell, label), share in items_of(failing):
        failures.setdefault(str(label), []).append((cell, float(share)))
    for label, places in sorted(failures.items(), key=lambda item: (-item[1][0][1], -len(item[1]), item[0])):
        parts.append(_failing(label, places, int(asked_in[label]), experiment))
    yield Verdict("note", f"No usable answer: {several(parts, 3)}.", rule)


def _failing(label: str, places: list[tuple[int, float]], asked_in: int, experiment: Experiment) -> str:
    """Return where a method gave no usable answer, in words."""
    cell, worst = places[0]
    alike = sum(share == worst for _, share in places)
    of_fits = "all fits" if worst == 1.0 else f"{_small_percent(worst)} of fits"
    if alike > 1:
        words = f"`{label}` in {of_fits} in {alike} of {plural(asked_in, 'condition')}"
    else:
        words = f"`{label}` in {of_fits}{where(experiment, cell)}"
    rest = len(places) - alike
    return words + (f" (and in fewer in {plural(rest, 'other condition')})" if rest else "")


def left_out(evidence: Evidence) -> Iterator[Verdict]:
    """Name the methods whose scores are not compared with the others', and why."""
    shares: dict[str, list[tuple[float, int, int, int, str]]] = {}
    for (cell, term), one in evidence.shared.items():
        for label, (answered, of) in one.left_out.items():
            if (cell, term) in evidence.estimands:
                shares.setdefault(label, []).append((answered / of, answered, of, cell, term))
    if not shares:
        return
    parts = []
    for label, places in sorted(shares.items()):
        _, answered, of, cell, term = min(places, key=lambda place: (place[0], place[3], place[4]))
        there = where(evidence.experiment, cell)
        parts.append(f"`{label}` ({answered:,} of {of:,} data sets for `{term}`{there})")
    rule = (
        f"Scores are compared on the data sets that all compared methods answer; a method is compared where it answers "
        f"at least {percent(USABLE_ENOUGH)} of the condition's data sets. Named is the estimand with fewest answers."
    )
    yield Verdict(
        "note", f"Not compared with the others everywhere, for want of answers: {several(parts, 4)}.", rule
    )


def _small_percent(share: float) -> str:
    """Return a share in per cent, small ones with two digits."""
    return percent(share) if share >= 0.1 else f"{100 * share:.2g} %"
