"""The smallest trials that reach a target: exact whole numbers, by search over the closed form.

Schools, students and treated schools are searched by doubling and bisection, since more of each never hurts; what can't
be reached is refused with the limit and with what would reach it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nestbench.sim.errors import InvalidInput
from nestbench.sim.theory.planning import answers
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.schools import SchoolsRandomised
from nestbench.sim.theory.planning.targets import Target
from nestbench.sim.theory.planning.trial import BlockedTrial, SchoolTrial, Trial

MOST = 10_000_000
"""Schools, or students a school, beyond which an answer is no plan."""


def reaches(trial: Trial, target: Target) -> bool:
    """Whether a trial reaches a target; one without degrees of freedom doesn't."""
    return answers.has_df(trial) and target.excess(trial) >= 0.0


def in_whole_schools(trial: Any) -> Any:
    """Return the trial with as many schools treated as a layout would treat: the share rounded to whole schools, at
    least one in each arm. Trials that treat within schools or blocks are returned as they are."""
    if not isinstance(trial, SchoolsRandomised):
        return trial
    treated = min(max(round(trial.treated_share * trial.schools), 1), trial.schools - 1)
    return replace(trial, treated_share=treated / trial.schools)


def with_schools(trial: Any, schools: int) -> Any:
    """Return the trial with another number of schools, whole ones treated; see `in_whole_schools`."""
    return in_whole_schools(replace(trial, schools=schools))


def required_schools(trial: SchoolTrial, target: Target) -> int:
    """Return the fewest schools, in both arms together, that reach the target; the trial's own number doesn't matter.

    Raises
    ------
    InvalidInput
        No number of schools reaches it.
    """
    step = trial.block_size if isinstance(trial, SchoolsInBlocks) else 1
    # Two schools at least, one for each arm.
    first = math.ceil(2 / step)
    found = least(lambda k: reaches(with_schools(trial, step * k), target), first, MOST // step)
    if found is None:
        raise InvalidInput(
            f"expected a target that schools can reach, got {target.describe()}: not even {MOST:,} schools do; "
            "check the effect, and the variance of effects"
        )
    return step * found


def least_schools(trial: SchoolTrial, target: Target) -> int:
    """Return the fewest schools with which some number of students reaches the target: the limit that schools set.

    Raises
    ------
    InvalidInput
        No number of schools reaches it.
    """
    return required_schools(answers.with_any_students(trial), target)  # type: ignore[arg-type]


def required_students(trial: Trial, target: Target) -> int:
    """Return the fewest students a school that reach the target with the trial's schools.

    Raises
    ------
    InvalidInput
        Schools limit it: says what they allow with any number of students, and how many schools would do.
    """
    found = least(lambda n: reaches(replace(trial, students=float(n)), target), 1, MOST)
    if found is None:
        raise InvalidInput(_out_of_reach(trial, target))
    return found


def required_treated(trial: SchoolsRandomised, target: Target) -> int:
    """Return the fewest treated schools, up to half of the trial's schools, that reach the target.

    Raises
    ------
    InvalidInput
        Half of the schools don't: says how many schools would do.
    """
    # Beyond a half the other arm is the smaller one, and more treated schools make it worse.
    half = trial.schools // 2
    found = least(lambda t: reaches(replace(trial, treated_share=t / trial.schools), target), 1, half)
    if found is None:
        raise InvalidInput(_out_of_reach(replace(trial, treated_share=half / trial.schools), target))
    return found


def required_share(trial: Trial, target: Target) -> float:
    """Return the smallest treated share, up to one half, that reaches the target.

    Raises
    ------
    InvalidInput
        Not even one half does.
    """

    def short(share: float) -> bool:
        return not reaches(replace(trial, treated_share=share), target)

    if short(0.5):
        raise InvalidInput(_out_of_reach(replace(trial, treated_share=0.5), target))
    return _root(short, 1e-9, 0.5)


def tolerable_icc(trial: SchoolTrial, target: Target) -> float:
    """Return the largest intraclass correlation with which the trial still reaches the target.

    Where the variance falls with the ICC (students randomised within schools, covariates that explain nearly all of the
    schools' variance) a target that is reached at all is reached up to ICCs near 1.

    Raises
    ------
    InvalidInput
        Not even an ICC of 0 reaches it.
    """
    others = getattr(trial, "class_icc", 0.0) + getattr(trial, "block_icc", 0.0)
    # Not all of it: a trial whose shares leave nothing to students is refused.
    highest = (1.0 - others) * (1.0 - 1e-9)

    def short(icc: float) -> bool:
        return not reaches(replace(trial, icc=icc), target)

    if not short(highest):
        return highest
    if short(0.0):
        raise InvalidInput(f"{_out_of_reach(replace(trial, icc=0.0), target)}, even with an ICC of 0")
    return _root(lambda icc: not short(icc), 0.0, highest)


def least(wanted: Callable[[int], bool], first: int, most: int) -> int | None:
    """Return the least whole number from `first` to `most` that is wanted, None if none is.

    Where one is wanted all larger ones must be, too. Doubles until one is, then bisects.

    Parameters
    ----------
    wanted : callable
    first, most : int
        Both ends belong to the search.
    """
    low, high = first - 1, first
    while not wanted(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wanted(middle) else (middle, high)
    return high


def _root(true_below: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a statement that is true at `low` and false at `high` stops being true."""
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if true_below(middle) else (low, middle)
    return low if true_below(low) else high


def _out_of_reach(trial: Trial, target: Target) -> str:
    """Say what limits a trial, and what would reach the target."""
    told = f"expected a target in reach, got {target.describe()}"
    if not isinstance(trial, SchoolTrial):
        return f"{told}: not even {MOST:,} students do; check the effect"
    try:
        enough = required_schools(trial, target)
        fewest = least_schools(trial, target)
    except InvalidInput:
        return f"{told}: no number of schools or students reaches it; check the effect and the variance of effects"
    limit = answers.with_any_students(trial)
    if reaches(limit, target):
        some = required_students(trial, target)
        would = f"{trial.schools} schools would need {some} students each"
        return f"{told}: {would}, or {enough} schools {trial.students:g}"
    most = (
        f"{_limit(limit, target)} with any number of students"
        if answers.has_df(limit)
        else "no degrees of freedom"
    )
    students = "" if math.isinf(trial.students) else f" ({enough} with {trial.students:g} students a school)"
    kind = "blocks of schools" if isinstance(trial, BlockedTrial) else "schools"
    return (
        f"{told}: {trial.schools} schools allow {most}. Schools limit it, not students: at least {fewest} are "
        f"needed{students}; add {kind}, or covariates that explain differences between schools"
    )


def _limit(limit: Trial, target: Target) -> str:
    power = getattr(target, "power", None)
    if power is not None:
        return f"power {max(power + target.excess(limit), 0.0):.2f} at most"
    return (
        f"a half-width of {answers.half_width(limit, level=getattr(target, 'level', 0.95)):.3g} SD at least"
    )
