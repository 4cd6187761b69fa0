"""Why schools aren't added to the same data sets: what nested schools do for a curve, and for its root.

`pytest -m slow -n 0 -s tests/sizing/test_nested.py` prints the table that docs/sizing.md has.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nestbench.sizing.response import factor_for, sample_of

pytestmark = pytest.mark.slow

SIZES = {"10 schools": (8, 10, 12), "75 schools": (71, 75, 79)}
DATA_SETS, BATCHES = 1_000, 200
ONE = np.ones(1)


def limits(noise: np.ndarray, schools: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the limits of t tests of the first schools' means, every other one treated, and the estimates' noise."""
    treated = noise[:, :schools:2], noise[:, 1:schools:2]
    one, zero = (arm.shape[1] for arm in treated)
    estimate = treated[0].mean(axis=1) - treated[1].mean(axis=1)
    squares = sum((arm.var(axis=1) * arm.shape[1] for arm in treated), np.zeros(len(noise)))
    inverse = 1.0 / one + 1.0 / zero
    half = stats.t.ppf(0.975, schools - 2) * np.sqrt(squares / (schools - 2) * inverse)
    return estimate - half, estimate + half, estimate / np.sqrt(inverse)


def found(rng: np.random.Generator, sizes: tuple[int, ...], nested: bool, stratified: bool) -> np.ndarray:
    """Return the effects found with 80 % power at some numbers of schools."""
    shared = rng.standard_normal((DATA_SETS, max(sizes)))
    effects = []
    for schools in sizes:
        noise = shared if nested else rng.standard_normal((DATA_SETS, schools))
        lower, upper, z = limits(noise, schools)
        effects.append(factor_for(sample_of(lower, upper, z if stratified else None), 0.8, ONE)[0])
    return np.array(effects)


def spreads(sizes: tuple[int, ...], nested: bool, stratified: bool) -> tuple[float, float]:
    """Return SDs over simulations, in schools: of the difference between neighbours, and of the root.

    log G = a - 2 log effect: an error of the effect's logarithm is twice that in G's.
    """
    rng = np.random.default_rng(7)
    logs = np.log([found(rng, sizes, nested, stratified) for _ in range(BATCHES)])
    schools = 2.0 * sizes[1]
    return schools * float((logs[:, 2] - logs[:, 0]).std()), schools * float(logs.mean(axis=1).std())


@pytest.mark.parametrize("name", SIZES)
def test_nested_schools_make_curves_smooth_and_roots_no_surer(name: str) -> None:
    """An SD of 200 simulations has an error of 5 %, the ratio of two one of 7 %: 4.9 of these are 35 %."""
    rows = {
        (nested, stratified): spreads(SIZES[name], nested, stratified)
        for nested in (False, True)
        for stratified in (False, True)
    }
    for (nested, stratified), (difference, root) in rows.items():
        drawn = "nested" if nested else "drawn anew"
        print(
            f"{name}  {drawn:10}  {'stratified' if stratified else 'plain':10}  {difference:.2f}  {root:.2f}"
        )
    plain, better = rows[False, False], rows[False, True]
    assert rows[True, False][0] < plain[0] / 1.35, "nested schools: a smoother curve"
    assert rows[True, False][1] > plain[1], (
        "but three designs with one error among them know no more than one"
    )
    assert better[1] < plain[1], "what is known of the noise makes the root surer"
    assert better[1] < rows[True, True][1], "and most where designs are drawn anew"
