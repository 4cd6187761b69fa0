"""Spreads that depend on a column: residuals in proportion to age, schools and slopes by resources.

Statistical checks as in the contract of laws: 4.9 standard errors (false alarm 1e-6), fixed seeds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nestbench.sim.cells.cell import Cell
from nestbench.sim.observed.model import Model
from tests.sim.random_intercept.cases import CASES, by_replication, close, column, draw, errors


@pytest.mark.parametrize(
    ("case", "w"), [("residuals in proportion", 1.0), ("residuals in part in proportion", 0.4)]
)
def test_residual_variance_in_proportion_to_squared_age(case: str, w: float) -> None:
    """About the school's mean error, E e^2 = 3.2 (1 - w + w z^2): its moments with z^2, and 0 where z is 0 and w 1."""
    population, layout = CASES[case]
    batch = draw((replace(population, icc=0.0), layout), range(2000))
    e, z = errors(population, batch), (column(batch, "age") - 3.0) / population.age_sd
    close(by_replication(batch, e**2), 4.0)
    close(by_replication(batch, (e**2 - 4.0 * (1 - w + w * z * z)) * z**2), 0.0)
    close(by_replication(batch, (e**2 - 4.0 * (1 - w + w * z * z)) * (np.abs(z) < 0.3)), 0.0)
    if w == 1.0:
        ratio = e / z
        close(by_replication(batch, ratio**2), 4.0)
        close(by_replication(batch, ratio**4), 3 * 16.0)


def test_spreads_of_schools_grow_with_resources() -> None:
    """Products of two students' errors: (school_sd^2, slope_sd^2) exp(h r - h^2 / 2), within bands of resources r."""
    population, layout = CASES["slopes by resources"]
    batch = draw((population, layout), range(4000))
    e, z, first = errors(population, batch), column(batch, "age") - 3.0, batch.school_offsets[:-1]
    resources = column(batch, "resources")[first]
    for weight, variance, h in ((np.ones_like(z), 0.8, 0.5), (z, 0.25, -0.6)):
        sums, squares = np.add.reduceat(e * weight, first), np.add.reduceat((e * weight) ** 2, first)
        products = (sums**2 - squares) / (8 * 7)  # E = variance of what is shared, for weights of variance 1
        factor = np.exp(h * resources - 0.5 * h * h)
        for low, high in ((-9, -0.7), (-0.7, 0.7), (0.7, 9)):
            inside = (resources > low) & (resources <= high)
            close((inside * (products - variance * factor)).reshape(-1, 12).mean(axis=1), 0.0)
        close(products.reshape(-1, 12).mean(axis=1), variance)


def test_spreads_at_their_defaults_change_no_key_and_no_number() -> None:
    """Keys of data sets drawn student by student are those of before there was another way."""
    plain, layout = CASES["slopes"]
    same = replace(plain, residual_proportional=0.0, school_sd_resources=0.0, slope_sd_resources=0.0)
    keys = [Cell(one, layout, Model()).law_key for one in (plain, same)]
    assert keys == ["cc8e795380c08750"] * 2
