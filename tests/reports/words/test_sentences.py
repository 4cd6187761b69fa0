"""No sentence contradicts the estimates: numbers of random studies recomputed from the rows, by other means."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.reports.comparing.shared import shared_of_run
from nestbench.reports.measures.performance import performance_table
from nestbench.reports.words.verdict import verdicts
from tests.reports.synthetic import FakeResults, estimates_of, estimator, school_study

TERMS = ("age", "resources")
NAMES = ("ant", "bee", "cat", "dog")
TRUTH = {"age": 2.0, "resources": 0.5}


Faults = tuple[float, float, float, float]
"""Standard error over the true one, bias, share of failed fits, share of endless intervals."""
FAULTS = st.tuples(
    st.sampled_from([0.5, 0.97, 1.0, 1.05, 3.0]),
    st.sampled_from([0.0, 0.0, 0.0, 0.6]),
    st.sampled_from([0.0, 0.0, 0.02, 0.3, 1.0]),
    st.sampled_from([0.0, 0.0, 0.0, 0.5]),
)
RECIPES = (st.sampled_from([20, 130, 400]), st.lists(FAULTS, min_size=2, max_size=4), st.integers(0, 9_999))


def study_of(reps: int, faults: list[Faults], seed: int) -> FakeResults:
    """Two conditions, two terms, two to four methods with faults of every kind."""
    rng, labels = np.random.default_rng(seed), NAMES[: len(faults)]
    base = school_study(reps=2, schools=(6,), icc=(0.0, 0.2))
    kinds = dict(zip(labels, faults, strict=True))
    cells = [{label: drawn(rng, reps, *kind) for label, kind in kinds.items()} for _ in range(2)]
    experiment = replace(base.experiment, estimators=tuple(map(estimator, labels)), replications=reps)
    return FakeResults(experiment, cells)


def drawn(
    rng: np.random.Generator, reps: int, scale: float, bias: float, failing: float, endless: float
) -> Estimates:
    estimate = np.array([TRUTH[term] for term in TERMS]) + bias + rng.normal(0, 1, (reps, 2))
    status = np.where(rng.random(reps) < failing, FitStatus.FAILED, FitStatus.OK)
    found = estimates_of(estimate, np.full((reps, 2), scale), TERMS, status=status)
    open_ended = rng.random((reps, 2)) < endless
    found.lower[open_ended], found.upper[open_ended] = -np.inf, np.inf
    return found


def told(study: FakeResults) -> list[str]:
    return [v.sentence for v in verdicts(performance_table(study), study.experiment, shared_of_run(study))]


class Recomputed:
    """Hits, n, biases and Holm's decisions by estimand, from the rows."""

    def __init__(self, study: FakeResults) -> None:
        self.places = [(cell, term) for cell in range(2) for term in TERMS]
        self.hits: dict[tuple[str, int, str], tuple[int, int]] = {}
        self.bias: dict[tuple[str, int, str], tuple[float, float]] = {}
        for cell, methods in enumerate(study.cells):
            for label, found in methods.items():
                usable = found.status <= FitStatus.BOUNDARY
                for k, term in enumerate(TERMS):
                    if not usable.any():
                        continue
                    t, low, high = (getattr(found, c)[usable, k] for c in ("estimate", "lower", "upper"))
                    hits = (low <= TRUTH[term]) & (TRUTH[term] <= high)
                    self.hits[label, cell, term] = (int(hits.sum()), len(hits))
                    error = t - TRUTH[term]
                    if len(error) > 1:
                        self.bias[label, cell, term] = (error.mean() / error.std(ddof=1), len(error))
        p = {
            at: (stats.binom.cdf(k, n, 0.925), stats.binom.sf(k - 1, n, 0.975))
            for at, (k, n) in self.hits.items()
        }
        rejected = (
            multipletests([min(1.0, 2 * min(both)) for both in p.values()], 0.05, "holm")[0] if p else []
        )
        outside = [at for at, off in zip(p, rejected, strict=True) if off]
        self.short = {at for at in outside if p[at][0] < p[at][1]}
        self.wide = set(outside) - self.short

    def of(self, label: str, places: set[tuple[str, int, str]]) -> int:
        return sum(at[0] == label for at in places)


def check_shortfalls(sentences: list[str], true: Recomputed) -> None:
    named: dict[str, int] = {}
    for sentence in sentences:
        if match := re.match(r"Don't trust `(\w+)`.* it falls short in (\d) of 4 estimands", sentence):
            named[match[1]] = int(match[2])
            lowest = min(k / n for at, (k, n) in true.hits.items() if at in true.short)
            assert float(re.search(r"it covers ([\d.]+) %", sentence)[1]) == pytest.approx(  # type: ignore[index]
                100 * lowest, abs=0.51
            )
        if sentence.startswith("Also too low somewhere"):
            named |= {m[0]: int(m[1]) for m in re.findall(r"`(\w+)` \((\d) of 4 estimands", sentence)}
    assert named == {label: true.of(label, true.short) for label in NAMES if true.of(label, true.short)}


def check_recommended(sentences: list[str], true: Recomputed) -> None:
    first = sentences[0]
    if not first.startswith(("Use", "Not settled")):
        return
    opening = re.match(r"(?:Use|Not settled between) (.*?):", first)
    assert opening is not None
    for label in re.findall(r"`(\w+)`", opening[1]):
        assert not true.of(label, true.short)
        assert all(f"`{label}` is biased" not in s for s in sentences)
        assert all(f"`{label}`" not in s for s in sentences if "Also biased somewhere" in s and "biased" in s)
        assert {(cell, term) for name, cell, term in true.hits if name == label} == set(true.places)
        assert ("too wide in" in first) or not true.of(label, true.wide)
        if "in order beyond Monte Carlo error everywhere" in first:
            for at, (k, n) in true.hits.items():
                low, high = proportion_confint(k, n, method="wilson")
                assert at[0] != label or (low >= 0.925 and high <= 0.975)
        coverage = min(k / n for at, (k, n) in true.hits.items() if at[0] == label)
        bound = min(
            proportion_confint(k, n, method="wilson")[0] for at, (k, n) in true.hits.items() if at[0] == label
        )
        part = first.split(f"`{label}`: lowest")[-1].split("Its lowest")[-1]
        said = [float(x) for x in re.findall(r"([\d.]+) %", part)[:2]]
        assert said == pytest.approx([100 * coverage, 100 * bound], abs=0.51)


def check_bias(sentences: list[str], true: Recomputed) -> None:
    (said,) = [
        s for s in sentences if "bias" in s and not s.startswith(("No method keeps", "This holds"))
    ] or [""]
    if match := re.search(r"biases of up to ([\d.]+) standard errors can't", said):
        assert max(abs(b) for b, _ in true.bias.values()) < float(match[1])
    if match := re.match(r"`(\w+)` is biased for `(\w+)` by ([\d.]+) standard errors", said):
        values = [abs(b) for at, (b, _) in true.bias.items() if (at[0], at[2]) == (match[1], match[2])]
        assert any(value == pytest.approx(float(match[3]), abs=0.051) for value in values)


def check_failures(sentences: list[str], study: FakeResults) -> None:
    bad = {
        label: max(float((cell[label].status > FitStatus.BOUNDARY).mean()) for cell in study.cells)
        for label in study.cells[0]
    }
    failing = [s for s in sentences if s.startswith("No usable answer")]
    assert bool(failing) == any(bad.values())
    for label, share in re.findall(r"`(\w+)` in (all fits|[\d.]+ % of fits)", " ".join(failing)):
        number = 100.0 if share == "all fits" else float(share.split()[0])
        assert number == pytest.approx(100 * bad[label], abs=0.51)


def check(study: FakeResults) -> None:
    sentences, true = told(study), Recomputed(study)
    if sentences[0].startswith("There is nothing to judge"):
        assert not true.hits
        return
    if study.experiment.replications == 20:
        assert sentences[0].startswith(("Too few replications", "No method keeps its promise"))
    check_shortfalls(sentences, true)
    check_recommended(sentences, true)
    check_bias(sentences, true)
    check_failures(sentences, study)
    assert not any(re.search(r"MCSE 0(\.0+)?\)|nan|-0\.0+(?!\d)", s) for s in sentences)
    turned = replace(study.experiment, estimators=tuple(reversed(study.experiment.estimators)))
    again = FakeResults(turned, [dict(reversed(list(cell.items()))) for cell in study.cells])
    assert sorted(told(again)) == sorted(sentences)


@settings(max_examples=6, deadline=None)
@given(*RECIPES)
def test_no_sentence_contradicts_the_rows(reps: int, faults: list[Faults], seed: int) -> None:
    check(study_of(reps, faults, seed))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(*RECIPES)
def test_no_sentence_contradicts_the_rows_of_many_studies(reps: int, faults: list[Faults], seed: int) -> None:
    check(study_of(reps, faults, seed))
