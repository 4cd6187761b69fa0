"""Directions and shares of few replications: what is claimed of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nestbench.reports.accuracy.changes import Context, Mark, difference, judged, move_of, sure
from nestbench.reports.accuracy.differences import in_words

NOTHING = (np.nan, np.nan, 0)


def context() -> Context:
    return Context(False, 0.05, 1.0, NOTHING, NOTHING, False)


def test_three_errors_are_as_rare_of_few_replications_as_of_many() -> None:
    assert sure(10**6) == pytest.approx(3.0, abs=1e-4)
    for n in (3, 5, 30):
        assert stats.t(n - 1).sf(sure(n)) == pytest.approx(stats.norm.sf(3.0))
    assert np.isinf(sure(1))


@pytest.mark.parametrize(("n", "mark"), [(5, Mark.CHANGED), (1000, Mark.BETTER)])
def test_a_direction_is_claimed_from_enough_replications_on(n: int, mark: Mark) -> None:
    before, after = (0.5, 0.1, n), (0.2, 0.1, n)  # the midpoint is 4.9 errors from 0
    move = move_of("bias", before, after, context())
    assert judged("bias", [move]) is mark


def test_lost_answers_have_a_direction_however_few() -> None:
    move = move_of("usable_share", (1.0, 0.0, 2), (0.5, 0.35, 2), context())
    assert judged("usable_share", [move]) is Mark.NEW_FAILURE


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_equal_answers_of_few_fits_have_an_error(share: float) -> None:
    delta, error = difference("coverage", (share, 0.0, 5), (share, 0.0, 5), context())
    assert delta == 0.0
    assert error > 0.1


@pytest.mark.parametrize("measure", ["bias", "empirical_se", "model_se", "interval_width"])
def test_what_is_the_same_in_every_fit_has_not_changed(measure: str) -> None:
    """A variance at its boundary is 0 in all of them: nothing is to be divided by."""
    constant = replace(context(), spread=0.0)
    assert difference(measure, (0.0, 0.0, 20), (0.0, 0.0, 20), constant)[0] == 0.0


@pytest.mark.parametrize("before", [0.0, 0.1])
def test_a_constant_that_becomes_another_is_changed(before: float) -> None:
    constant = replace(context(), spread=0.0)
    move = move_of("bias", (before, 0.0, 20), (0.2, 0.0, 20), constant)
    assert abs(move.delta) == np.inf
    assert judged("bias", [move]) is Mark.CHANGED


def test_differences_say_what_they_are_in() -> None:
    assert in_words("bias", -0.3508) == "-0.351 empirical SEs"
    assert in_words("model_se", np.log(1.05)) == "+5 %"
    assert in_words("coverage", 0.02) == "+0.02"
