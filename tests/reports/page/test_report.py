"""The page as text: escaped, self-contained, complete."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestbench.estimators.estimator import Agreement
from nestbench.reports.page import report
from nestbench.reports.page.report import in_code, render, script_json, write_report
from nestbench.reports.page.sections import audit_line, grouped
from nestbench.reports.page.survey import survey
from tests.reports.synthetic import FakeResults, estimates_of, estimator, school_study

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&`{{7*7}}"


@pytest.fixture(scope="module")
def study() -> FakeResults:
    found = school_study(reps=60, schools=(6, 30), icc=(0.2,))
    found.audit = pd.DataFrame(
        {
            "cell": [0],
            "estimator": ["ols"],
            "agreement": ["direct"],
            "fits": [20],
            "worst": [1e-12],
            "disagreements": [0],
            "stopped_short": [0],
            "worst_shortfall": [0.0],
            "below_grid": [0],
            "worst_below_grid": [0.0],
        }
    )
    return found


@pytest.fixture(scope="module")
def page(study: FakeResults) -> str:
    return render(study, survey(study), "runs/few schools")


class Structure(HTMLParser):
    """Collects start tags, ids, headings; fails on unclosed sections."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def structure(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Structure()
    parser.feed(page)
    return parser.tags


def test_nothing_is_loaded(page: str) -> None:
    for _, attributes in structure(page):
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert not value.startswith(("http", "//", "ftp")), value
    assert "default-src 'none'" in page
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", page.split("<body>")[0])


def test_ids_are_unique_and_labels_point_at_something(page: str) -> None:
    tags = structure(page)
    ids = [a["id"] for _, a in tags if a.get("id")]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        if target := attributes.get("aria-labelledby"):
            assert target in ids


TEMPLATE = Path(str(report.__file__)).with_name("page.html.jinja")


@pytest.mark.parametrize(
    "name", re.findall(r'<section aria-labelledby="([\w-]+)-head"', TEMPLATE.read_text())
)
def test_a_section_has_its_heading_where_it_is_shown(name: str, page: str) -> None:
    assert page.count(f'<h2 id="{name}-head">') == page.count(f'<section aria-labelledby="{name}-head">') < 2


def test_the_verdict_comes_before_everything_else(page: str) -> None:
    order = [page.index(f'id="{name}"') for name in ("verdict", "glance-head", "coverage-head", "study-head")]
    assert order == sorted(order)


def test_says_how_to_replay_failures(page: str) -> None:
    commands = re.findall(r'<code class="command">([^<]+)</code>', page)
    assert commands
    assert all("--method mixedlm" in command for command in commands)
    pattern = (
        r"nestbench replay &#39;runs/few schools&#39; --condition \d+ --replication \d+ --method mixedlm"
    )
    assert all(re.fullmatch(pattern, command) for command in commands)


def test_tells_the_study_as_ademp(page: str, study: FakeResults) -> None:
    for heading in ("Aims", "Data-generating mechanisms", "Estimands", "Methods", "Performance measures"):
        assert f"<h3>{heading}</h3>" in page
    assert study.experiment.aims in page
    assert f"seed {study.experiment.seed}" in page
    assert "sqrt(mean s^2)" in page


def test_carries_toml_provenance_and_audit(page: str) -> None:
    assert "name = &#34;few-schools&#34;" in page
    assert '<th scope="row">commit</th><td>abc</td>' in page
    assert "Both engines did 20 fits of 1 method: all agree, worst relative difference 1e-12." in page


def test_disagreements_are_not_hidden(study: FakeResults) -> None:
    off = study.audit.assign(disagreements=3)
    page = render(replace(study, audit=off), survey(study), "run")
    assert "3 fits disagree" in page


def test_fits_below_a_point_of_the_grid_are_not_hidden(study: FakeResults) -> None:
    line = audit_line(study.audit.assign(below_grid=2, worst_below_grid=42.4))
    assert line is not None
    assert line["state"] == "bad"
    assert "2 fits below another point of a grid of variance parameters, by up to 42" in line["words"]


def test_the_audit_says_how_often_statsmodels_missed_the_maximum(study: FakeResults) -> None:
    mixedlm = study.audit.assign(
        estimator="mixedlm",
        agreement=str(Agreement.UNDER_STUDY),
        fits=90,
        worst=0.0,
        stopped_short=31,
        worst_shortfall=1.23,
    )
    line = audit_line(pd.concat([study.audit, mixedlm, mixedlm.assign(cell=1, stopped_short=0)]))
    assert line is not None
    assert line["state"] == "good"
    assert "Both engines did 20 fits of 1 method: all agree" in line["words"]
    assert (
        "mixedlm stopped short of the exact REML maximum in 31 of 180 fits, by up to 1.2 log" in line["words"]
    )
    alone = audit_line(mixedlm.assign(stopped_short=0, disagreements=2))
    assert alone == {
        "state": "bad",
        "words": "mixedlm stopped short of the exact REML maximum in 0 of 90 fits, "
        "and claims more than the maximum in 2.",
    }


def test_text_of_users_is_escaped_everywhere() -> None:
    study = school_study(reps=30, schools=(6,), icc=(0.2,))
    experiment = replace(
        study.experiment,
        name=NASTY,
        title=NASTY,
        aims=NASTY,
        source=NASTY,
        levels=({NASTY: NASTY},),
        estimators=(estimator(NASTY, NASTY, NASTY), *study.experiment.estimators),
    )
    cells = [{NASTY: study.cells[0]["ols"], **study.cells[0]}]
    messages = ("", NASTY)
    cells[0]["mixedlm"] = replace(cells[0]["mixedlm"], messages=messages)
    cells[0][NASTY] = replace(cells[0][NASTY], terms=(NASTY, *cells[0][NASTY].terms[1:]))
    hostile = FakeResults(experiment, cells, {NASTY: NASTY})
    page = render(hostile, survey(hostile), NASTY)
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "49" not in page.split("<title>")[1].split("</title>")[0]
    scripts = [a for tag, a in structure(page) if tag == "script"]
    run = [a for a in scripts if a.get("type") not in ("application/json", "text/plain")]
    assert len(run) == 2  # the colour scheme, and the page's own
    for text in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S):
        json.loads(text)


@pytest.mark.parametrize("value", ["</script>", "<!--", "]]>", "\u2028\u2029", "a & b"])
def test_json_in_scripts_can_be_read_back_and_never_ends_one(value: str) -> None:
    text = str(script_json({"x": value}))
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"x": value}


def test_code_in_sentences_is_escaped() -> None:
    assert str(in_code("use `<b>` & go")) == "use <code>&lt;b&gt;</code> &amp; go"


def test_an_unfinished_or_empty_run_still_has_a_page(study: FakeResults) -> None:
    empty = FakeResults(study.experiment, [{} for _ in study.cells])
    page = render(empty, survey(empty), "run")
    assert "There is nothing to judge yet" in page


def test_files_beside_the_page(study: FakeResults, tmp_path: Path) -> None:
    small = FakeResults(study.experiment, study.cells)
    path = write_report(small, tmp_path / "run" / "report.html")
    assert path.stat().st_size < 3_000_000
    assert (path.parent / "performance.csv").exists()
    assert (path.parent / "performance.parquet").exists()


def test_failures_stand_by_cause_with_their_messages_folded() -> None:
    """Optimisers say the same at length in many ways: one row a cause, every message and every command below it."""
    said = ["flag; retried with cg; |grad| = #", "flag; retried with bfgs", "x" * 500, ""]
    failures = [
        {
            "cell": cell,
            "words": f"condition {cell}",
            "estimator": "mixedlm",
            "status": "not converged",
            "message": message,
            "count": 2 + i,
            "attempted": 40,
            "examples": [i],
        }
        for cell in (0, 1)
        for i, message in enumerate(said)
    ]
    made = grouped(failures, "run")
    assert [(one["cell"], one["cause"], one["count"], one["share"]) for one in made if one["cell"] == 0] == [
        (0, "flag", 5, "12 %"),
        (0, "", 5, "12 %"),
        (0, "x" * 109 + "…", 4, "10 %"),
    ]
    assert [m["text"] for one in made if one["cell"] == 1 for m in one["messages"]] == [
        *said[:2],
        "",
        said[2],
    ]
    commands = [command for one in made for m in one["messages"] for command in m["commands"]]
    assert len(set(commands)) == len(commands) == 8


def test_every_term_that_can_be_chosen_has_a_table_or_a_reason(page: str) -> None:
    terms = re.findall(r'<option value="([^"]*)">', page.split('<select id="term">')[1].split("</select>")[0])
    assert "Intercept" in terms
    sections = re.findall(
        r'<section aria-labelledby="(glance|ranking|paired|why)-head">(.*?)</section>', page, re.S
    )
    assert len(sections) == 4
    for _, section in sections:
        assert sorted(re.findall(r'data-term="([^"]*)"', section)) == sorted(terms)
        assert "The intercept is left out" in section


def test_conditions_that_were_not_run_say_so(study: FakeResults) -> None:
    half = FakeResults(study.experiment, [study.cells[0], {}])
    page = render(half, survey(half), "run")
    assert page.count('title="not run yet"') == page.count('data-cell="1" title=')
    assert 'data-cell="0" title="not run yet"' not in page


@pytest.mark.parametrize("others", [0.0, 0.2])
def test_a_method_of_exact_and_endless_certainty_is_reported(others: float) -> None:
    """Penalised fits drop an effect: estimate 0, standard error 0, an interval without width around the true 0."""
    made = school_study(reps=60, schools=(10,), icc=(0.2,))
    base = made.experiment
    terms = made.cells[0]["ols"].terms
    truth, zeros = np.tile([50.0, 2.0, 1.0, 0.5], (60, 1)), np.zeros((60, 4))
    noise = np.random.default_rng(5).standard_normal((60, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        certain = estimates_of(truth, zeros, terms)
    made.cells[0] = {
        "dropped": certain,
        "ols": estimates_of(truth + others * noise, zeros + others, terms) if others else certain,
    }
    methods = (estimator("dropped"), estimator("ols"))
    made = replace(made, experiment=replace(base, estimators=methods))
    page = render(made, survey(made), "run")
    assert ">∞<" in page if others else ">1.00<" in page
    assert max(map(len, re.findall(r">[\d,.]+<", page))) < 20
    assert "the one condition" not in page
