"""Numbers as people write them: the number that was meant, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestbench.sim.tables.notation import AMONG_NUMBERS, MISSING, ambiguous, far_code, is_missing, numbers_of

EVIDENT = 1234567.5
"""A number that shows what stands between thousands and before decimals."""

numbers = st.lists(
    st.integers(-(10**9), 10**9).map(lambda k: k / 100) | st.integers(-999_999, 999_999).map(float),
    min_size=1,
    max_size=8,
)
marks = st.sampled_from(
    [(",", "."), (".", ","), (" ", ","), (" ", "."), ("\u00a0", ","), ("\u2019", "."), ("", ",")]
)
signs = st.sampled_from([("", ""), ("$", ""), ("€", ""), ("", " €"), ("", "%"), ("", " %"), ("£", "")])


def written(value: float, between: str, before: str, around: tuple[str, str], minus: str) -> str:
    """Return a number in a notation, with two decimals where it is no whole one."""
    digits = f"{abs(value):,.2f}" if value % 1 else f"{abs(value):,.0f}"
    text = digits.replace(",", "\0").replace(".", before).replace("\0", between)
    return f"{minus if value < 0 else ''}{around[0]}{text}{around[1]}"


@settings(max_examples=30, deadline=None)
@given(numbers, marks, signs, st.sampled_from("-\u2212"))
def test_every_notation_is_read_back(
    values: list[float], apart: tuple[str, str], around: tuple[str, str], minus: str
) -> None:
    """Where one number shows the notation, all are what was written."""
    values = [*values, EVIDENT]
    texts = pd.Series([written(value, *apart, around, minus) for value in values])
    found = numbers_of(texts)
    assert found is not None, list(texts)
    assert found.values.tolist() == values
    assert found.said
    assert not ambiguous(texts)


@settings(max_examples=30, deadline=None)
@given(numbers, marks, signs)
def test_without_evidence_none_is_read_as_another(
    values: list[float], apart: tuple[str, str], around: tuple[str, str]
) -> None:
    """What may be two numbers is read as neither, until the sign before decimals is known."""
    texts = pd.Series([written(value, *apart, around, "-") for value in values])
    found = numbers_of(texts)
    if found is None:
        assert ambiguous(texts), list(texts)
        found = numbers_of(texts, apart[1])
        assert found is not None
    # 1.234 with a point between thousands is a number as everywhere: only other columns can tell.
    assert found.values.tolist() == values or (apart == (".", ",") and not texts.str.contains(",").any())


@pytest.mark.parametrize(("decimal", "first"), [(".", 7288.0), (",", 7.288)])
def test_other_columns_decide(decimal: str, first: float) -> None:
    texts = pd.Series(["7,288", "950"])
    assert "7.288 or 7288" in ambiguous(texts)
    found = numbers_of(texts, decimal)
    assert found is not None
    assert found.values[0] == first


@pytest.mark.parametrize(
    "labels",
    [["10-12", "13-15"], ["1.2.3", "2"], ["5+", "4"], ["#1", "#2"], ["S1", "S2"], ["5 €", "3"], ["1/2", "2"]],
)
def test_labels_are_no_numbers(labels: list[str]) -> None:
    assert numbers_of(pd.Series(labels)) is None
    assert not ambiguous(pd.Series(labels))


@given(st.sampled_from(sorted(MISSING | AMONG_NUMBERS)), st.sampled_from([str.upper, str.lower, str.title]))
def test_words_for_missing_among_numbers(word: str, case: object) -> None:
    """In any case, and said."""
    text = case(word)  # type: ignore[operator]
    known = pd.Series(["1.5", text, "2"])
    known = known[~is_missing(known)]
    found = numbers_of(known)
    assert found is not None
    assert found.values.dropna().tolist() == [1.5, 2.0]
    assert text in found.said or len(known) == 2


def test_codes_for_missing_are_seen() -> None:
    assert far_code(np.array([1.0, 4.0, -99.0, -99.0])) == (-99.0, 2)
    assert far_code(np.array([95.0, 98.0, 99.0, 100.0]))[1] == 0
    assert far_code(np.array([3.0, 3.0]))[1] == 0
