"""Ten lines of 80 columns, whatever the answer is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nestbench.advising.advice import Advice
from nestbench.advising.analysis import analysis_of
from nestbench.advising.asking import Settings, advice_of, fits_of
from nestbench.advising.scenarios import Scenario
from nestbench.advising.sentences import worth
from nestbench.advising.terminal import ECONOMIES, said, table_lines, text_of
from nestbench.estimators.methods import registry
from nestbench.own_data.usual import USUAL
from nestbench.sim.observed.model import Model
from tests.advising.test_advice import FAST, FORMULA, data

CAUTION = "schools with the rarer value of treated may vary up to 8 times as much as the others"
REMARK = "The outcome has two values: a linear probability model, of differences of shares."
TRIED = ("reml-kr", "ols-cr2-satt")


@pytest.fixture(scope="module")
def advice() -> Advice:
    """An answer with a precaution beside its scenarios."""
    analysis = analysis_of(data(), Model(FORMULA))
    found = advice_of(analysis, "treated", Settings(**FAST))
    laws = [law for law in found.laws if not law.precaution]
    table = found.table[found.table["scenario"].isin([law.name for law in laws])]
    laws[-1] = Scenario(laws[-1].name, laws[-1].why, laws[-1].parameters, CAUTION)
    methods = [registry.get(name) for name in (*TRIED, *USUAL)]
    fits = fits_of(analysis, TRIED, methods)
    choice = replace(found.choice, judged=tuple(law.name for law in laws[:-1]))
    return replace(found, laws=tuple(laws), table=table, fits=fits, choice=choice)


def chosen(advice: Advice, **changes: Any) -> Advice:
    """The advice with another choice, and the fits that it shows then."""
    choice = replace(advice.choice, **changes)
    shown = {choice.least_bad, choice.guarding, *USUAL}
    fits = tuple(fit for fit in advice.fits if fit.estimator in shown)
    return replace(advice, choice=choice, fits=fits)


def of_one_school(advice: Advice) -> Advice:
    return replace(advice, design=replace(advice.design, carriers={0.0: 8, 1.0: 1}))


NONE: dict[str, Any] = {"named": None, "valid": (), "least_bad": "reml-kr"}
KINDS: dict[str, Any] = {
    "named": lambda a: chosen(a, named="reml-kr", least_bad="reml-kr"),
    "one of the usual": lambda a: chosen(a, named="reml-z", least_bad="reml-z"),
    "none": lambda a: chosen(a, **NONE),
    "unless": lambda a: chosen(
        a, **NONE, assuming="reml-kr", unless=a.laws[-1].name, guarding="ols-cr2-satt"
    ),
    "one school, assuming": lambda a: chosen(of_one_school(a), **NONE, assuming="reml-kr"),
    "one school, not even so": lambda a: chosen(of_one_school(a), **NONE),
}


@pytest.mark.parametrize("remarks", [(), (REMARK,)], ids=["", "remark"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [10, 9])
def test_every_kind_of_answer_has_ten_lines(
    advice: Advice, kind: str, remarks: tuple[str, ...], lines: int
) -> None:
    found = replace(KINDS[kind](advice), remarks=remarks)
    shown = text_of(found, lines=lines).splitlines()
    assert len(shown) <= lines
    assert max(map(len, shown)) <= 80
    rows = [line.split()[0] for line in shown]
    assert {name for name in (found.choice.least_bad, found.choice.guarding) if name} <= set(rows)
    assert {"ols-cr1s-t"} <= set(rows)
    assert {"ols", "reml-z"} <= set(rows) or remarks or lines < 10
    assert shown[0].startswith("treated: use ")
    assert all(remark in " ".join(shown) for remark in remarks)


def test_nothing_is_left_out_where_there_is_room(advice: Advice) -> None:
    found = chosen(advice, named="reml-kr", least_bad="reml-kr")
    every = text_of(found, lines=30)
    assert "Power: at" in every
    assert all(label in every for label in ("reml-kr", *USUAL))
    assert CAUTION in " ".join(every.split())


def test_few_data_sets_are_said_with_what_they_are_worth(advice: Advice) -> None:
    words = "100 data sets a scenario: coverages are known to 2.2 points (Monte Carlo error)."
    assert advice.replications == 100
    assert words in said(advice)
    assert worth(replace(advice, replications=1000)) == ""


def test_what_is_left_out_goes_in_order(advice: Advice) -> None:
    """Each economy is one: it takes words or rows away from what the one before left."""
    found = KINDS["unless"](advice)
    before = said(found), table_lines(found)
    for count in range(1, len(ECONOMIES) + 1):
        after = said(found, ECONOMIES[:count]), table_lines(found, left=ECONOMIES[:count])
        assert len(after[0]) <= len(before[0])
        assert len(after[1]) <= len(before[1])
        before = after
    assert "design" not in said(found, ECONOMIES)
    assert len(before[1]) == 4
