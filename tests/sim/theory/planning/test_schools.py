"""Covariates of schools that are drawn, against regressions on drawn ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.sim.theory.planning import answers, t_test
from nestbench.sim.theory.planning.schools import SchoolsRandomised


def test_covariates_that_are_drawn_cost_what_their_chance_imbalance_does() -> None:
    """Power, effect and width averaged over 20 000 regressions of treatment on drawn covariates: 5 errors."""
    schools, g, draws = 9, 2, 20_000
    trial = SchoolsRandomised(
        schools=schools, students=20, icc=0.2, treated_share=4 / 9, school_covariates=g, covariates_drawn=True
    )
    treated = (np.arange(schools) < 4) - 4 / 9
    x = np.random.default_rng(3).standard_normal((draws, schools, g))
    x -= x.mean(axis=1, keepdims=True)
    explained = np.einsum("rsg,s->rg", x, treated)
    inner = np.linalg.solve(np.einsum("rsg,rsh->rgh", x, x), explained[..., None])[..., 0]
    errors = np.sqrt((0.2 + 0.8 / 20) / (treated @ treated - (explained * inner).sum(axis=1)))
    effect = answers.smallest_effect(trial)
    assert answers.power(trial, effect) == pytest.approx(0.8, abs=1e-9)
    powers = t_test.power_at(effect, errors, schools - 2.0 - g)
    assert powers.mean() == pytest.approx(0.8, abs=5 * powers.std() / np.sqrt(draws))
    widths = t_test.half_width(errors, schools - 2.0 - g)
    assert answers.half_width(trial) == pytest.approx(widths.mean(), abs=5 * widths.std() / np.sqrt(draws))
    published = answers.smallest_effect(replace(trial, covariates_drawn=False))
    assert effect > 1.1 * published
