"""What a run lacks is said first, and exactly: over random states of random studies."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nestbench.experiments.results import Extent
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.exports.write import markdown
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.report import render
from nestbench.reports.page.survey import survey
from nestbench.reports.words.missing import data_sets, missing_of, missing_sentence
from nestbench.reports.words.summary import print_summary
from nestbench.reports.words.verdict import verdicts
from tests.reports.synthetic import FakeResults, school_study


class Halted(FakeResults):
    """A study whose state is told, not measured."""

    state: Extent

    def extent(self) -> Extent:
        return self.state


STUDY = school_study(reps=20, schools=(6, 10, 30), icc=(0.0, 0.2))
LABELS = [e.label for e in STUDY.experiment.estimators]


@st.composite
def extents(draw: st.DrawFn) -> Extent:
    cells = len(STUDY.cells)
    asked = {label: draw(st.integers(1, 1500)) for label in LABELS}
    shares = st.sampled_from([0.0, 0.5, 1.0])
    fitted = tuple({label: int(draw(shares) * n) for label, n in asked.items()} for _ in range(cells))
    part = draw(st.none() | st.just((2, 5)))
    return Extent((asked,) * cells, fitted, part)


def halted(extent: Extent) -> Halted:
    study = Halted(STUDY.experiment, STUDY.cells)
    study.state = extent
    return study


@given(extents())
def test_every_condition_is_whole_begun_or_empty(extent: Extent) -> None:
    whole = [i for i, f in enumerate(extent.fitted) if f == extent.asked[i]]
    empty = [i for i, f in enumerate(extent.fitted) if not any(f.values())]
    found = missing_of(extent)
    assert (found.whole, list(found.empty)) == (len(whole), empty)
    assert sorted([*whole, *empty, *found.begun]) == list(range(len(extent.fitted)))
    said = missing_sentence(halted(extent))
    assert bool(said) == bool(found) == (len(whole) < len(extent.fitted))
    if said:
        assert f"{len(whole)} of 6 conditions ha" in said
        assert said.startswith("Part 2 of 5" if extent.part else "Unfinished")


@given(extents())
def test_the_number_of_data_sets_is_that_of_each_method(extent: Extent) -> None:
    said = data_sets(halted(extent))
    most = {label: max(cell[label] for cell in extent.fitted) for label in LABELS}
    top = max(most.values())
    assert f"{top:,} data set" in said
    assert said.startswith("up to") == any(cell != extent.fitted[0] for cell in extent.fitted)
    for label, n in most.items():
        named = re.search(rf"{re.escape(label)}(, [\w, -]+| and [\w-]+)* {n:,}\b", said)
        assert n == top or named or " more " in said, (label, n, said)


def test_a_condition_that_is_begun_says_how_far_it_is() -> None:
    asked = {"ols": 60, "mixedlm": 12}
    same, apart = {"ols": 25, "mixedlm": 5}, {"ols": 60, "mixedlm": 0}
    study = school_study(reps=20, schools=(6,), icc=(0.0, 0.2))
    told = Halted(study.experiment, study.cells)
    told.state = Extent((asked, asked), (apart, asked))
    assert missing_sentence(told) == (
        "Unfinished: 1 of 2 conditions has all its data sets. Begun: 6 schools and ICC 0 (mixedlm 0 of 12). "
        "What follows rests on what is there."
    )
    told.state = Extent((asked, asked), ({"ols": 0, "mixedlm": 0}, same))
    assert "(25 of 60). Without any: 6 schools and ICC 0." in missing_sentence(told)


def test_long_names_of_conditions_are_counted_but_for_the_first() -> None:
    asked = {"ols": 60}
    study = school_study(reps=20, schools=(6,), icc=(0.0, 0.2, 0.3))
    levels = [
        {"model.formula": f"grade ~ {' + '.join(['age'] * 16)} + x{i}", "layout.schools": 10}
        for i in range(3)
    ]
    told = Halted(replace(study.experiment, levels=tuple(levels)), study.cells)
    told.state = Extent((asked,) * 3, ({"ols": 0},) * 3)
    said = missing_sentence(told)
    assert said.endswith("+ x0 and 10 schools; and 2 more. What follows rests on what is there.")


def test_terminal_page_and_markdown_say_it_before_any_verdict() -> None:
    cells = [STUDY.cells[0], *[{} for _ in STUDY.cells[1:]]]
    study = FakeResults(STUDY.experiment, cells)
    table = performance_table(study)
    stream = io.StringIO()
    print_summary(study, Console(file=stream, width=400), table)
    page, text = render(study, survey(study), "run"), markdown(study, table, shared_of_run(study), "")
    for shown in (stream.getvalue(), page, text):
        assert "Unfinished: 1 of 6 conditions has all its data sets." in shown
        first = verdicts(table, study.experiment, shared_of_run(study))[0].sentence.split("`")[0]
        assert shown.index("Unfinished: 1 of 6") < shown.index(first)
    assert '<th scope="row">stored</th><td>Unfinished' in page
    assert "unfinished, seed" in page
    whole = render(STUDY, survey(STUDY), "run")
    assert "nfinished" not in whole
    assert '<th scope="row">stored</th><td>all data sets of all conditions' in whole
