"""What a study says of a number is said everywhere alike: sentences, figures' marks, glance and matrices."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from nestbench.reports.comparing.judged import judged
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.figures import panels
from nestbench.reports.figures.kinds import Wish, figure
from nestbench.reports.figures.theme import LIGHT, dressed
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.page.sections import glance
from nestbench.reports.page.survey import survey
from nestbench.reports.words.verdict import verdicts
from tests.reports.figures.reading import read
from tests.reports.synthetic import TERMS, FakeResults, Law, estimates_of, estimator, school_study

Place = tuple[int, str, str]
"""Cell, method, term."""
NAMES = ("ant", "bee", "cat")
EFFECTS = ("age", "resources")
METHOD = st.tuples(st.sampled_from([0.0, 0.0, 0.03, 0.08, 0.4]), st.sampled_from([0.6, 0.93, 1.0, 1.05, 1.6]))
"""Bias, and standard error over the true one."""
STUDY = (
    st.sampled_from([25, 300, 4000]),
    st.lists(METHOD, min_size=1, max_size=3),
    st.integers(0, 9_999),
    st.booleans(),
)


@dataclass(frozen=True)
class NoEffect(Law):
    """The law with an effect of 0, so that tests of it make type I errors."""

    @property
    def truth(self) -> dict[str, float]:
        return {**super().truth, "resources": 0.0}


def study_of(reps: int, methods: list[tuple[float, float]], seed: int, null: bool) -> FakeResults:
    rng = np.random.default_rng(seed)
    base = school_study(reps=2, schools=(6,), icc=(0.0, 0.2))
    law = NoEffect() if null else Law()
    labels = NAMES[: len(methods)]
    truth = np.array([law.truth[term] for term in EFFECTS])
    cells = [
        {
            label: estimates_of(truth + bias + rng.normal(0, 1, (reps, 2)), np.full((reps, 2), se), EFFECTS)
            for label, (bias, se) in zip(labels, methods, strict=True)
        }
        for _ in range(2)
    ]
    laws = tuple(replace(cell, population=law) for cell in base.experiment.cells)
    experiment = replace(
        base.experiment, cells=laws, estimators=tuple(map(estimator, labels)), replications=reps
    )
    return FakeResults(experiment, cells)


def known(study: FakeResults) -> tuple[dict[Place, str], dict[Place, str]]:
    """Bias and grade of every place from the rows, by other code than the reports'."""
    z, hits = {}, {}
    for cell, methods in enumerate(study.cells):
        truth = study.experiment.cells[cell].truth
        for label, found in methods.items():
            for k, term in enumerate(EFFECTS):
                z[cell, label, term] = found.estimate[:, k] - truth[term]
                hits[cell, label, term] = int(
                    ((found.lower[:, k] <= truth[term]) & (truth[term] <= found.upper[:, k])).sum()
                )
    p = [stats.ttest_1samp(error, 0.0).pvalue for error in z.values()]
    biased = {
        at: "open" if not shown else "slight" if abs(e.mean() / e.std(ddof=1)) <= 0.1 else "biased"
        for (at, e), shown in zip(z.items(), multipletests(p, 0.05, "holm")[0], strict=True)
    }
    n = study.experiment.replications
    tails = {at: (stats.binom.cdf(k, n, 0.925), stats.binom.sf(k - 1, n, 0.975)) for at, k in hits.items()}
    outside = multipletests([min(1.0, 2 * min(both)) for both in tails.values()], 0.05, "holm")[0]
    graded = {}
    for (at, (low, high)), off in zip(tails.items(), outside, strict=True):
        share = hits[at] / n
        shown = "fails" if low < high else "too wide"
        if share < 0.925 - 1e-9 or share > 0.975 + 1e-9:
            graded[at] = shown if off else "doubtful" if share < 0.925 else "perhaps too wide"
        else:
            graded[at] = "in order"
    return biased, graded


def marks(study: FakeResults, maker: Any) -> dict[Place, str]:
    """The verdict each dot of a figure's panels is drawn by."""
    chart = dressed(maker(performance_table(study), study.experiment, "*"))
    values = chart["data"]["values"]
    return {(r["cell"], r["estimator"], r["term"]): r["state"] for r in values if "state" in r}


def plain(grade: str) -> str:
    return "in order" if grade in ("holds", "seems to hold") else grade


def check_sentences(study: FakeResults, biased: dict[Place, str]) -> None:
    table = performance_table(study)
    told = " ".join(v.sentence for v in verdicts(table, study.experiment, shared_of_run(study)))
    large, slight = (sum(state == kind for state in biased.values()) for kind in ("biased", "slight"))
    total = len(biased)
    if large:
        assert f"Biased: {large} of {total} estimate" in told
        assert (f"slightly: {slight}." in told) == bool(slight)
        first = re.search(r"`(\w+)` is biased for `", told)
        also = re.search(r"Also biased somewhere: ([^.]*)\.", told)
        assert first is not None
        named = {first[1], *re.findall(r"`(\w+)`", also[1] if also else "")}
        assert named == {label for (_, label, _), state in biased.items() if state == "biased"}
    elif slight:
        assert f"Bias is shown in {slight} of {total} estimate" in told
    else:
        assert "s shown in" not in told.replace("No bias of an effect is shown", "")
        assert "biased for" not in told
        assert "No bias of an effect is shown" in told or "No method is biased by more than" in told


def check(made: tuple[int, list[tuple[float, float]], int, bool]) -> None:
    study = study_of(*made)
    biased, graded = known(study)
    words = {"biased": "biased", "slight": "bias shown, at most 0.1 standard errors"}
    drawn = marks(study, panels.bias)
    assert drawn == {at: words.get(state, "bias within Monte Carlo error") for at, state in biased.items()}
    assert {at: plain(grade) for at, grade in marks(study, panels.coverage).items()} == graded
    for at, grade in marks(study, panels.rejection).items():
        null = study.experiment.cells[at[0]].is_null(at[2])
        assert plain(grade) == (graded[at] if null else "power")
    table = performance_table(study)
    for term, rows in glance(table, study.experiment)["terms"].items():
        for label, entries in rows:
            for cell, entry in enumerate(entries):
                assert plain(entry["said"]) == graded[cell, label, term]
    (why,) = [one for one in survey(study, 1).matrices if one["id"] == "why"]
    for term, rows in why["terms"].items():
        for label, entries in rows:
            for cell, entry in enumerate(entries):
                off = graded[cell, label, term] != "in order"
                assert (entry["text"] != "in order") == off
                assert entry["text"] != "bias" or biased[cell, label, term] == "biased"
    check_sentences(study, biased)


@settings(max_examples=2, deadline=None)
@given(st.tuples(*STUDY))
def test_no_two_places_disagree(made: Any) -> None:
    check(made)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.tuples(*STUDY))
def test_no_two_places_of_many_studies_disagree(made: Any) -> None:
    check(made)


def test_a_part_of_a_study_is_judged_as_the_whole() -> None:
    """A bias of p = .02 is shown if it stands alone; of twelve it isn't, whatever is drawn of them."""
    study = study_of(300, [(0.0, 1.0), (0.0, 1.0), (0.0, 1.0)], 5, False)
    own = study.cells[0]["ant"]
    wanted = stats.t(299).isf(0.01) / np.sqrt(300) * own.estimate[:, 0].std(ddof=1)
    own.estimate[:, 0] += 2.0 + wanted - own.estimate[:, 0].mean()
    assert stats.ttest_1samp(own.estimate[:, 0], 2.0).pvalue == pytest.approx(0.02)
    picture = read(dressed(figure(study, "bias", Wish("age", 0, ("ant",)))))
    assert [dot.colour for dot in picture.dots] == [LIGHT["good"]]


def test_p_values_alone_are_judged_together_with_intervals() -> None:
    """Of 1 + 20 methods the first's rejections lie beyond 5 % by themselves, the others' coverages far from it."""
    study = study_of(200, [(0.0, 1.0)], 5, True)
    row = {"cell": 0, "term": "resources", "n": 200, "n_attempted": 200, "mcse": 0.02}
    size = {**row, "estimator": "ant", "measure": "rejection", "value": 0.12}
    others = [{**row, "estimator": f"m{i}", "measure": "coverage", "value": 0.95} for i in range(20)]
    single = 2 * stats.binom.sf(23, 200, 0.075)
    assert 0.05 / 21 < single < 0.05
    alone, among = (
        judged(pd.DataFrame(rows), study.experiment)["state"][0] for rows in ([size], [size, *others])
    )
    assert (alone, among) == ("fails", "doubtful")


def test_the_intercept_is_judged_by_the_limit_of_the_effects() -> None:
    study = school_study(reps=60, schools=(6,), icc=(0.2,))
    drawn = marks(study, panels.bias)
    assert {term for _, _, term in drawn} == set(TERMS)
