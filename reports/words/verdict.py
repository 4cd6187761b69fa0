"""Plain words first: sentences made from the performance table by rules that are printed beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing import grades
from nestbench.reports.comparing.grades import Grade, situations, usable_shares
from nestbench.reports.frames import items_of
from nestbench.reports.words.untold import RULE as UNTOLD
from nestbench.reports.words.untold import untold
from nestbench.reports.words.wording import condition, percent, plural, several

USABLE_ENOUGH = 0.95
SCORE_MARGIN = 0.01
BIAS_SHARE = 0.1
BIAS_MCSES = 4.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence (names in backticks), its kind (``use``, ``avoid``, ``note``) and the rule that made it."""

    kind: str
    sentence: str
    rule: str


def verdicts(table: pd.DataFrame, experiment: Experiment) -> list[Verdict]:
    """Return the verdict of a study: what to use, what not to trust, bias, failures."""
    graded = situations(table, experiment)
    unknown = [Verdict("note", sentence, UNTOLD) for sentence in untold(table, experiment)]
    if graded.empty:
        return [
            Verdict(
                "note",
                "There is nothing to judge yet: no stored interval for a term with a known truth.",
                "A verdict needs coverage of at least one fixed effect.",
            ),
            *unknown,
        ]
    usable = usable_shares(table)
    sentences = [recommendation(table, graded, usable, experiment)]
    sentences += list(warnings(graded, experiment))
    sentences += list(bias_verdict(table, experiment))
    sentences += list(failure_verdict(table, usable, experiment))
    return sentences + unknown


def tally(graded: pd.DataFrame) -> pd.DataFrame:
    """Return counts of situations by estimator (rows) and grade (columns), with the lowest coverage."""
    counts = pd.crosstab(graded["estimator"], graded["grade"]).reindex(columns=[*Grade], fill_value=0)
    counts["situations"] = counts.sum(axis=1)
    counts["lowest"] = graded.groupby("estimator")["coverage"].min()
    return counts


def candidates(
    table: pd.DataFrame, graded: pd.DataFrame, usable: pd.Series[float], experiment: Experiment
) -> pd.DataFrame:
    """Return the methods that never fail, answer every situation and nearly always, best first.

    Ordered by the number of doubtful situations, then by `score`: the geometric mean over situations of the
    interval score relative to the best candidate there.
    """
    counts = tally(graded)
    least = usable.groupby("estimator").min()
    whole = counts["situations"] == counts["situations"].max()
    kept = counts[whole & (counts[Grade.FAILS] == 0) & (least.reindex(counts.index) >= USABLE_ENOUGH)].copy()
    score = relative_scores(table, list(kept.index), sorted(set(graded["term"])))
    kept["score"] = score.reindex(kept.index)
    order = [estimator.label for estimator in experiment.estimators if estimator.label in kept.index]
    found: pd.DataFrame = kept.loc[order].sort_values([Grade.DOUBTFUL, "score"], kind="stable")
    return found


def relative_scores(table: pd.DataFrame, labels: list[str], terms: list[str]) -> pd.Series[float]:
    """Return each method's geometric mean over situations of interval score / lowest interval score there."""
    rows = table[
        (table["measure"] == "interval_score") & table["estimator"].isin(labels) & table["term"].isin(terms)
    ]
    wide = rows.pivot_table(index=["cell", "term"], columns="estimator", values="value", dropna=False)
    ratio = wide.div(wide.min(axis=1), axis=0).where(lambda x: np.isfinite(x) & (x > 0))
    found: pd.Series[float] = np.exp(np.log(ratio).mean())
    return found


def recommendation(
    table: pd.DataFrame, graded: pd.DataFrame, usable: pd.Series[float], experiment: Experiment
) -> Verdict:
    """Say which method to use and how sure that is, or that none holds everywhere."""
    rule = (
        f"{grades.RULE} Recommended: methods that fail nowhere, answer for every term and give a usable answer in at "
        f"least {percent(USABLE_ENOUGH)} of the fits of every condition; of these the fewest doubtful situations, "
        "then the lowest interval score (short intervals that cover; geometric mean over situations). 'For now' says "
        "that fewer than half of the situations are beyond Monte Carlo error. "
        "A situation is one condition x one term; the intercept is left out."
    )
    kept = candidates(table, graded, usable, experiment)
    if kept.empty:
        return Verdict("use", _closest(graded, experiment), rule)
    best = kept.iloc[0]
    name, total = str(kept.index[0]), int(best["situations"])
    worst = graded[graded["estimator"] == name].sort_values("coverage", kind="stable").iloc[0]
    sentence = (
        f"{_opening(best)} `{name}`: its {_promised(graded, experiment)} intervals fall short in none of "
        f"{plural(total, 'situation')}; the lowest coverage is {percent(worst['coverage'], worst['mcse'])}."
    )
    alike = kept[
        (kept["score"] <= best["score"] * (1 + SCORE_MARGIN)) & (kept[Grade.DOUBTFUL] == best[Grade.DOUBTFUL])
    ]
    if len(others := [f"`{label}`" for label in alike.index[1:]]):
        sentence += f" As good within {percent(SCORE_MARGIN)}: {several(others)}."
    return Verdict("use", f"{sentence} {_sureness(best)}".strip(), rule)


def _opening(best: pd.Series[Any]) -> str:
    sure = best[Grade.HOLDS] + best[Grade.WIDE]
    return "Use" if 2 * sure >= best["situations"] else "For now, use"


def _sureness(best: pd.Series[Any]) -> str:
    total = int(best["situations"])
    sure = int(best[Grade.HOLDS] + best[Grade.WIDE])
    if sure == total:
        return "How sure: beyond Monte Carlo error everywhere."
    doubtful = int(best[Grade.DOUBTFUL])
    doubt = f", {doubtful} doubtful" if doubtful else ""
    return (
        f"How sure: beyond Monte Carlo error in {sure} of {total}, likely in {total - sure - doubtful}{doubt}; "
        "more replications would settle the rest."
    )


def _closest(graded: pd.DataFrame, experiment: Experiment) -> str:
    counts = tally(graded)
    counts["good"] = counts["situations"] - counts[Grade.FAILS] - counts[Grade.DOUBTFUL]
    order = [e.label for e in experiment.estimators if e.label in counts.index]
    first = counts.loc[order].sort_values(["good", "lowest"], ascending=False, kind="stable").iloc[0]
    return (
        f"No method keeps its promise everywhere. Closest is `{first.name}`: its "
        f"{_promised(graded, experiment)} intervals hold in {int(first['good'])} "
        f"of {plural(int(first['situations']), 'situation')}, "
        f"the lowest coverage is {percent(float(first['lowest']))}."
    )


def _promised(graded: pd.DataFrame, experiment: Experiment) -> str:
    levels = {experiment.cells[cell].model.level for cell in graded["cell"].unique()}
    return " / ".join(f"{100 * level:g} %" for level in sorted(levels))


def warnings(graded: pd.DataFrame, experiment: Experiment) -> Iterator[Verdict]:
    """Name the worst failure of coverage in full, then every other method that fails somewhere."""
    failing = graded[graded["grade"] == Grade.FAILS].sort_values("coverage", kind="stable")
    if failing.empty:
        return
    counts = tally(graded)
    row = failing.iloc[0]
    level = experiment.cells[row["cell"]].model.level
    name = row["estimator"]
    sentence = (
        f"Don't trust `{name}` for `{row['term']}`: with {condition(experiment.levels[row['cell']])} it covers "
        f"{percent(row['coverage'], row['mcse'])} where {percent(level)} was promised; "
        f"it falls short in {_share(counts, name)} situations."
    )
    rule = f"The lowest coverage among the situations graded 'fails'. {grades.RULE}"
    yield Verdict("avoid", sentence, rule)
    rest = [label for label in failing["estimator"].unique() if label != name]
    if rest:
        parts = [f"`{label}` ({_share(counts, label)})" for label in rest]
        yield Verdict("avoid", f"Also too low somewhere: {several(parts, 8)} situations.", grades.RULE)


def _share(counts: pd.DataFrame, label: str) -> str:
    row: Any = counts.loc[label]
    return f"{int(row[Grade.FAILS])} of {int(row['situations'])}"


def bias_verdict(table: pd.DataFrame, experiment: Experiment) -> Iterator[Verdict]:
    """Say which estimates are biased by a tenth of their standard error or more, beyond Monte Carlo error."""
    terms = grades.fixed_terms(table)
    rows = table[table["measure"].isin(["standardised_bias"]) & table["term"].isin(terms)]
    rows = rows[np.isfinite(rows["value"]) & (rows["n"] > 1)]
    rule = (
        f"Biased: |bias| above {BIAS_SHARE:g} empirical standard errors and more than {BIAS_MCSES:g} "
        "Monte Carlo errors away from 0."
    )
    far = rows[(rows["value"].abs() > BIAS_SHARE) & (rows["value"].abs() > BIAS_MCSES * rows["mcse"])]
    if far.empty:
        if len(rows):
            yield Verdict("note", "No method is biased by more than a tenth of its standard error.", rule)
        return
    row = far.loc[far["value"].abs().idxmax()]
    others = [f"`{label}`" for label in far["estimator"].unique() if label != row["estimator"]]
    yield Verdict(
        "avoid",
        f"`{row['estimator']}` is biased for `{row['term']}` by {abs(row['value']):.1f} standard errors with "
        f"{condition(experiment.levels[row['cell']])}."
        + (f" Also biased somewhere: {several(others, 8)}." if others else ""),
        rule,
    )


def failure_verdict(
    table: pd.DataFrame, usable: pd.Series[float], experiment: Experiment
) -> Iterator[Verdict]:
    """Say which methods gave no usable answer, worst condition first."""
    failing = (1.0 - usable)[usable < 1.0].sort_values(ascending=False)
    rule = "Usable: status OK or BOUNDARY. Failed fits are kept, counted and can be replayed."
    if failing.empty:
        yield Verdict("note", "Every fit gave a usable answer.", rule)
        return
    parts: dict[str, str] = {}
    for (cell, label), share in items_of(failing):
        words = condition(experiment.levels[cell])
        parts.setdefault(label, f"`{label}` in {_small_percent(share)} of fits with {words}")
    yield Verdict("note", f"No usable answer: {several(list(parts.values()), 3)}.", rule)


def _small_percent(share: float) -> str:
    return percent(share) if share >= 0.1 else f"{100 * share:.2g} %"
