"""Estimates are taken apart, put together and changed in one place: nothing is lost, moved or mixed up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from nestbench.estimators.estimates import OF_FITS, STORED_COLUMNS, Estimates, FitStatus
from nestbench.experiments.frame_engine import Fitted, collect
from nestbench.sim.observed.batch import Batch, offsets_of
from nestbench.sim.streams import StreamSource

RNG = np.random.default_rng(1)
FITS = [
    Fitted(
        {name: tuple(RNG.normal(size=6)) for name in names},
        status,
        message,
        float(RNG.random()),
    )
    for names, status, message in [
        (("b",), FitStatus.OK, "late"),
        (("a", "b"), FitStatus.OK, ""),
        ((), FitStatus.FAILED, "broken"),
        (("a", "b", "(icc)"), FitStatus.BOUNDARY, "late"),
        (("c", "a"), FitStatus.OK, "other"),
        (("a", "b"), FitStatus.OK, "broken"),
    ]
]
TERMS = ("a", "b", "c")
PLACES = st.lists(st.integers(0, 5), unique=True, max_size=6)


def batch(numbers: list[int]) -> Batch:
    return Batch(
        {},
        "school",
        offsets_of([1] * len(numbers)),
        offsets_of([1] * len(numbers)),
        np.array(numbers, dtype=np.int64),
        StreamSource(1, "k"),
    )


def part(numbers: list[int], terms: tuple[str, ...] = ()) -> Estimates:
    return collect([FITS[i] for i in numbers], batch(numbers), terms)


def same(a: Estimates, b: Estimates) -> bool:
    """Equal in every number and text; what the texts' codes are doesn't matter."""
    return (
        (a.terms, a.texts(), tuple(a.quantities)) == (b.terms, b.texts(), tuple(b.quantities))
        and all(np.array_equal(a.quantities[n], b.quantities[n], equal_nan=True) for n in a.quantities)
        and all(
            np.array_equal(getattr(a, n), getattr(b, n), equal_nan=True)
            for n in (*STORED_COLUMNS, *OF_FITS)
            if n != "message"
        )
    )


def fit_of(estimates: Estimates, i: int) -> dict[str, object]:
    """One fit written out, number by number."""
    rows = {
        term: [float(getattr(estimates, name)[i, k]) for name in STORED_COLUMNS]
        for k, term in enumerate(estimates.terms)
    }
    quantities = {name: float(values[i]) for name, values in estimates.quantities.items()}
    found = {term: row for term, row in rows.items() if not np.isnan(row).all()}
    text = estimates.messages[estimates.message[i]]
    return {
        **found,
        **quantities,
        "status": int(estimates.status[i]),
        "text": text,
        "s": estimates.seconds[i],
    }


@settings(deadline=None)
@given(cuts=st.sets(st.integers(1, 5)), seed=st.integers(0, 99))
def test_cuts_cannot_be_seen(cuts: set[int], seed: int) -> None:
    ends = [0, *sorted(cuts), 6]
    parts = [part(list(range(a, b))) for a, b in pairwise(ends)]
    order = np.random.default_rng(seed).permutation(len(parts))
    whole, joined = part(list(range(6))), Estimates.concat([parts[i] for i in order])
    assert same(joined, whole)
    assert joined.messages == whole.messages


@settings(deadline=None)
@given(owner=st.lists(st.integers(0, 3), min_size=6, max_size=6), seed=st.integers(0, 99))
def test_parts_taken_in_any_way_make_the_whole_again(owner: list[int], seed: int) -> None:
    whole, rng = part(list(range(6))), np.random.default_rng(seed)
    places = [rng.permutation(np.flatnonzero(np.array(owner) == k)) for k in range(4)]
    assert same(Estimates.concat([whole.take(rows) for rows in places]), whole)


@settings(deadline=None)
@given(rows=PLACES)
def test_fits_are_taken_in_the_order_asked_for(rows: list[int]) -> None:
    whole = part(list(range(6)))
    taken = whole.take(np.array(rows, dtype=np.int64))
    assert [repr(fit_of(taken, i)) for i in range(len(rows))] == [repr(fit_of(whole, i)) for i in rows]
    assert same(whole.take(np.isin(np.arange(6), rows)), whole.take(np.array(sorted(rows), dtype=np.int64)))
    assert same(whole.take(slice(len(rows))), whole.take(np.arange(len(rows))))


@settings(deadline=None)
@given(rows=PLACES)
def test_what_is_put_is_what_is_taken_there_and_nothing_else_changes(rows: list[int]) -> None:
    whole, places = part(list(range(6)), TERMS), np.array(rows, dtype=np.int64)
    numbers = {n: getattr(whole, n)[places] + 1.0 for n in (*STORED_COLUMNS, "seconds")}
    quantities = {"(icc)": np.arange(len(rows)) + 0.5}
    others = replace(
        Estimates.unusable(TERMS, whole.replications[places], FitStatus.TIMEOUT, "took too long"),
        quantities=quantities,
        **numbers,
    )
    put, rest = whole.put(places, others), np.setdiff1d(np.arange(6), places)
    assert same(put.take(places), others)
    assert same(put.take(rest), whole.take(rest))
    assert same(put.put(places, whole.take(places)), whole)


def test_a_quantity_that_others_lack_is_missing_for_them() -> None:
    whole = part([1, 3], TERMS)
    put = whole.put(np.array([1]), Estimates.unusable(TERMS, np.array([3])))
    assert np.isnan(put.quantities["(icc)"]).all()


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (part([3], ("b", "a", "c")), "expected fits of a, b, c, got b, a, c"),
        (part([4], TERMS), "expected fits of the replications 3, got 4"),
        (
            replace(part([3], TERMS), quantities={"(sd)": np.zeros(1)}),
            r"expected the quantities \(icc\), got \(sd\) too",
        ),
    ],
    ids=["terms", "replications", "quantities"],
)
def test_foreign_fits_are_refused_by_name(others: Estimates, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        part([1, 3], TERMS).put(np.array([1]), others)


def test_a_replication_given_twice_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="expected each replication once, got 3 again"):
        Estimates.concat([part([0, 3]), part([3, 4])])
    with pytest.raises(ValueError, match="got none"):
        Estimates.concat([part([])])


def test_messages_stay_with_their_fits() -> None:
    joined = Estimates.concat([part([3, 4, 5]), part([0, 1, 2])])
    assert joined.texts() == [fit.message for fit in FITS]
    assert joined.terms == ("b", "a", "c")


def test_terms_are_chosen_by_name_and_missing_where_there_are_none() -> None:
    whole = part(list(range(6)))
    chosen = whole.with_terms(("c", "nobody", "b"))
    np.testing.assert_array_equal(chosen.p_value[:, [0, 2]], whole.p_value[:, [2, 0]])
    assert np.isnan(chosen.estimate[:, 1]).all()
    assert whole.with_terms(whole.terms) is whole


@pytest.mark.parametrize("size", [0, 3])
def test_unusable_fits_have_every_term_and_one_reason(size: int) -> None:
    none = Estimates.unusable(TERMS, np.arange(size), FitStatus.TIMEOUT, "took too long")
    assert none.estimate.shape == (size, 3)
    assert not none.usable.any()
    assert none.texts() == ["took too long"] * size
    assert Estimates.unusable(TERMS, np.arange(size)).texts() == [""] * size
