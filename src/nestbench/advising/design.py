"""What the design and the residuals are, in sentences: each with what it means for the choice, and where that is
from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nestbench.advising import clusters
from nestbench.advising.analysis import Analysis
from nestbench.advising.calibration import LEVEL, Calibration, partial_of
from nestbench.advising.scenarios import CONFOUNDED
from nestbench.sim.counted import plural
from nestbench.sim.observed.batch import Floats

FEW_CLUSTERS = 20.0
"""Effective clusters below which t tests with G - 1 df are looked at with suspicion."""
UNEQUAL, ALIKE = 0.5, 0.2
"""Coefficients of variation of sizes above which schools are called unequal, and below which about equal."""
HEAVY = 3.0
"""Times the mean partial leverage from which on a school is named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact of the design: what it is, what it means, and the source of the rule."""

    name: str
    sentence: str
    meaning: str
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The design of one term.

    Attributes
    ----------
    rows, schools : int
    sizes : tuple of float
        Least, median, largest, coefficient of variation.
    constant : bool
        Whether the term is constant in schools.
    between : float
        Share of the term's variation that is between schools.
    carriers : dict of float to int
        Schools that carry each value of the term.
    effective : float
        Effective number of clusters at the estimated ICC.
    leverage : dict of str to float
        Partial leverage by school.
    shift : (float, float)
        Least and largest change of the coefficient when a school is left out, in its ideal standard errors.
    shifting : str
        The school that changes it most.
    undetermined : int
        Schools without which the coefficient isn't identified.
    findings : tuple of Finding
    """

    rows: int
    schools: int
    sizes: tuple[float, float, float, float]
    constant: bool
    between: float
    carriers: Mapping[float, int]
    effective: float
    leverage: Mapping[str, float]
    shift: tuple[float, float]
    shifting: str
    undetermined: int
    findings: tuple[Finding, ...] = ()

    @property
    def heaviest(self) -> tuple[str, float]:
        """The school of the largest partial leverage, and its share."""
        label = max(self.leverage, key=lambda name: self.leverage[name])
        return label, self.leverage[label]

    @property
    def fewest(self) -> int:
        """Schools that carry the rarest value of a term that is constant in schools and has two; else all."""
        return min(self.carriers.values()) if self.constant and len(self.carriers) == 2 else self.schools


def design_of_term(analysis: Analysis, term: str, found: Calibration) -> Design:
    """Return the design of a term, with its sentences."""
    k, offsets = analysis.position(term), analysis.offsets
    partial, sizes = partial_of(analysis, term), analysis.sizes
    shares = clusters.partial_leverage(partial, offsets)
    moved = _steady(clusters.shifts(analysis.x, k, analysis.residuals, offsets) / found.ideal_se)
    bare = Design(
        rows=len(analysis.residuals),
        schools=analysis.schools,
        sizes=(
            float(sizes.min()),
            float(np.median(sizes)),
            float(sizes.max()),
            float(sizes.std() / sizes.mean()),
        ),
        constant=bool(analysis.constant[k]),
        between=clusters.between_share(analysis.x[k], offsets),
        carriers=clusters.carriers(analysis.x[k], offsets),
        effective=clusters.effective_clusters(partial, offsets, found.icc),
        leverage={label: float(share) for label, share in zip(analysis.labels, shares, strict=True)},
        shift=(float(np.nanmin(moved, initial=0.0)), float(np.nanmax(moved, initial=0.0))),
        shifting=analysis.labels[int(np.argmax(np.nan_to_num(np.abs(moved))))],
        undetermined=int(np.isnan(moved).sum()),
    )
    return Design(
        **{name: getattr(bare, name) for name in Design.__slots__ if name != "findings"},
        findings=(*_of_schools(bare, term), *_of_errors(found, bare, term)),
    )


def _steady(values: Floats) -> Floats:
    """Round to what survives another outcome's rounding errors."""
    return np.asarray(np.round(values, 3))


def _of_schools(design: Design, term: str) -> list[Finding]:
    low, middle, high, cv = design.sizes
    found = [
        Finding(
            "size",
            f"{plural(design.rows, 'student')} in {plural(design.schools, 'school')} of "
            + (
                f"{low:.0f} each."
                if low == high
                else f"{low:.0f} to {high:.0f} (median {middle:g}, cv {cv:.2f})."
            ),
            "Unequal schools make the usual cluster-robust tests reject too often."
            if cv > UNEQUAL
            else "Schools are of about equal size."
            if cv < ALIKE
            else "Schools differ in size, moderately.",
            "Carter, Schnepel & Steigerwald 2017",
        ),
        _of_term(design, term),
    ]
    label, share = design.heaviest
    ratio = share * design.schools
    few = design.effective < FEW_CLUSTERS
    found.append(
        Finding(
            "effective clusters",
            f"{design.effective:,.1f} effective clusters of {design.schools:,} for {term}; school {label} holds "
            f"{100 * share:.{0 if share >= 0.01 else 2}f} % of its information ({ratio:.1f} times the mean).",
            "Few: t tests with as many degrees of freedom as schools less one promise too much; a method that works "
            "them out for this term is needed."
            if few or ratio > HEAVY
            else "Many: t tests with as many degrees of freedom as schools less one are about right.",
            "Carter, Schnepel & Steigerwald 2017; MacKinnon, Nielsen & Webb 2023",
        )
    )
    low_shift, high_shift = design.shift
    lost = (
        f"; without {plural(design.undetermined, 'school')} it can't be estimated"
        if design.undetermined
        else ""
    )
    found.append(
        Finding(
            "leaving a school out",
            f"Leaving one school out moves the coefficient by {low_shift:+.2f} to {high_shift:+.2f} "
            f"standard errors{lost}.",
            f"School {design.shifting} decides: report the result without it too."
            if max(-low_shift, high_shift) > 1
            else "One school decides: report the result without it too."
            if design.undetermined
            else "No single school decides.",
            "MacKinnon, Nielsen & Webb 2023",
        )
    )
    return found


def _of_term(design: Design, term: str) -> Finding:
    if not design.constant:
        return Finding(
            "term",
            f"{term} varies within schools; {100 * design.between:.0f} % of its variation is between them.",
            "Students of one school are compared with each other; schools' own effects drop out of that part.",
        )
    if len(design.carriers) == 2:
        by_value = [f"{count:,} with {value:g}" for value, count in sorted(design.carriers.items())]
        few = design.fewest
        return Finding(
            "term",
            f"{term} is constant in schools: {' and '.join(by_value)}.",
            "One school alone on one side: its effect and the term's can't be told apart without "
            "assuming that all schools "
            "vary alike."
            if few == 1
            else "Few schools on one side: the usual cluster-robust tests reject far too often, by how much see the "
            "simulation."
            if few < 6
            else "It is a comparison of schools: the schools are the sample size.",
            "MacKinnon & Webb 2017; MacKinnon & Webb 2018" if few < 6 else "",
        )
    return Finding(
        "term",
        f"{term} is constant in schools.",
        "It is a comparison of schools: the schools are the sample size.",
    )


def _of_errors(found: Calibration, design: Design, term: str) -> list[Finding]:
    zero, alone = found.icc_low == 0.0, design.rows == design.schools
    said = [
        Finding(
            "ICC",
            "One student in every school: its variance and the students' can't be told apart.",
            "Nor need they be: errors are independent, as without schools. Mixed models can't be fitted.",
        )
        if alone
        else Finding(
            "ICC",
            f"Schools hold {number(found.icc)} of the residual variance ({100 * LEVEL:.0f} % interval "
            f"{number(found.icc_low)} to "
            f"{number(found.icc_high)}).",
            "The data don't rule out 0; a mixed model may then end at the boundary."
            if zero
            else "Schools differ: standard errors as if students were independent are wrong.",
            "exact for normal errors: Wald 1947; Harville & Fenech 1985",
        )
    ]
    if not design.constant:
        said += _of_student_terms(found, term)
    said += [
        Finding(
            "spread along the term",
            _spread_words(found, term),
            "A scenario with this spread is among those simulated."
            if found.residual_spread.shown or found.school_spread.shown
            else f"School variances up to {found.school_most:g} times as large are a precaution."
            if found.may_vary_more
            else "No scenario with unequal spread is simulated for it.",
        ),
        Finding(
            "spread by school",
            f"Residual variances {'differ' if found.between.shown else 'are not shown to differ'} between schools "
            f"({p_words(found.between.p_value)}).",
            "A scenario in which they do is among those simulated." if found.between.shown else "",
            "Cochran 1954; DerSimonian & Laird 1986, on log variances",
        ),
        Finding(
            "shape",
            f"Residuals within schools: skewness {found.skewness:+.2f}, excess kurtosis {found.kurtosis:+.2f}.",
            "Heavy tails are among the scenarios in any case.",
        ),
    ]
    return said


def _of_student_terms(found: Calibration, term: str) -> list[Finding]:
    contrast = found.contrast
    differs, law = contrast.p_value < 0.05, contrast.p_value < CONFOUNDED
    return [
        Finding(
            "within and between",
            f"Between schools {term} acts "
            f"{'otherwise than' if differs else 'no otherwise, as far as shown, than'} within "
            f"({p_words(contrast.p_value)}, CR2).",
            "In one of the scenarios it does: the effect within schools is then the truth, and methods "
            "that mix both are biased."
            if law
            else "That it does is a precaution: methods that mix both would be biased.",
            "Mundlak 1978",
        ),
        Finding(
            "slopes",
            _slope_words(found),
            f"A scenario with slopes of SD {number(found.slope_high)} is simulated: where they differ a random "
            "intercept alone is too sure."
            if found.slope_high > 0
            else "No scenario with random slopes is simulated.",
            "exact for normal errors: Wald 1947",
        ),
    ]


def _slope_words(found: Calibration) -> str:
    if np.isnan(found.slope_sd):
        return "Too few students in schools to tell how far its effect varies over them."
    return (
        f"SD of its effect over schools: {number(found.slope_sd)} ({100 * LEVEL:.0f} % interval "
        f"{number(found.slope_low)} to {number(found.slope_high)}; {p_words(found.slope_p)} against none)."
    )


def _spread_words(found: Calibration, term: str) -> str:
    one = found.residual_spread
    text = f"Residual variance times {number(float(np.exp(one.value)))} per SD of {term} ({p_words(one.p_value)})"
    if np.isfinite(found.school_spread.value):
        ratio = number(float(np.exp(found.school_spread.value)))
        text += f", school variance times {ratio} ({p_words(found.school_spread.p_value)})"
    return (
        text + "."
        if np.isfinite(one.value)
        else "Schools are too few or too small to tell whether residual variances go with the term."
    )


def number(value: float) -> str:
    """Return a number of two or three figures."""
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else "without bound"
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.3g}"


def p_words(value: float) -> str:
    """Return a p-value in words."""
    if not np.isfinite(value):
        return "can't be tested"
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)


def primitives(design: Design) -> dict[str, Any]:
    """Return a design as JSON has it."""
    label, share = design.heaviest
    return {
        "rows": design.rows,
        "schools": design.schools,
        "sizes": dict(zip(("min", "median", "max", "cv"), design.sizes, strict=True)),
        "constant_in_schools": design.constant,
        "between_share": design.between,
        "schools_with_value": {f"{value:g}": count for value, count in design.carriers.items()},
        "effective_clusters": round(design.effective, 3),
        "largest_leverage": {"school": label, "share": share},
        "leave_one_out": {
            "least": design.shift[0],
            "largest": design.shift[1],
            "school": design.shifting,
            "not_identified": design.undetermined,
        },
        "findings": [
            {"name": f.name, "sentence": f.sentence, "meaning": f.meaning, "source": f.source}
            for f in design.findings
        ],
    }
