"""One method on one condition within an assertion: its fits, its terms, and what to say when a claim fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nestbench.estimators.estimates import Estimates, FitStatus
from nestbench.estimators.estimator import Estimator
from nestbench.experiments.running.work import fit_all
from nestbench.reports.accuracy.baseline import measures_of
from nestbench.reports.accuracy.claims import Claim, Evidence
from nestbench.reports.accuracy.evidence import Finding
from nestbench.sim.cells.cell import Cell
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput
from nestbench.testing.condition_files import condition_file, simulate


@dataclass(slots=True)
class Fits:
    """Fits kept by method, condition and seed; more data sets are drawn only when more are asked for."""

    kept: dict[Any, tuple[Estimator, Estimates]] = field(default_factory=dict, repr=False)

    def first(self, estimator: Estimator, cell: Cell, seed: int, count: int) -> Estimates:
        """Return the estimates on the first `count` data sets."""
        key = _key(estimator, cell, seed)
        old = self.kept.get(key)
        have = old[1].size if old else 0
        if count > have:
            # Only what is missing: a data set is the same however many are asked for.
            fresh = fit_all(cell, seed, range(have, count), (estimator,), "auto")[estimator.label]
            self.kept[key] = (estimator, Estimates.concat([old[1], fresh]) if old else fresh)
        return self.kept[key][1].take(slice(count))

    def all(self, estimator: Estimator, cell: Cell, seed: int) -> Estimates:
        """Return what has been fitted so far."""
        return self.kept[_key(estimator, cell, seed)][1]


@dataclass(slots=True)
class UnderTest:
    """One method on one condition, within an assertion."""

    estimator: Estimator
    cell: Cell
    seed: int
    max_unusable: float
    fits: Fits
    scratch: Path | None
    test: str
    terms: tuple[str, ...] = ()
    asked: int | None = None

    @property
    def name(self) -> str:
        """The method's label."""
        return self.estimator.label

    def choose(self, terms: Sequence[str] | None, only_null: bool) -> None:
        """Choose the terms: those asked for, or all that are estimated and whose truth is known (and tested)."""
        # No data set is drawn for this alone: a claim's are the same ones and more.
        first = self.fitted(30)
        truth = self.cell.truth
        able = [
            t for k, t in enumerate(first.terms) if t in truth and np.isfinite(first.estimate[:, k]).any()
        ]
        null = [t for t in able if self.cell.is_null(t)]
        asked = null if only_null and terms is None else list(terms or able)
        unknown = [t for t in asked if t not in able]
        false = [t for t in asked if only_null and t in able and t not in null]
        if unknown or false or not asked:
            of_null = "terms whose true value is 0 (or the model's null value)"
            kind = of_null if only_null else "terms with a known truth"
            raise InvalidInput(
                f"expected {kind} that {self.name} estimates, got {', '.join([*unknown, *false]) or 'none'}; "
                f"{self.name} estimates {', '.join(able) or 'nothing here: ' + str(set(first.texts()))}"
            )
        self.terms = tuple(asked)

    def fitted(self, count: int) -> Estimates:
        """Return the estimates on the first `count` data sets."""
        return self.fits.first(self.estimator, self.cell, self.seed, count)

    def findings(self, claim: Claim, reference: UnderTest | None = None) -> list[Finding]:
        """Return the findings of a claim, on as many data sets as asked for or as its power needs."""
        __tracebackhide__ = True
        count = self.asked or claim.replications
        evidence = self.evidence(count, reference)
        grown = count if self.asked else claim.grown(self.terms, evidence)
        if grown > count:
            evidence = self.evidence(grown, reference)
        return claim.findings(self.terms, evidence)

    def evidence(self, count: int, reference: UnderTest | None = None) -> Evidence:
        """Return what the method answered, once unusable fits are as few as allowed."""
        __tracebackhide__ = True
        estimates = self.fitted(count)
        unusable = ~estimates.usable[:, [estimates.terms.index(t) for t in self.terms]].all(axis=1)
        if unusable.mean() > self.max_unusable:
            where = int(np.argmax(unusable))
            status = FitStatus(int(estimates.status[where]))
            number = int(estimates.replications[where])
            raise AssertionError(
                f"{self.name} gave no usable answer in {int(unusable.sum())} of {plural(count, 'fit')}, "
                f"allowed {self.max_unusable:g} of them\n  first in replication {number}: {status.name} "
                f"{estimates.texts()[where] or 'without estimate or standard error of a term'}\n{self.ways(number)}"
            )
        other = None if reference is None else reference.fitted(count)
        return Evidence(estimates, measures_of(estimates, self.cell), other)

    def judge(self, claim: Claim, findings: Sequence[Finding]) -> None:
        """Raise AssertionError with everything to know, if a finding is outside its bounds."""
        __tracebackhide__ = True
        bad = [f for f in findings if not f.held]
        if not bad:
            return
        gate = claim.gate
        numbers = [
            f"  {f.term}: estimate {f.value:.5g} (MCSE {f.mcse:.2g}, n {f.n}), bounds {f.low:.5g} to {f.high:.5g}"
            for f in bad
        ]
        sure = (
            f"  false-alarm rate {gate.false_alarm:g} over {gate.terms} term{'' if gate.terms == 1 else 's'}"
        )
        if not self.asked:
            sure += f"; a departure of {gate.detect:g} is found with probability {gate.power:g}"
        claimed = f"{self.name}: {claim.what} should be {claim.wanted}"
        where = self._telling(bad[0].term, claim.in_errors)
        raise AssertionError("\n".join([claimed, *numbers, sure, self.ways(where)]))

    def ways(self, replication: int) -> str:
        """Return how to see a data set, and how to run the test again."""
        if self.scratch is None:
            return f"  see it: replication {replication} of seed {self.seed}"
        file = condition_file(self.estimator, self.cell, self.seed, self.scratch, self.test)
        again = f"\n  again: pytest '{self.test}'" if self.test else ""
        return f"  replay: {simulate(file, replication)}{again}"

    def _telling(self, term: str, in_errors: bool) -> int:
        """Return the replication whose estimate is farthest from the truth, perhaps in its own standard errors."""
        estimates = self.fits.all(self.estimator, self.cell, self.seed)
        k = estimates.terms.index(term)
        distance = np.abs(estimates.estimate[:, k] - self.cell.truth[term])
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = estimates.std_error[:, k]
            distance = distance / errors if in_errors and np.isfinite(errors).any() else distance
        return int(estimates.replications[int(np.argmax(np.nan_to_num(distance, nan=-1.0)))])


def _key(estimator: Estimator, cell: Cell, seed: int) -> Any:
    """The engine is part of the key: two functions may have one name."""
    engine = estimator.engine()
    return cell.key, estimator.label, getattr(engine, "function", engine), seed
