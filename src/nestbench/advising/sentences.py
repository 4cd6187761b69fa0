"""The answer in sentences: none of them knows the estimate."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nestbench.advising.advice import Advice
from nestbench.advising.scenarios import Scenario
from nestbench.advising.validity import EQUAL
from nestbench.estimators.estimates import LOWER, UPPER
from nestbench.own_data.row_cells import number as decimals
from nestbench.reports.comparing.grades import band
from nestbench.sim.counted import plural

FEW = 1000
"""Data sets of a scenario below which it is said what they are worth."""
NO_PEEKING = (
    "The advice is made of the design and of the residuals of the model. An outcome to which any "
    "multiple of the term is "
    "added gets the same advice to the last digit shown: trying outcomes or methods until one is "
    "significant is no use here."
)


def verdict(advice: Advice) -> str:
    """Return the method named, and how it does; or that there is none."""
    if advice.design.fewest == 1:
        return (
            f"{advice.term}: use none without an assumption. One school alone has its value: that school's own effect "
            "can't be told from the term's."
        )
    if advice.choice.unless is not None:
        return f"{advice.term}: use none without an assumption, for {unless(advice).precaution}."
    if advice.choice.named is not None:
        return f"{advice.term}: use {spelled(advice.choice.named, advice)}. {covering(advice)}"
    return f"{advice.term}: use none, for no method holds in all of {scenarios(advice)}. {least_bad(advice)}"


def scenarios(advice: Advice) -> str:
    """Return how many scenarios count."""
    return plural(len(advice.choice.judged), "scenario")


def covering(advice: Advice) -> str:
    """Return how often the intervals of the method named cover, over the scenarios."""
    rows = _rows(advice)
    covered = spanned(rows["coverage"].min(), rows["coverage"].max())
    return f"Its {100 * advice.model.level:g} % intervals cover {covered} in {scenarios(advice)}."


def spanned(low: float, high: float) -> str:
    """Return two shares as a range in percent."""
    ends = dict.fromkeys(f"{100 * share:.1f}" for share in (low, high))
    return f"{' to '.join(ends)} %"


def least_bad(advice: Advice) -> str:
    """Return the method that falls least short, and where; of one that doesn't, how wide it is."""
    rows = _rows(advice)
    worst: Any = rows.sort_values("coverage").iloc[0]
    covered = f"{100 * worst['coverage']:.1f} % under '{worst['scenario']}'"
    if worst["coverage"] >= band(advice.model.level)[0]:
        covered = f"{spanned(worst['coverage'], rows['coverage'].max())}: too wide"
    return (
        f"Least bad is {spelled(advice.choice.least_bad, advice)}, whose {100 * advice.model.level:g} % intervals "
        f"cover {covered}."
    )


def _rows(advice: Advice) -> pd.DataFrame:
    """Return the rows of the method named, or the least bad, under the scenarios that count."""
    table = advice.table[advice.table["method"] == advice.choice.least_bad]
    return table[table["scenario"].isin(advice.choice.judged)]


def spelled(label: str, advice: Advice) -> str:
    """Return a method with what its name stands for: nobody knows it who hasn't read the docs."""
    return f"{label} ({advice.infos[label].label})"


def power_words(advice: Advice) -> str:
    """Return which effect power is of."""
    return f"Power: at {advice.planted:g}."


def sure_words(advice: Advice, others: bool = True) -> str:
    """Return how often another simulation would say the same, and what it would else."""
    choice = advice.choice
    # With one school on a side none is named whatever was simulated.
    if advice.design.fewest == 1:
        return ""
    rest = [name for name in choice.shares if name != (choice.named or "none")][:2]
    other = f" (else {' or '.join(rest)})" if rest and others else ""
    return f"Another seed would agree in {100 * choice.sure:.0f} %{other}."


def worth(advice: Advice) -> str:
    """Return what the number of data sets is worth, where there are few; empty where there are enough."""
    n, level = advice.replications, advice.model.level
    if n >= FEW:
        return ""
    error = 100 * math.sqrt(level * (1.0 - level) / n)
    return (
        f"{plural(n, 'data set')} a scenario: coverages are known to {error:.1f} points (Monte Carlo error)."
    )


def unless(advice: Advice) -> Scenario:
    """Return the scenario that the assumption leaves out."""
    return next(law for law in advice.laws if law.name == advice.choice.unless)


def alike(advice: Advice) -> str:
    """Return which method holds if a precaution isn't so, what it does if it is, and which falls least short then."""
    choice = advice.choice
    table: Any = advice.table.set_index(["scenario", "method"])["coverage"]
    then = 100 * table[(choice.unless, choice.assuming)]
    laws = [*choice.judged, choice.unless]
    low, high = (f(table[(law, choice.guarding)] for law in laws) for f in (min, max))
    return (
        f"If not, {spelled(choice.least_bad, advice)} holds. {covering(advice)[:-1]}; else {then:.1f} %. "
        f"Least bad either way: {choice.guarding}, {spanned(low, high)}."
    )


def assumption(advice: Advice) -> str:
    """Return what has to be assumed where no method holds without; empty where one does."""
    if advice.design.fewest > 1:
        return "" if advice.choice.unless is None else alike(advice)
    drawn = "drawn from the same normal distribution as the other schools'"
    if advice.choice.assuming is None:
        return f"No method holds even if that effect is {drawn}. {least_bad(advice)}"
    return f"If that effect is {drawn}, {spelled(advice.choice.assuming, advice)} holds. {covering(advice)}"


def precaution(advice: Advice, reason: bool = True) -> str:
    """Return what the choice doesn't guard against, for what does would be wider; empty where there is nothing."""
    left = [law for law in advice.laws if law.name not in advice.choice.judged]
    if not left or advice.design.fewest == 1 or advice.choice.named is None:
        return ""
    own: Any = advice.table[advice.table["method"] == advice.choice.named].set_index("scenario")
    worst = min(left, key=lambda law: float(own.loc[law.name, "coverage"]))
    covered = float(own.loc[worst.name, "coverage"])
    why = ", and no method that holds there is nearly as sharp" if reason else ""
    return f"Not ruled out: {worst.precaution}. Then {advice.choice.named} covers {100 * covered:.1f} %{why}."


def limits(row: Any, digits: int | None) -> str:
    """Return an interval."""
    if not (math.isfinite(row[LOWER]) or math.isfinite(row[UPPER])):
        return "-"
    return f"{decimals(row['lower'], digits)}, {decimals(row['upper'], digits)}"


def paragraph(advice: Advice) -> str:
    """Return a methods paragraph to paste into a paper."""
    choice, design = advice.choice, advice.design
    laws = ", ".join(choice.judged)
    return (
        f"The method for {advice.term} in the model {advice.model.formula} was chosen before its "
        "estimate was looked at, by "
        f"simulation on the study's own design ({plural(design.rows, 'student')} in "
        f"{plural(design.schools, 'school')}; "
        f"{design.effective:.1f} effective clusters, Carter, Schnepel & Steigerwald 2017). Errors were drawn from "
        f"{plural(len(advice.choice.judged), 'scenario')} calibrated from the model's residuals ({laws}), "
        f"{advice.replications} data sets each (seed {advice.seed}). A method had to keep coverage of its "
        f"{100 * advice.model.level:g} % intervals and size of its tests within Bradley's (1978) "
        "liberal band in every one; of "
        "those that did, the narrowest was taken whose interval score (Gneiting & Raftery 2007) was within "
        f"{100 * (EQUAL - 1):.0f} % of the lowest. "
        f"{' '.join(text for text in (_outcome(advice), precaution(advice)) if text)} Simulated with nestbench."
    )


def _outcome(advice: Advice) -> str:
    """Return what came of it, for a paper."""
    choice, term = advice.choice, advice.term
    if choice.named is not None:
        return f"{choice.named} was used for {term}."
    if choice.assuming is None:
        return f"No method held for {term} in all scenarios."
    may = "" if choice.unless is None else f" Not ruled out: {unless(advice).precaution}."
    return f"No method held for {term} without an assumption.{may} {assumption(advice)}"


def sources_of(advice: Advice) -> list[str]:
    """Return the sources that findings and rules name."""
    named = [source for finding in advice.design.findings for source in finding.source.split("; ") if source]
    return [REFERENCES[key] for key in REFERENCES if any(key in source for source in [*named, *ALWAYS])]


ALWAYS = ("Bradley 1978", "Gneiting & Raftery 2007", "MacKinnon 2026")
REFERENCES = {
    "Bradley 1978": "Bradley, J. V. (1978). Robustness? British Journal of Mathematical and "
    "Statistical Psychology 31, "
    "144-152.",
    "Carter, Schnepel & Steigerwald 2017": "Carter, A. V., Schnepel, K. T. & Steigerwald, D. G. "
    "(2017). Asymptotic behavior "
    "of a t-test robust to cluster heterogeneity. Review of Economics and Statistics 99, 698-709.",
    "Cochran 1954": "Cochran, W. G. (1954). The combination of estimates from different experiments. "
    "Biometrics 10, 101-129.",
    "DerSimonian & Laird 1986": "DerSimonian, R. & Laird, N. (1986). Meta-analysis in clinical "
    "trials. Controlled Clinical "
    "Trials 7, 177-188.",
    "Gneiting & Raftery 2007": "Gneiting, T. & Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and "
    "estimation. Journal of the American Statistical Association 102, 359-378.",
    "Harville & Fenech 1985": "Harville, D. A. & Fenech, A. P. (1985). Confidence intervals for a "
    "variance ratio, or for "
    "heritability, in an unbalanced mixed linear model. Biometrics 41, 137-152.",
    "MacKinnon & Webb 2017": "MacKinnon, J. G. & Webb, M. D. (2017). Wild bootstrap inference for "
    "wildly different cluster "
    "sizes. Journal of Applied Econometrics 32, 233-254.",
    "MacKinnon & Webb 2018": "MacKinnon, J. G. & Webb, M. D. (2018). The wild bootstrap for few (treated) clusters. "
    "Econometrics Journal 21, 114-135.",
    "MacKinnon, Nielsen & Webb 2023": "MacKinnon, J. G., Nielsen, M. Ø. & Webb, M. D. (2023). "
    "Leverage, influence, and the "
    "jackknife in clustered regression models: Reliable inference using summclust. Stata Journal 23, 942-982.",
    "MacKinnon 2026": "MacKinnon, J. G. (2026). When can we trust cluster-robust inference? arXiv 2604.02000.",
    "Mundlak 1978": "Mundlak, Y. (1978). On the pooling of time series and cross section data. "
    "Econometrica 46, 69-85.",
    "Wald 1947": "Wald, A. (1947). A note on regression analysis. Annals of Mathematical Statistics 18, 586-589.",
}
