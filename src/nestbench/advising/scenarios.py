"""Scenarios on the analyst's own design: as estimated, at the ends of what the data allow, and with what they show."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nestbench.advising.calibration import LEVEL, Calibration, rounded
from nestbench.advising.spreads import SHOWN
from nestbench.sim.errors import InvalidInput

MEANS = "school_means"
"""Column of the term's school means in the design's file, where a scenario has an effect of them."""
SPREADS = (
    "slope_sd",
    "slope_correlation",
    "residual_cv",
    "residual_spread",
    "school_spread",
    "class_icc",
)
CONFOUNDED = 0.25
"""p-value of Mundlak's contrast below which a scenario has it: methods that are right all the same lose little."""
SURE = 0.02
"""p-value of a spread from which on the scenario that has it is a precaution."""
PREMIUM = 1.05
"""How many times as wide as the narrowest valid method one may be that holds under the precautions too."""
OWN = (
    *SPREADS,
    "icc",
    "total_sd",
    "residual_shape",
    "school_errors",
    "slope",
    "spread",
    "subgroup",
    "effects",
)
"""What a scenario of the user's may set."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario: its name, why it is there, and what of `fixed-design` it sets.

    What has a `precaution` is neither shown by the data nor ruled out, which this says in words: the choice rests on it
    where that costs little (`validity`).
    """

    name: str
    why: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    precaution: str = ""


def scenarios_of(found: Calibration, term: str, subgroup: str | None) -> list[Scenario]:
    """Return the scenarios for one term; two with the same parameters are one."""
    base: dict[str, Any] = {"icc": found.icc, "total_sd": found.total_sd}
    if found.class_icc and subgroup is not None:
        base |= {"class_icc": found.class_icc, "subgroup": subgroup}
    ends = f"end of the {100 * LEVEL:.0f} % interval of the ICC"
    laws = [
        Scenario("as estimated", "variances of the mixed model by REML", base),
        Scenario("low ICC", f"lower {ends}", base | {"icc": found.icc_low}),
        Scenario("high ICC", f"upper {ends}", base | {"icc": min(found.icc_high, most_icc(found))}),
        Scenario(
            "heavy tails",
            "shape of the residuals; school effects t(5), which few schools can't rule out",
            base | {"residual_shape": shape_of(found), "school_errors": "t(5)"},
        ),
        *_shown(found, base, term),
    ]
    # By their text, for parameters may hold tables; the first name stands.
    unique: dict[str, Scenario] = {}
    for law in laws:
        unique.setdefault(repr(sorted(law.parameters.items())), law)
    return list(unique.values())


def _shown(found: Calibration, base: Mapping[str, Any], term: str) -> list[Scenario]:
    """Return the scenarios with what the data show, or can't tell from nothing."""
    laws = []
    if found.slope_high > 0:
        laws.append(Scenario("random slope", slope_words(found, term), with_slope(found, base, term)))
    arms = {"residual_spread": found.residual_spread, "school_spread": found.school_spread}
    shown = {name: one.value for name, one in arms.items() if math.isfinite(one.value)}
    # Where one variance goes with the term, the other may well do so.
    if any(one.shown for one in arms.values()):
        laws.append(_unequal(base, term, shown, min(one.p_value for one in arms.values() if one.shown)))
    if found.may_vary_more and found.icc_high > 0:
        laws.append(_far(found, base, term, shown))
    if found.between.shown and found.between.value > 0:
        why = f"residual variances differ between schools (p = {found.between.p_value:.2g})"
        laws.append(Scenario("spread by school", why, {**base, "residual_cv": found.between.value}))
    if abs(found.contrast_far) > 0:
        laws.append(_confounded(found, base, term))
    return laws


def _unequal(base: Mapping[str, Any], term: str, shown: Mapping[str, float], p_value: float) -> Scenario:
    """Return the scenario with the spread that the data show, a precaution where they hardly do: a ratio that is just
    large enough to be seen in few schools is an overestimate, and one of two tests sees one in 19 % of data sets that
    have none."""
    may = f"variances may go with {term} (p = {p_value:.2g})"
    why = may.replace("may go", "go") if p_value < SURE else may
    return Scenario("unequal spread", why, {**base, "spread": term, **shown}, "" if p_value < SURE else may)


def _confounded(found: Calibration, base: Mapping[str, Any], term: str) -> Scenario:
    """Return the scenario in which a term acts otherwise between schools than within, as far as the data allow."""
    far = f"p = {found.contrast.p_value:.2g}; further end of the {100 * LEVEL:.0f} % interval"
    may = f"{term} may act otherwise between schools than within"
    shown = found.contrast.p_value < CONFOUNDED
    return Scenario(
        "confounded" if shown else "confounding not ruled out",
        f"{may} ({far}): the effect within counts",
        {**base, "effects": {MEANS: found.contrast_far}},
        "" if shown else may,
    )


def _far(found: Calibration, base: Mapping[str, Any], term: str, shown: Mapping[str, float]) -> Scenario:
    """Return the scenario in which schools of the rarer value vary as much more than the others as data allow."""
    end = f"end of the {100 * LEVEL:.0f} % interval"
    may = f"schools with the rarer value of {term} may vary up to {found.school_most:g} times as much as the others"
    # Of schools that don't vary at all none varies more.
    spread = {
        **shown,
        "school_spread": found.school_far,
        "icc": found.icc or min(found.icc_high, most_icc(found)),
    }
    return Scenario("spread not ruled out", f"{may}: {end}", {**base, "spread": term, **spread}, may)


def most_icc(found: Calibration) -> float:
    """Return the largest ICC that leaves something to the students beside the classes."""
    return rounded(0.99 - found.class_icc)


def slope_words(found: Calibration, term: str) -> str:
    """Return why there is a scenario with a random slope."""
    if math.isnan(found.slope_sd):
        return f"the effect of {term} may vary over schools: the data leave no degrees of freedom to tell"
    return f"the effect of {term} may vary over schools (upper end of the {100 * LEVEL:.0f} % interval of its SD)"


def with_slope(found: Calibration, base: Mapping[str, Any], term: str) -> dict[str, Any]:
    """Return the parameters of slopes at the upper end of their interval, with school effects as estimated and to
    students what the slopes leave them: the estimated residual variance has that of the slopes in it."""
    schools, classes = found.icc * found.total_sd**2, found.class_icc * found.total_sd**2
    total = schools + classes + found.slope_rest**2
    shares = {"icc": schools / total} | ({"class_icc": classes / total} if "class_icc" in base else {})
    return {
        **base,
        **{name: rounded(share) for name, share in shares.items()},
        "total_sd": rounded(math.sqrt(total)),
        "slope": term,
        "slope_sd": found.slope_high,
    }


def shape_of(found: Calibration) -> str:
    """Return the shape of errors whose skewness, or excess kurtosis, is that of the residuals; t(5) at least."""
    # The skewness of chi2(d) is sqrt(8 / d), the excess kurtosis of t(d) is 6 / (d - 4).
    if abs(found.skewness) > 0.8:
        return f"chi2({rounded(max(8.0 / found.skewness**2, 0.5), 2):g})"
    if math.isfinite(found.kurtosis) and found.kurtosis > 6.0:
        return f"t({rounded(4.0 + 6.0 / found.kurtosis, 2):g})"
    return "t(5)"


def needs_means(laws: Sequence[Scenario]) -> bool:
    """Whether a scenario has an effect of the term's school means."""
    return any(MEANS in law.parameters.get("effects", {}) for law in laws)


def read_scenarios(path: Path, base: Mapping[str, Any]) -> list[Scenario]:
    """Return the user's own scenarios: a TOML file of ``[[scenario]]`` tables, each a name and what differs from the
    estimates.

    Raises
    ------
    InvalidInput
        The file can't be read, or sets something that isn't known.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"expected --scenario to be a TOML file, got '{path}' ({error})") from error
    tables = document.get("scenario")
    if not isinstance(tables, list) or not tables or set(document) != {"scenario"}:
        raise InvalidInput(
            f"expected [[scenario]] tables in {path}, each with a name, got {', '.join(document) or 'none'}; "
            'e.g. [[scenario]] then name = "strong" and icc = 0.3'
        )
    return [_own(table, number, base, path) for number, table in enumerate(tables, 1)]


def _own(table: Any, number: int, base: Mapping[str, Any], path: Path) -> Scenario:
    if not isinstance(table, Mapping):
        raise InvalidInput(f"expected [[scenario]] number {number} of {path} to be a table, got {table!r}")
    unknown = [key for key in table if key not in (*OWN, "name")]
    if unknown:
        raise InvalidInput(
            f"expected {', '.join(OWN)} in [[scenario]] of {path}, got '{unknown[0]}'; leave it out"
        )
    changed = {key: value for key, value in table.items() if key != "name"}
    return Scenario(str(table.get("name", f"own {number}")), "the analyst's own", {**base, **changed})


def shown_rule() -> str:
    """Return in words when a scenario is added."""
    interval = f"{100 * LEVEL:.0f} % interval"
    return (
        f"Scenarios with unequal spread are added where the data show it (p < {SHOWN:g}), one with a random slope at "
        f"the upper end of the {interval} of its SD unless that is 0, one with confounding at the further end of the "
        f"{interval} of Mundlak's contrast. Precautions are unequal spread with p >= {SURE:g}, confounding where that "
        f"contrast has p >= {CONFOUNDED:g}, and that schools of the rarer value vary more than the others, as much as "
        "the interval of the ratio allows: the choice rests on as many of them as a method guards against that is at "
        f"most {PREMIUM:g} times as wide as the narrowest valid one. Where one leaves no method that is right with it "
        "and without it, none is named unless it is assumed away."
    )
