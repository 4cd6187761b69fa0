"""Covariates of classes and students, related to treatment by chance through school means: limits, and drawn ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from nestbench.sim.theory.planning import answers, chance
from nestbench.sim.theory.planning.blocks import SchoolsInBlocks
from nestbench.sim.theory.planning.classes import SchoolsWithClasses
from nestbench.sim.theory.planning.schools import SchoolsRandomised

CLASSES = SchoolsWithClasses(
    schools=10, classes=3, students=15, icc=0.1, class_icc=0.15, r2_class=0.5, covariates_drawn=True
)


def test_one_class_or_student_a_school_is_the_school() -> None:
    """Their covariates are covariates of schools; with ever more students none is left between schools."""
    one = replace(CLASSES, classes=1, class_covariates=1)
    assert one.covariates == pytest.approx(1.0)
    assert one.df == pytest.approx(replace(CLASSES, school_covariates=1).df)
    alone = SchoolsRandomised(schools=10, students=1, icc=0.1, student_covariates=2, covariates_drawn=True)
    assert alone.covariates == pytest.approx(2.0)
    same = replace(alone, student_covariates=0, school_covariates=2)
    assert answers.smallest_effect(alone) == pytest.approx(answers.smallest_effect(same), rel=1e-9)
    assert answers.with_any_students(alone).covariates == 0.0  # type: ignore[attr-defined]
    assert 0.0 < replace(alone, students=20).covariates < 0.2
    assert replace(alone, covariates_drawn=False).df == 8.0


def test_pairs_pay_more_for_a_covariate_of_students() -> None:
    """Of as many schools, pairs have half the degrees of freedom; where effects vary over blocks nothing is said."""
    pairs = SchoolsInBlocks(
        schools=10, students=10, icc=0.1, effects="constant", student_covariates=1, covariates_drawn=True
    )
    schools = SchoolsRandomised(schools=10, students=10, icc=0.1, student_covariates=1, covariates_drawn=True)
    assert pairs.covariates == pytest.approx(schools.covariates)
    cost = [float(t.efficiency.weights @ (1.0 / t.efficiency.values)) for t in (pairs, schools)]
    assert cost[0] > cost[1] > 1.0
    assert replace(pairs, effects="random").covariates == 0.0


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_moments_of_what_is_left(share: float) -> None:
    """E 1 / B = (d - 1 + g) / (d - 1), by quadrature."""
    found = chance.efficiency(7.0, share)
    assert float(found.weights @ (1.0 / found.values)) == pytest.approx((6.0 + share) / 6.0, rel=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_variance_is_that_of_drawn_covariates(classes: int) -> None:
    """GLS with the true variances, 4 000 draws of a covariate of classes: 5 errors, and a third of what it costs."""
    trial = replace(CLASSES, classes=classes, students=5 * classes, class_covariates=1)
    rest = (1.0 - trial.icc - trial.class_icc) / 5.0
    own = trial.class_icc * (1.0 - trial.r2_class) + rest
    block = np.full((classes, classes), trial.icc) + own * np.eye(classes)
    weight = np.kron(np.eye(trial.schools), np.linalg.inv(block))
    treated = np.repeat(np.arange(trial.schools) % 2, classes).astype(float)
    fixed = np.column_stack([np.ones_like(treated), treated])
    rng, found = np.random.default_rng(3), []
    for _ in range(4_000):
        x = np.column_stack([fixed, rng.standard_normal(len(treated))])
        found.append(np.linalg.inv(x.T @ weight @ x)[1, 1])
    ratio = np.array(found) / trial.variance
    spread = trial.efficiency
    said = float(spread.weights @ (1.0 / spread.values))
    assert said > 1.01
    assert said == pytest.approx(
        ratio.mean(), abs=5 * ratio.std() / math.sqrt(len(ratio)) + 0.3 * (said - 1.0)
    )
