"""Fits and runs in a notebook: HTML that a browser shows as a table, and that no name of a user's can break."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nestbench
from nestbench.experiments.toml.reading import experiment_from
from nestbench.own_data.fit import COLUMNS, fit_html
from nestbench.runs import SHOWN

VOID: frozenset[str] = frozenset({"br", "hr", "img", "input", "meta", "link"})
HOSTILE = "<script>alert(1)</script>&\"'\u202e"


class Page(HTMLParser):
    """What a browser sees: tags that are opened and closed in turn, attributes, and texts by cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= set(attrs)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1][-1] += data


def harmless(page: Page) -> None:
    assert page.tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "td", "th"}
    assert {name for name, _ in page.attributes} <= {"class", "style"}
    assert "\u202e" not in page.text


def frame(**names: str) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    data = {"y": rng.normal(size=60), "x": rng.normal(size=60), "g": np.arange(60) % 6}
    return pd.DataFrame(data).rename(columns=names)


def test_a_fit_is_a_table_of_its_numbers() -> None:
    fit = nestbench.estimate(frame(), "reml-satt", formula="y ~ x", group="g")
    page = Page(fit._repr_html_())
    harmless(page)
    assert page.rows[0] == ["", "estimate", "SE", "df", "95 % interval", "p"]
    assert [row[0] for row in page.rows[1:]] == ["Intercept", "x"]
    for row in page.rows[1:]:
        own = fit.terms.loc[row[0]]
        assert float(row[1]) == pytest.approx(own["estimate"], abs=10 ** -len(row[1].split(".")[1]))
        lower, upper = map(float, row[4].split(", "))
        assert (lower, upper) == pytest.approx((own["lower"], own["upper"]), abs=1e-3)
    assert "60 rows in 6 groups (g); y ~ x" in page.text
    assert "school_sd" not in page.text
    assert "school sd" in page.text


def test_many_fits_are_a_table_a_term() -> None:
    found = nestbench.estimate(frame(), ["ols", "ols-cr1s-t"], formula="y ~ x", group="g")
    found = replace(found, left_out={"slow<b>": "takes too long"})
    page = Page(found._repr_html_())
    harmless(page)
    assert [row[0] for row in page.rows if row[0] != "method"][:2] == ["ols", "ols-cr1s-t"]
    assert sum(row[0] == "method" for row in page.rows) == 2
    assert "slow<b>: left out: takes too long" in page.text


@given(st.text(min_size=1, max_size=12), st.text(max_size=20))
def test_names_and_messages_are_text(term: str, said: str) -> None:
    """Whatever is in a term's name or a message, the page has the tags it is made of and no other."""
    terms = pd.DataFrame({name: [np.nan] for name in COLUMNS}, index=[term + HOSTILE])
    status = nestbench.FitStatus.FAILED
    fit = nestbench.Fit(
        "m" + HOSTILE, "batched", nestbench.Model("y ~ x"), terms, {}, None, status, (said, HOSTILE), 1, 1
    )
    page = Page(fit_html(fit))
    harmless(page)
    assert "<script>alert(1)</script>&\"'" in page.text


TABLES: dict[str, Any] = {
    "experiment": {
        "name": "shown",
        "title": HOSTILE[:-1],
        "estimators": ["ols", "ols-hc1"],
        "replications": 4,
        "audit": 0,
    },
    "layout": {"schools": 4, "students": 5},
    "model": {"formula": "grade ~ age"},
    "factors": {"population.icc": [k / 20 for k in range(SHOWN + 2)]},
}


def test_a_run_shows_how_far_it_is(tmp_path: Path) -> None:
    run = nestbench.run(experiment_from(TABLES), tmp_path / "run", workers=1)
    page = Page(run._repr_html_())
    harmless(page)
    assert page.rows[0] == ["cell", "condition", "data sets"]
    assert [row[0] for row in page.rows[1:]] == [str(cell) for cell in range(SHOWN)]
    assert {row[2] for row in page.rows[1:]} == {"4"}
    assert "and 2 further conditions" in page.text
    assert "Unfinished" not in page.text
    assert TABLES["experiment"]["title"] in page.text
    assert len(run._repr_html_()) < 5000
    run.store.extend(replace(run.store.rounds[-1], replications=(8,) * (SHOWN + 2)))
    assert "Unfinished" in Page(nestbench.load(run.directory)._repr_html_()).text


def test_what_a_notebook_needs_is_public(tmp_path: Path) -> None:
    """Figures by kind and choice, conditions with their truth and data, stored estimates: without a deeper import."""
    run = nestbench.run(experiment_from(TABLES), tmp_path / "run", workers=1)
    assert isinstance(run.store, nestbench.Store)
    assert all(isinstance(cell, nestbench.Cell) for cell in run.cells)
    made = nestbench.Cell(
        nestbench.RandomIntercept(icc=0.05), nestbench.Layout(4, 5), nestbench.Model("grade ~ age")
    )
    assert run.cells[1] == made
    assert made.truth["age"] == 2.0
    drawn = made.draw(run.experiment.seed, range(1))
    stored = run.store.estimates(1)["ols"]
    assert stored.estimate.shape == (4, len(stored.terms))
    pd.testing.assert_frame_equal(drawn.replication(0).frame(), nestbench.simulate(run.directory, cell=1))
    chart = run.figure("bias", term="age", methods=["ols"])
    assert chart.to_dict() == nestbench.figure(run.directory, "bias", term="age", methods=["ols"]).to_dict()
    with pytest.raises(nestbench.InvalidInput, match="Did you mean 'coverage'"):
        nestbench.figure(run, "coverag")
