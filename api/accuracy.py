"""The pytest fixture `accuracy`: claims about a method, tested on simulated data with a stated false-alarm rate.

Each assertion draws data from a law whose truth is known (`on`), fits the method on as many data sets as its power
needs, and fails with the number, its bounds, its Monte Carlo error and the way to see a data set that contradicts
the claim. The seed is fixed, so a test gives the same answer every time; ``--nestbench-seed`` tries another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nestbench.experiments.experiment import Experiment
from nestbench.experiments.running.in_memory import InMemory
from nestbench.experiments.running.start import resolve
from nestbench.reports.accuracy import check_formats, evidence
from nestbench.reports.accuracy.baseline import Value, baseline_of
from nestbench.reports.accuracy.baseline_file import experiment_of, read_baseline, write_baseline
from nestbench.reports.accuracy.changes import FAILING, Mark
from nestbench.reports.accuracy.check import ALPHA, check
from nestbench.reports.accuracy.evidence import Gate
from nestbench.sim.cell import Cell
from nestbench.sim.errors import InvalidInput
from nestbench.studies import Method, as_estimator, cell_of, differences
from nestbench.study import Fits, Study

SEED = 20261122
FAIL_ON = tuple(mark.value for mark in FAILING)
Where = Cell | Experiment | str | Path | None
Measures = Mapping[str, Mapping[str, Value]]


@dataclass(slots=True)
class Accuracy:
    """What a test can claim about a method.

    Common parameters of the assertions:

    estimator
        A name, a table ``{"name": ..., option: ...}``, an `Estimator`, or a function ``(frame, model) -> table``.
    on
        Where: a `Cell`, an experiment (object, TOML file or catalogue name; `cell` chooses one of its cells), or
        nothing for a friendly law: 20 schools of 20 students, ICC .1, half of the schools treated without effect.
    terms
        Which terms (default: all the method estimates and the law knows the truth of).
    detect, power
        The departure that must be found, with which probability; they decide the number of replications.
    tolerance
        The departure that is allowed.
    false_alarm
        Chance that the assertion fails although the claim is true, over all terms.
    max_unusable
        Share of fits that may give no usable answer.

    Attributes
    ----------
    seed : int or None
        Of the random streams, instead of the experiment's or the usual one.
    folder : Path
        Where relative paths start: the folder of the test file.
    scratch : Path
        Where studies of failed assertions are written.
    test : str
        The test's name for pytest.
    update : bool
        Whether baselines are rewritten instead of compared with.
    fits : Fits
        What was fitted before: tests of one method on one law share it.
    """

    seed: int | None = None
    folder: Path = field(default_factory=Path.cwd)
    scratch: Path = Path(".nestbench")
    test: str = ""
    update: bool = False
    fits: Fits = field(default_factory=Fits, repr=False)

    def assert_unbiased(
        self,
        estimator: Method,
        *,
        on: Where = None,
        cell: int = 0,
        terms: Sequence[str] | None = None,
        tolerance: float = 0.0,
        detect: float = 0.25,
        power: float = 0.9,
        false_alarm: float = 1e-6,
        max_unusable: float = 0.0,
        replications: int | None = None,
    ) -> None:
        """Claim that the bias is 0; `tolerance` and `detect` are in units of the empirical SE."""
        __tracebackhide__ = True
        study = self._study(estimator, on, cell, terms, max_unusable, replications)
        gate = Gate(false_alarm, power, detect, tolerance, len(study.terms))
        measures = study.measures(replications or evidence.mean_replications(gate))
        study.judge(
            "bias",
            [
                evidence.bias_finding(t, measures[t]["bias"], measures[t]["empirical_se"][0], gate)
                for t in study.terms
            ],
            f"0, tolerance {tolerance:g} empirical SE",
            gate,
        )

    def assert_coverage(
        self,
        estimator: Method,
        *,
        on: Where = None,
        cell: int = 0,
        terms: Sequence[str] | None = None,
        level: float | None = None,
        at_least: bool = False,
        tolerance: float = 0.0,
        detect: float = 0.05,
        power: float = 0.9,
        false_alarm: float = 1e-6,
        max_unusable: float = 0.0,
        replications: int | None = None,
    ) -> None:
        """Claim that the intervals cover the truth with their level (the model's, unless `level` is given).

        With `at_least`, too high a coverage is no fault. The test is exact.
        """
        __tracebackhide__ = True
        study = self._study(estimator, on, cell, terms, max_unusable, replications)
        nominal = study.cell.model.level if level is None else level
        low, high = max(0.0, nominal - tolerance), 1.0 if at_least else min(1.0, nominal + tolerance)
        gate = Gate(false_alarm, power, detect, tolerance, len(study.terms))
        count = replications or evidence.share_replications(gate, low, high, max(0.0, nominal - detect))
        measures = study.measures(count)
        found = [evidence.share_finding(t, measures[t]["coverage"], low, high, gate) for t in study.terms]
        study.judge("coverage", found, f"{low:g} to {high:g}", gate)

    def assert_type_one_error(
        self,
        estimator: Method,
        *,
        on: Where = None,
        cell: int = 0,
        terms: Sequence[str] | None = None,
        two_sided: bool = False,
        tolerance: float = 0.0,
        detect: float = 0.05,
        power: float = 0.9,
        false_alarm: float = 1e-6,
        max_unusable: float = 0.0,
        replications: int | None = None,
    ) -> None:
        """Claim that true null hypotheses are rejected no more often than alpha (the model's ``1 - level``).

        Only terms whose true value is 0 are tested. With `two_sided`, rejecting too rarely is a fault too. The test is
        exact.
        """
        __tracebackhide__ = True
        study = self._study(estimator, on, cell, terms, max_unusable, replications, only_null=True)
        alpha = study.cell.model.alpha
        low, high = max(0.0, alpha - tolerance) if two_sided else 0.0, min(1.0, alpha + tolerance)
        gate = Gate(false_alarm, power, detect, tolerance, len(study.terms))
        count = replications or evidence.share_replications(gate, low, high, min(1.0, alpha + detect))
        measures = study.measures(count)
        found = [evidence.share_finding(t, measures[t]["rejection"], low, high, gate) for t in study.terms]
        study.judge("rejection rate under the null hypothesis", found, f"{low:g} to {high:g}", gate)

    def assert_se_calibrated(
        self,
        estimator: Method,
        *,
        on: Where = None,
        cell: int = 0,
        terms: Sequence[str] | None = None,
        tolerance: float = 0.0,
        detect: float = 0.25,
        power: float = 0.9,
        false_alarm: float = 1e-6,
        max_unusable: float = 0.0,
        replications: int | None = None,
    ) -> None:
        """Claim that the standard errors are as large as the estimates vary: model SE / empirical SE is 1.

        `tolerance` and `detect` are relative. Standard errors that vary need more replications than normal theory says,
        so a second round is drawn if the Monte Carlo error of the first (never the ratio itself) asks for it.
        """
        __tracebackhide__ = True
        study = self._study(estimator, on, cell, terms, max_unusable, replications)
        gate = Gate(false_alarm, power, detect, tolerance, len(study.terms))
        count = replications or evidence.mean_replications(gate, math.sqrt(0.5))
        measures = study.measures(count)
        if replications is None:
            worst = max(measures[t]["se_error"][1] / 100.0 for t in study.terms)
            grown = min(4.0, worst**2 * 2.0 * count) if math.isfinite(worst) else 1.0
            measures = study.measures(math.ceil(count * max(1.0, grown)))
        found = [evidence.ratio_finding(t, measures[t]["se_error"], gate) for t in study.terms]
        study.judge("model SE / empirical SE", found, f"1, tolerance {tolerance:g}", gate)

    def assert_equivalent(
        self,
        first: Method,
        second: Method,
        *,
        on: Where = None,
        cell: int = 0,
        terms: Sequence[str] | None = None,
        columns: Sequence[str] = ("estimate", "std_error", "df", "p_value"),
        rtol: float = 1e-6,
        detect: float = 0.02,
        power: float = 0.9,
        replications: int | None = None,
    ) -> None:
        """Claim that two methods return the same numbers on the same data, to a relative tolerance.

        A disagreement that occurs in a share `detect` of data sets is found with probability `power`; nothing random
        can make the claim fail when it is true, so the false-alarm rate is 0. Numbers are compared relative to their
        size or the standard error, whichever is larger; both must be missing, or neither.
        """
        __tracebackhide__ = True
        gate = Gate(0.5, power, detect, 0.0)
        one, two = (self._study(e, on, cell, terms, 1.0, replications) for e in (first, second))
        count = replications or evidence.disagreement_replications(gate)
        shared = [t for t in one.terms if t in two.terms]
        worst = differences(one.fitted(count), two.fitted(count), shared, columns, rtol)
        if worst.size > rtol:
            where = int(worst.replication)
            raise AssertionError(
                f"{one.name} and {two.name} differ in {worst.what}: {worst.left:.12g} and {worst.right:.12g} "
                f"in replication {where}\n  relative difference {worst.size:.3g}, allowed {rtol:g}; "
                f"{worst.count} of {count} data sets differ\n{one.ways(where)}"
            )

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

        The experiment is `on`, or the baseline's own; `estimators` instead of its own, e.g. functions under test. With
        ``--nestbench-update`` the baseline is written anew and nothing is claimed. On the baseline's seed nothing is
        random; with another seed or version the false-alarm rate is that of the whole check.
        """
        __tracebackhide__ = True
        file = self.folder / baseline
        experiment = self._experiment(file, on, estimators)
        if self.update:
            write_baseline(baseline_of(InMemory(experiment)), file)
            return
        outcome = check(read_baseline(file), InMemory(experiment), margins, false_alarm)
        failing = tuple(Mark(mark.replace("-", " ")) for mark in fail_on)
        if outcome.failing(failing):
            text = check_formats.to_text(outcome, "RUN", failing)
            raise AssertionError(
                f"{text}RUN is a run of '{experiment.name}' (nestbench run); to accept the numbers of now: "
                f"pytest --nestbench-update '{self.test}'"
            )

    def _experiment(
        self, file: Path, on: Experiment | str | Path | None, estimators: Sequence[Method] | None
    ) -> Experiment:
        if on is None and not file.is_file():
            raise InvalidInput(
                f"expected a baseline in {file}, got no such file; name the experiment (on=...) and run pytest "
                "--nestbench-update once"
            )
        own = on is None
        experiment = (
            experiment_of(read_baseline(file), file.parent) if own else resolve(_local(on, self.folder))
        )
        if estimators is not None:
            experiment = replace(experiment, estimators=tuple(as_estimator(e) for e in estimators))
        return experiment if self.seed is None else replace(experiment, seed=self.seed)

    def _study(
        self,
        estimator: Method,
        on: Where,
        cell: int,
        terms: Sequence[str] | None,
        max_unusable: float,
        replications: int | None,
        only_null: bool = False,
    ) -> Study:
        chosen = as_estimator(estimator)
        place, own = cell_of(_local(on, self.folder), cell)
        usual = SEED if own is None else own
        study = Study(
            estimator=chosen,
            cell=place,
            seed=usual if self.seed is None else self.seed,
            max_unusable=max_unusable,
            fits=self.fits,
            scratch=self.scratch,
            test=self.test,
            asked=replications is not None,
        )
        study.choose(terms, only_null)
        return study


def _local(on: Any, folder: Path) -> Any:
    """Return a relative path to a file as seen from the test's folder; names of the catalogue stay."""
    return folder / on if isinstance(on, (str, Path)) and (folder / on).exists() else on
