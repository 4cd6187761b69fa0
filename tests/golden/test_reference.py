"""The stored reference values belong to the stored data."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.golden.reference import HERE, Golden, _stored, golden, models_with


@pytest.mark.parametrize("name", sorted(_stored()["datasets"]))
def test_data_are_the_ones_the_values_were_computed_from(name: str) -> None:
    stored = _stored()["datasets"][name]
    assert hashlib.sha256((HERE / "data" / f"{name}.csv").read_bytes()).hexdigest() == stored["sha256"]


@pytest.mark.parametrize("case", models_with(), ids=str)
def test_terms_are_named_as_the_design_names_them(case: Golden) -> None:
    from nestbench.sim.observed.design import design_of

    assert set(design_of(case.batch(), case.spec()).terms) == set(case.terms)


def test_cr3_is_the_jackknife_without_its_factor() -> None:
    case = golden("bal10", "m1")
    cr3, crv3 = case.values("exact", "cr", "CR3", "se"), case.values("exact", "cr", "CRV3", "se")
    assert [crv3[t] / cr3[t] for t in case.terms] == pytest.approx([np.sqrt(9 / 10)] * 3, rel=1e-12)


def test_vectors_of_a_block_with_its_own_terms_are_named_by_them() -> None:
    assert set(golden("bal10", "m1").values("fe", "exact", "se")) == {"age", "gender[T.male]"}
