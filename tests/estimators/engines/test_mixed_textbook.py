"""Einstein sums of the textbook mixed models: the order that is remembered is the one that NumPy would find."""

from __future__ import annotations

import numpy as np
import pytest

from nestbench.estimators.engines.mixed_textbook import contracted


@pytest.mark.parametrize("schools", [3, 40])
@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("kip,aij,kjr->apr", ("k24", "m22", "k24")),
        ("ki,aij,kjl,blm,km->ab", ("k2", "m22", "k22", "m22", "k2")),
        ("pr,ars,st,btp->ab", ("44", "m44", "44", "m44")),
    ],
)
def test_remembered_orders_change_no_bit(subscripts: str, shapes: tuple[str, ...], schools: int) -> None:
    rng = np.random.default_rng(1)
    sizes = {"k": schools, "m": 3}
    operands = [rng.normal(size=[sizes.get(c) or int(c) for c in shape]) for shape in shapes]
    for _ in range(2):  # found, then remembered
        expected = np.einsum(subscripts, *operands, optimize=True)
        np.testing.assert_array_equal(contracted(subscripts, *operands), expected)
