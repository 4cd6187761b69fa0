"""What counts as a move, and which measures are looked at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nestbench.bisecting.answers import Key, Number, Wanted, answer_of, moves
from nestbench.reports.accuracy.baseline import KEPT
from nestbench.sim.errors import InvalidInput
from tests.reports.accuracy.gate_studies import gate_study, scaled_se, with_defect

BIAS: Key = ("ICC 0", "ols", "age", "bias")
NAN: Number = (math.nan, math.nan, 0)


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ((1.0, 0.1, 50), (1.0, 0.1, 50), False),
        ((1.0, 0.1, 50), (1.00009, 0.1, 50), False),
        ((1.0, 0.1, 50), (1.00011, 0.1, 50), True),
        ((1.0, 0.0, 50), (1.0000009, 0.0, 50), False),
        ((1.0, 0.0, 50), (1.000002, 0.0, 50), True),
        ((1.0, math.nan, 1), (1.1, math.nan, 1), True),
        ((1.0, 0.1, 50), NAN, True),
        (NAN, NAN, False),
        ((math.inf, 0.1, 50), (math.inf, 0.1, 50), False),
        ((math.inf, 0.1, 50), (1.0, 0.1, 50), True),
    ],
)
def test_a_move_is_more_than_rounding(before: Number, after: Number, moved: bool) -> None:
    assert bool(moves({BIAS: before}, {BIAS: after})) == moved
    assert bool(moves({BIAS: after}, {BIAS: before})) == moved


def test_what_is_beyond_can_be_chosen_and_the_largest_comes_first() -> None:
    other = (*BIAS[:3], "model_se")
    before, after = {BIAS: (1.0, 0.1, 9), other: (1.0, 0.1, 9)}, {BIAS: (1.3, 0.1, 9), other: (1.5, 0.1, 9)}
    assert [move.key for move in moves(before, after)] == [other, BIAS]
    assert [move.key for move in moves(before, after, beyond=4.0)] == [other]
    assert moves(before, after, beyond=6.0) == []
    gone = moves(before, {other: (1.5, 0.1, 9)})
    assert [move.key for move in gone] == [BIAS, other]
    assert math.isinf(gone[0].size)


def test_measures_of_a_run_are_those_of_baselines_or_those_asked_for() -> None:
    results = gate_study(50)
    whole = answer_of(results, Wanted())
    assert {key[3] for key in whole} == set(KEPT)
    assert {key[0] for key in whole} == {"ICC 0", "ICC 0.1", "ICC 0.2"}
    some = answer_of(results, Wanted(("coverage",), ("age",), (1,)))
    assert list(some) == [("ICC 0.1", label, "age", "coverage") for label in ("plain", "robust")]
    values = results.cells[1]["plain"]
    covered = (values.lower[:, 1] <= 2.0) & (values.upper[:, 1] >= 2.0)
    assert some["ICC 0.1", "plain", "age", "coverage"][0] == pytest.approx(np.mean(covered))


def test_a_defect_moves_what_it_should() -> None:
    results = gate_study(50)
    changed = with_defect(results, "plain", scaled_se(1.05))
    moved = moves(answer_of(results, Wanted()), answer_of(changed, Wanted()))
    assert {move.key[1] for move in moved} == {"plain"}
    assert {"model_se", "interval_width", "se_error"} <= {move.key[3] for move in moved}
    assert not {"bias", "rmse", "empirical_se"} & {move.key[3] for move in moved}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"measures": ("covrage",)}, "coverage"),
        ({"terms": ("agee",)}, "age"),
        ({"conditions": (3,)}, "from 0 to 2, got 3"),
    ],
)
def test_unknown_names_are_refused(wanted: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        answer_of(gate_study(5), Wanted(**wanted))  # type: ignore[arg-type]
