"""A paragraph for a grant or a preregistration: assumptions, analysis, number, and how it was found."""

from __future__ import annotations

import math

import nestbench
from nestbench.estimators.estimator import Estimator
from nestbench.sim.observed.model import alpha_of
from nestbench.sim.random_intercept.law import RandomIntercept
from nestbench.sizing.answer import MethodAnswer, Sizing
from nestbench.sizing.question import (
    EFFECT,
    HALF_WIDTH,
    ICC,
    N_SCHOOLS,
    N_STUDENTS,
    N_TREATED,
    Planned,
    Question,
)
from nestbench.sizing.sentences import caution, number

BRADLEY = "Bradley, J. V. (1978). Robustness? British Journal of Mathematical and Statistical Psychology 31, 144-152."
REFERENCES = {
    "Raudenbush 1997": "Raudenbush, S. W. (1997). Statistical analysis and optimal design for cluster randomized "
    "trials. Psychological Methods 2, 173-185.",
    "Raudenbush & Liu 2000": "Raudenbush, S. W. & Liu, X. (2000). Statistical power and optimal design for multisite "
    "randomized trials. Psychological Methods 5, 199-213.",
    "Konstantopoulos 2008": "Konstantopoulos, S. (2008). The power of the test for treatment effects in three-level "
    "cluster randomized designs. Journal of Research on Educational Effectiveness 1, 66-88.",
    "Dong & Maynard 2013": "Dong, N. & Maynard, R. (2013). PowerUp!: A tool for calculating minimum detectable effect "
    "sizes and minimum required sample sizes for experimental and quasi-experimental design studies. Journal of "
    "Research on Educational Effectiveness 6, 24-67.",
}
METHODS = {
    "Bell & McCaffrey 2002": "Bell, R. M. & McCaffrey, D. F. (2002). Bias reduction in standard errors for linear "
    "regression with multi-stage samples. Survey Methodology 28, 169-181.",
    "Cameron & Miller 2015": "Cameron, A. C. & Miller, D. L. (2015). A practitioner's guide to cluster-robust "
    "inference. Journal of Human Resources 50, 317-372.",
    "Donner & Klar 2000": "Donner, A. & Klar, N. (2000). Design and analysis of cluster randomization trials in health "
    "research. Arnold.",
    "Giesbrecht & Burns 1985": "Giesbrecht, F. G. & Burns, J. C. (1985). Two-stage analysis based on a mixed model: "
    "large-sample asymptotic theory and small-sample simulation results. Biometrics 41, 477-486.",
    "Halekoh & Hojsgaard 2014": "Halekoh, U. & Hojsgaard, S. (2014). A Kenward-Roger approximation and parametric "
    "bootstrap methods for tests in linear mixed models: the R package pbkrtest. Journal of Statistical Software "
    "59(9), 1-32.",
    "Imbens & Kolesar 2016": "Imbens, G. W. & Kolesar, M. (2016). Robust standard errors in small samples: some "
    "practical advice. Review of Economics and Statistics 98, 701-712.",
    "Kenward & Roger 1997": "Kenward, M. G. & Roger, J. H. (1997). Small sample inference for fixed effects from "
    "restricted maximum likelihood. Biometrics 53, 983-997.",
    "Kuznetsova et al. 2017": "Kuznetsova, A., Brockhoff, P. B. & Christensen, R. H. B. (2017). lmerTest package: "
    "tests in linear mixed effects models. Journal of Statistical Software 82(13), 1-26.",
    "Pustejovsky & Tipton 2018": "Pustejovsky, J. E. & Tipton, E. (2018). Small-sample methods for cluster-robust "
    "variance estimation and hypothesis testing in fixed effects models. Journal of Business & Economic Statistics 36, "
    "672-683.",
}
"""Of the methods asked unless others are named, by how their sources name them; of others the paragraph names source
and year."""


def paragraph(sizing: Sizing, price: str = "") -> str:
    """Return the paragraph; without an answer, what was tried and that nothing held.

    Parameters
    ----------
    sizing : Sizing
    price : str
        What the design costs, in a sentence.
    """
    answer = sizing.answer
    method = None if answer is None else method_of(sizing, answer)
    parts = [assumptions(sizing.question), aim(sizing.question), *_found(sizing, answer, method), price]
    version = nestbench.__version__
    parts.append(
        f"Simulated with nestbench {version} (seed {sizing.seed}); its file runs the simulation again."
    )
    return " ".join(filter(None, parts))


def assumptions(question: Question) -> str:
    """Return what is assumed of the trial."""
    cell = question.cell(None)
    layout, law = cell.layout, cell.population
    share = f"{100 * layout.treated_part:g} %"
    who = {
        "students": f"{share} of the students of every school are treated",
        "pairs": "one school of each pair, matched on a covariate, is treated at random",
        "blocks": f"{share} of each block of {layout.block_size} schools, alike in a covariate, are treated at random",
    }.get(layout.assignment, f"{share} of the schools are treated as a whole")
    if question.unknown == N_TREATED:
        who = "some of the schools are treated as a whole"
    sizes = "" if question.unknown == N_STUDENTS else f" of {layout.mean_size:g} students"
    if layout.size_cv and sizes:
        sizes += f" on average (coefficient of variation {layout.size_cv:g})"
    classes = f" in {layout.classes} classes each" if layout.classes else ""
    schools = "schools" if question.unknown == N_SCHOOLS else f"{layout.schools} schools"
    text = f"In {schools}{sizes}{classes}, {who}."
    assumed = variances(question) if isinstance(law, RandomIntercept) else []
    return f"{text} We assume {'; '.join(assumed)}." if assumed else text


def variances(question: Question) -> list[str]:
    """Return what is assumed of the variances, dropping out and effects of a random-intercept population."""
    cell = question.cell(None)
    law: RandomIntercept = cell.population  # type: ignore[assignment]
    found = []
    trial = question.source.trial if isinstance(question.source, Planned) else None
    icc = law.icc if trial is None else trial.icc
    given = " given the covariates" if trial is None and len(cell.found.terms) > 2 else ""
    if question.unknown != ICC:
        spread = f" that is known to an SD of {question.icc_spread:.3g} (beta)" if question.icc_spread else ""
        found.append(f"an intraclass correlation of {icc:.3g}{given}{spread}")
    if law.class_icc:
        share = law.class_icc if trial is None else trial.class_icc
        found.append(f"classes with {100 * share:.3g} % of the variance")
    if trial is not None:
        levels = {"schools'": trial.r2_school, "classes'": trial.r2_class, "students'": trial.r2_student}
        found += [
            f"covariates that explain {100 * r2:g} % of the {of} variance" for of, r2 in levels.items() if r2
        ]
    if law.treatment_sd:
        found.append(f"effects that vary over schools with an SD of {law.treatment_sd:g}")
    if law.missing_schools or law.missing:
        lost = [f"{law.missing_schools} schools" if law.missing_schools else ""]
        lost.append(f"{100 * law.missing:g} % of the students" if law.missing else "")
        found.append(f"that {' and '.join(filter(None, lost))} drop out at random")
    return found


def aim(question: Question) -> str:
    """Return what the trial is to reach."""
    alpha = f"{alpha_of(question.level):.3g}"
    if question.target == HALF_WIDTH:
        level, width = f"{100 * question.level:g} %", f"{question.goal:g}{unit(question)}"
        return f"The {level} interval of the effect is to have a half-width of {width} on average."
    if question.unknown == EFFECT:
        power = f"{100 * question.goal:g} % power"
        return f"We ask which effect the trial finds with {power} in two-sided tests at alpha = {alpha}."
    believed = ""
    if question.effect_spread:
        believed = f", known to an SD of {question.effect_spread:g} (normal),"
    power = f"{100 * question.goal:g} % power"
    if question.effect_spread or question.icc_spread:
        power += " on average over what is believed (assurance)"
    return (
        f"The trial is to find an effect of {question.effect:g}{unit(question)}{believed} with {power} in two-sided "
        f"tests at alpha = {alpha}."
    )


def unit(question: Question) -> str:
    """Return what effects are in units of, after a blank: SDs of the outcome, where a trial says so."""
    source = question.source
    return " SD" if isinstance(source, Planned) and source.trial.sd == 1.0 else ""


def _found(sizing: Sizing, answer: MethodAnswer | None, method: Estimator | None) -> list[str]:
    if answer is None or method is None:
        tried = ", ".join(a.method for a in sizing.answers)
        return [f"Of the methods tried ({tried}) none both reached this and kept its type I error."]
    question = sizing.question
    cell = question.cell(None)
    parts = [
        f"The analysis is {cell.model.formula} by {method.name} ({method.info.summary}; {method.info.source}).",
        f"{_number(question, answer)} (95 % interval of Monte Carlo error "
        f"{number(answer.low, question.unknown)} to {number(answer.high, question.unknown)}).",
        _simulated(answer),
        caution(sizing),
    ]
    bad = [a for a in sizing.answers if not a.valid and a.reached and math.isfinite(a.size)]
    if bad:
        worst = max(bad, key=lambda a: a.size)
        parts.append(
            f"{worst.method} would have promised {promise(question, worst)}, with a type I error of "
            f"{100 * worst.size:.1f} % there: it was not considered."
        )
    closed = sizing.closed
    if closed is not None and math.isfinite(closed.value):
        value = number(closed.value, question.unknown)
        parts.append(f"The closed form ({closed.name}; {closed.source}) gives {value}.")
    return parts


def _number(question: Question, answer: MethodAnswer) -> str:
    value = number(answer.value, question.unknown)
    if question.unknown == N_SCHOOLS:
        layout = question.cell(round(answer.value)).layout
        treated = f", {layout.treated_count} of them treated" if layout.treated_count else ""
        return f"It needs {value} schools{treated}"
    return {
        N_STUDENTS: f"It needs {value} students a school",
        N_TREATED: f"It needs {value} treated schools",
        ICC: f"This is reached up to an intraclass correlation of {value}",
        EFFECT: f"The smallest effect found is {value}{unit(question)}",
    }[question.unknown]


def promise(question: Question, answer: MethodAnswer) -> str:
    """Return a method's answer in words: ``75 schools``."""
    value = number(answer.value, question.unknown)
    return {
        N_SCHOOLS: f"{value} schools",
        N_STUDENTS: f"{value} students a school",
        N_TREATED: f"{value} treated schools",
        ICC: f"an intraclass correlation up to {value}",
        EFFECT: f"an effect of {value}{unit(question)}",
    }[question.unknown]


def _simulated(answer: MethodAnswer) -> str:
    """Return what simulation says of the answer's design."""
    sets = f"{answer.n:,}".replace(",", " ")
    size = f"the type I error {100 * answer.size:.1f} % ({100 * answer.size_mcse:.1f})"
    if math.isnan(answer.power):
        return f"In {sets} simulated data sets of that design {size} (Monte Carlo standard error)."
    return (
        f"In {sets} simulated data sets of that design power was {100 * answer.power:.1f} % (Monte Carlo standard "
        f"error {100 * answer.power_mcse:.1f}) and {size}."
    )


def method_of(sizing: Sizing, answer: MethodAnswer) -> Estimator:
    """Return the method of an answer."""
    return next(m for m in sizing.question.experiment(None).estimators if m.label == answer.method)


def sources_of(sizing: Sizing) -> list[str]:
    """Return the references of the paragraph and the page: Bradley's band, the formula's, those of the method named."""
    answer, formula = sizing.answer, "" if sizing.closed is None else sizing.closed.source
    method = "" if answer is None else method_of(sizing, answer).info.source
    by_formula = [text for key, text in REFERENCES.items() if key in formula]
    return [BRADLEY, *by_formula, *(text for key, text in METHODS.items() if key in method)]
