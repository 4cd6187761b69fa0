"""``nestbench advise``, typed: what a stop leaves, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nestbench.advising import asking
from nestbench.sim.tables import reading
from tests.commands.conftest import Cli

QUICK = ("--replications", "100", "--methods", "reml-kr", "--workers", "1")
MODEL = ("--formula", "grade ~ treated + age")


@pytest.fixture
def typed(cli: Cli) -> Cli:
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(8), 6)
    columns = {"treated": school % 2, "age": rng.normal(size=48), "grade": rng.normal(size=48)}
    pd.DataFrame({"school": school, **columns}).to_csv(cli.folder / "data.csv", index=False)
    return cli


@pytest.mark.parametrize(("through", "shown"), [(0, False), (1, True)])
def test_a_stop_shows_the_terms_that_were_through_and_says_what_is_lost(
    typed: Cli, monkeypatch: pytest.MonkeyPatch, through: int, shown: bool
) -> None:
    real = asking.advice_of
    calls: list[str] = []

    def stopped(analysis: Any, term: str, *more: Any) -> Any:
        calls.append(term)
        if len(calls) > through:
            raise KeyboardInterrupt
        return real(analysis, term, *more)

    monkeypatch.setattr(asking, "advice_of", stopped)
    code, out, err = typed(
        "advise", "data.csv", *MODEL, "--term", "treated", "--term", "age", *QUICK, "-o", "kept"
    )
    assert code == 130
    lost = "age" if through else "treated, age"
    assert err.splitlines()[-1] == f"nestbench: stopped; of the advice on {lost} nothing is kept"
    assert ("treated: use " in out) is shown
    assert (typed.folder / "kept" / "advise.html").exists() is shown


def test_a_stop_before_anything_is_known_says_so(typed: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reading, "read_table", stopped)
    code, out, err = typed("advise", "data.csv", *MODEL)
    assert (code, out, err.splitlines()[-1]) == (130, "", "nestbench: stopped; nothing is kept")
