"""The pytest fixture `accuracy`: claims about a method, tested on simulated data with a stated false-alarm rate.

Each assertion draws data from a population whose truth is known (`on`), fits the method on as many data sets as its
power needs, and fails with the number, its bounds, its Monte Carlo error and the way to see a data set that contradicts
the claim. The seed is fixed, so a test gives the same answer every time; ``--nestbench-seed`` tries another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from nestbench.estimators.estimates import DF, SUMMARY
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.in_memory import InMemory
from nestbench.reports.accuracy import check_formats, claims, evidence
from nestbench.reports.accuracy.baseline import baseline_of
from nestbench.reports.accuracy.baseline_file import read_baseline, write_baseline
from nestbench.reports.accuracy.changes import FAILING, Mark
from nestbench.reports.accuracy.check import ALPHA, Check, check
from nestbench.reports.accuracy.claims import Claim
from nestbench.reports.accuracy.evidence import Finding, Gate
from nestbench.sim.cells.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.testing.asked import Asked, Common, local
from nestbench.testing.fits import Fits, UnderTest
from nestbench.testing.given import Method, as_estimator, cell_of, differences
from nestbench.testing.known_df import balanced_df
from nestbench.testing.regression import baseline_file, checked_experiment, kept_run
from nestbench.testing.stated_df import KnownDf, stated_df, with_df

SEED = 20261122
FAIL_ON = tuple(mark.value for mark in FAILING)
ClaimRow = dict[str, str | int | float | bool]
"""What became of a claim: ``claim, method, n, seen, seconds, passed``; plain values, which processes can exchange."""


@dataclass(slots=True)
class Accuracy:
    """What a test can claim about a method.

    Common parameters of the assertions:

    estimator : str, mapping, Estimator or function
        A name, a table ``{"name": ..., option: ...}``, an `Estimator`, or a function ``(frame, model) -> table``.
    on
        Where: a `Cell`, an experiment (object, TOML file or catalogue name; `cell` chooses one of its conditions), or
        nothing for a friendly population: 20 schools of 20 students, ICC .1, half of the schools treated without
        effect.
    terms
        Which terms (default: all the method estimates and the population knows the truth of).
    detect, power
        The departure that must be found, with which probability (default .9); they decide the number of replications.
    tolerance
        The departure that is allowed (default 0).
    false_alarm
        Chance that the assertion fails although the claim is true, over all terms (default one in a million).
    max_unusable
        Share of fits that may give no usable answer (default 0).
    replications
        Number of data sets, instead of what the power needs.

    Attributes
    ----------
    seed : int or None
        Of the random streams, instead of the experiment's or the usual one.
    folder : Path
        Where relative paths start: the folder of the test file.
    root : Path
        Where a baseline is looked for when it isn't there: the folder pytest was started from.
    scratch : Path
        Where studies and runs of failed assertions are written.
    test : str
        The test's name for pytest.
    update : bool
        Whether baselines are rewritten instead of compared with.
    fits : Fits
        What was fitted before: tests of one method on one population share it.
    rows : list
        What became of the claims so far.
    """

    seed: int | None = None
    folder: Path = field(default_factory=Path.cwd)
    root: Path = field(default_factory=Path.cwd)
    scratch: Path = Path(".nestbench")
    test: str = ""
    update: bool = False
    fits: Fits = field(default_factory=Fits, repr=False)
    rows: list[ClaimRow] = field(default_factory=list, repr=False)

    def assert_unbiased(self, estimator: Method, *, detect: float = 0.25, **common: Unpack[Common]) -> None:
        """Claim that the bias is 0; `tolerance` and `detect` are in units of the empirical SE."""
        __tracebackhide__ = True
        self._claim(estimator, lambda gate, cell: claims.unbiased(gate), detect, common)

    def assert_coverage(
        self,
        estimator: Method,
        *,
        level: float | None = None,
        at_least: bool = False,
        detect: float = 0.05,
        **common: Unpack[Common],
    ) -> None:
        """Claim that the intervals cover the truth with their level (the model's, unless `level` is given).

        With `at_least`, too high a coverage is no fault. The test is exact.
        """
        __tracebackhide__ = True

        def made(gate: Gate, cell: Cell) -> Claim:
            return claims.covering(gate, cell.model.level if level is None else level, at_least)

        self._claim(estimator, made, detect, common)

    def assert_type_one_error(
        self, estimator: Method, *, two_sided: bool = False, detect: float = 0.05, **common: Unpack[Common]
    ) -> None:
        """Claim that true null hypotheses are rejected no more often than alpha (the model's ``1 - level``).

        Only terms whose true value is the model's null value (0 unless stated) are tested. With `two_sided`, rejecting
        too rarely is a fault too. The test is exact.
        """
        __tracebackhide__ = True

        def made(gate: Gate, cell: Cell) -> Claim:
            return claims.keeping_size(gate, cell.model.alpha, two_sided)

        self._claim(estimator, made, detect, common, only_null=True)

    def assert_se_calibrated(
        self,
        estimator: Method,
        *,
        within: float | None = None,
        detect: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        """Claim that the standard errors are as large as the estimates vary: model SE / empirical SE is 1.

        `tolerance` and `detect` (default .25) are relative: ``detect=0.04`` finds standard errors that are 4 % off.
        ``within=0.05`` is the claim that they are calibrated within 5 %, an equivalence: it is the tolerance, `detect`
        becomes twice as much, and the claim fails only where the ratio is shown to lie outside; the table of claims
        says whether it was shown to lie within. Standard errors that vary need more replications than normal theory
        says, so a second round is drawn if the Monte Carlo error of the first (never the ratio itself) asks for it.
        """
        __tracebackhide__ = True
        if within is not None:
            if "tolerance" in common:
                raise InvalidInput("expected within or tolerance, got both; within is the tolerance")
            common["tolerance"] = within
        usual = 0.25 if within is None else 2.0 * within
        wanted = usual if detect is None else detect
        self._claim(estimator, lambda gate, cell: claims.calibrated(gate), wanted, common)

    def assert_df(
        self,
        estimator: Method,
        *,
        equals: float | Method | None = None,
        detect: float | None = None,
        **common: Unpack[Common],
    ) -> None:
        """Claim that the degrees of freedom are right.

        With a number, every fit must have it; with a reference method, the reference's on the same data: nothing
        random, `detect` is the share of data sets that may go unseen (default .02). Otherwise the population decides:
        squared standard errors must vary as their df say, ``Var(s^2) / E(s^2)^2 = 2 / df`` (`tolerance`, `detect`
        relative, default .1, one df of ten), as they do where they are proportional to chi-squared variables: in
        balanced data.
        """
        __tracebackhide__ = True
        if equals is None:
            wanted = 0.1 if detect is None else detect
            self._claim(estimator, lambda gate, cell: claims.right_df(gate), wanted, common)
            return
        share = 0.02 if detect is None else detect
        if isinstance(equals, (int, float)):
            df = float(equals)
            self._same(estimator, None, (DF,), 1e-6, share, common, ("", lambda cell, seed: df))
        else:
            self._same(estimator, equals, (DF,), 1e-6, share, common)

    def assert_df_balanced(
        self, estimator: Method, *, detect: float = 0.02, **common: Unpack[Common]
    ) -> None:
        """Claim that the degrees of freedom are those that theory knows for a balanced design: see `known_df`.

        G - 2 for an intercept and a treatment of schools. `tolerance` is relative (default 0), `detect` the share of
        data sets that may go unseen. A method that estimates the school variance at 0 pools: take a larger ICC.
        """
        __tracebackhide__ = True
        rtol = max(1e-6, common.pop("tolerance", 0.0))
        self._same(estimator, None, (DF,), rtol, detect, common, ("balanced ", balanced_df))

    def assert_as_precise(
        self, estimator: Method, than: Method, *, detect: float = 0.05, **common: Unpack[Common]
    ) -> None:
        """Claim that the estimates vary no more than a reference method's on the same data sets.

        `tolerance` and `detect` are relative to the reference's empirical SE: one school of twenty left out costs
        2.5 %. The more the two estimates agree, the fewer data sets are drawn. Exact for normal estimates.
        """
        __tracebackhide__ = True
        asked = Asked(**common)
        reference = self._under_test(than, asked)
        self._claim(
            estimator,
            lambda gate, cell: claims.as_precise(gate, reference.name),
            detect,
            common,
            reference=reference,
        )

    def assert_interval_score(
        self, estimator: Method, than: Method, *, detect: float = 0.05, **common: Unpack[Common]
    ) -> None:
        """Claim that the mean interval score is no larger than a reference method's on the same data sets.

        The score is an interval's width and ``2 / alpha`` times what it misses the truth by: narrow intervals that
        miss pay, wide ones that cover too. `tolerance` and `detect` are relative to the reference's mean score.
        """
        __tracebackhide__ = True
        reference = self._under_test(than, Asked(**common))

        def made(gate: Gate, cell: Cell) -> Claim:
            return claims.scoring(gate, reference.name, cell.truth, cell.model.alpha)

        self._claim(estimator, made, detect, common, reference=reference)

    def assert_same_answer(
        self,
        estimator: Method,
        reference: Method,
        *,
        columns: Sequence[str] = SUMMARY,
        rtol: float = 1e-6,
        detect: float = 0.02,
        **common: Unpack[Common],
    ) -> None:
        """Claim that a method returns the same numbers as a reference method on the same data, to a relative tolerance.

        A disagreement that occurs in a share `detect` of data sets is found with probability `power`; nothing random
        can make the claim fail when it is true, so the false-alarm rate is 0. Numbers are compared relative to their
        size or the standard error, whichever is larger; both must be missing, or neither.
        """
        __tracebackhide__ = True
        self._same(estimator, reference, columns, rtol, detect, common)

    assert_equivalent = assert_same_answer

    def assert_no_regression(
        self,
        baseline: str | Path,
        *,
        on: Experiment | str | Path | None = None,
        estimators: Sequence[Method] | None = None,
        margins: Mapping[str, float] | None = None,
        false_alarm: float = ALPHA,
        fail_on: Sequence[str] = FAIL_ON,
    ) -> None:
        """Claim that an experiment is as accurate as in a baseline file; the rules are those of `nestbench check`.

        The file is looked for beside the test, then where pytest was started. The experiment is `on`, or the baseline's
        own; `estimators` instead of its own, e.g. functions under test. With ``--nestbench-update`` the baseline is
        written anew and nothing is claimed. On the baseline's seed nothing is random; with another seed or version the
        false-alarm rate is that of the whole check.
        """
        __tracebackhide__ = True
        file = baseline_file(baseline, self.folder, self.root)
        experiment = checked_experiment(file, self.root, local(on, self.folder), estimators, self.seed)
        if self.update:
            write_baseline(baseline_of(InMemory(experiment)), file)
            return
        with self._row_for(f"as accurate as {file.name}", experiment.name) as row:
            results = InMemory(experiment)
            outcome = check(read_baseline(file), results, margins, false_alarm)
            failing = tuple(Mark(mark.replace("-", " ")) for mark in fail_on)
            row |= {"n": experiment.replications, "seen": _counted(outcome)}
            if outcome.failing(failing):
                shown = kept_run(results, self.scratch, self.test, outcome)
                text = check_formats.to_text(outcome, shown, failing)
                raise AssertionError(
                    f"{text}to accept the numbers of now: pytest --nestbench-update '{self.test}'"
                )

    def _claim(
        self,
        estimator: Method,
        claim_of: Callable[[Gate, Cell], Claim],
        detect: float,
        common: Common,
        only_null: bool = False,
        reference: UnderTest | None = None,
    ) -> None:
        __tracebackhide__ = True
        asked = Asked(**common)
        tested = self._under_test(estimator, asked, only_null)
        gate = Gate(asked.false_alarm, asked.power, detect, asked.tolerance, len(tested.terms))
        claim = claim_of(gate, tested.cell)
        with self._row_for(f"{claim.what}: {claim.wanted}", tested.name) as row:
            row["n"] = asked.replications or claim.replications
            findings = tested.findings(claim, reference)
            row |= _seen(findings)
            tested.judge(claim, findings)

    def _same(
        self,
        first: Method,
        second: Method | None,
        columns: Sequence[str],
        rtol: float,
        detect: float,
        common: Common,
        known: KnownDf | None = None,
    ) -> None:
        """Claim the same answers as a second method's, or without one the df that are `known` in every fit."""
        __tracebackhide__ = True
        # Unusable fits are compared, too: what one method can't answer the other must not.
        asked = replace(Asked(**common), max_unusable=1.0)
        # Nothing random can raise a false alarm here: its rate only has to be one.
        gate = Gate(0.5, asked.power, detect, 0.0)
        one = self._under_test(first, asked)
        two = one if second is None else self._under_test(second, asked)
        name, df = stated_df(known, one) if known else (two.name, {})
        count = asked.replications or evidence.disagreement_replications(gate)
        shared = [t for t in one.terms if t in two.terms]
        with self._row_for(f"same {', '.join(columns)} as {name}", one.name) as row:
            row["n"] = count
            other = two.fitted(count)
            if known:
                other = with_df(other, df)
            worst = differences(one.fitted(count), other, shared, columns, rtol)
            row["seen"] = f"largest relative difference {worst.size:.2g}, allowed {rtol:g}"
            if worst.size > rtol:
                where = int(worst.replication)
                raise AssertionError(
                    f"{one.name} and {name} differ in {worst.what}: {worst.left:.12g} and {worst.right:.12g} "
                    f"in replication {where}\n  relative difference {worst.size:.3g}, allowed {rtol:g}; "
                    f"{worst.count} of {count} data sets differ\n{one.ways(where)}"
                )

    @contextmanager
    def _row_for(self, claim: str, method: str) -> Iterator[ClaimRow]:
        """Keep what becomes of a claim for the table at the end of the session."""
        __tracebackhide__ = True
        row: ClaimRow = {
            "claim": claim,
            "method": method,
            "n": 0,
            "seen": "",
            "seconds": 0.0,
            "passed": False,
        }
        started = time.perf_counter()
        self.rows.append(row)
        try:
            yield row
            row["passed"] = True
        finally:
            row["seconds"] = time.perf_counter() - started

    def _under_test(self, estimator: Method, asked: Asked, only_null: bool = False) -> UnderTest:
        chosen = as_estimator(estimator)
        place, own = cell_of(local(asked.on, self.folder), asked.cell)
        usual = SEED if own is None else own
        tested = UnderTest(
            estimator=chosen,
            cell=place,
            seed=usual if self.seed is None else self.seed,
            max_unusable=asked.max_unusable,
            fits=self.fits,
            scratch=self.scratch,
            test=self.test,
            asked=asked.replications,
        )
        tested.choose(asked.terms, only_null)
        return tested


def _seen(findings: Sequence[Finding]) -> ClaimRow:
    """Return the n of a claim and the term nearest to its bounds, for the table."""
    f = max(findings, key=lambda finding: finding.closeness)
    text = f"{f.term} {f.value:.4g} (MCSE {f.mcse:.2g}), bounds {f.low:.4g} to {f.high:.4g}"
    # Of several terms the one that was shown least: a claim is shown where all of its terms are.
    notes = sorted({one.note for one in findings if one.note}, key=lambda note: "not shown" not in note)
    return {"n": f.n, "seen": "; ".join([text, *notes[:1]])}


def _counted(outcome: Check) -> str:
    """Return what a check found, in a few words."""
    marks = ", ".join(f"{n} {mark}" for mark, n in outcome.counts().items())
    return f"{outcome.pairs} pairs of condition and method: {marks or 'no change'}"
