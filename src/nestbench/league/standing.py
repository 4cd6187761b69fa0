"""A standing of the league: one way of a package in one condition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nestbench.league.judging import Judgement, Number, Outcome

SHOWN = 12
"""Numbers of the worst fit that a standing keeps."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of all fits of one way in one condition.

    Attributes
    ----------
    package, way, version : str
        The version is empty where the package isn't installed.
    condition : str
    data : str
        Mark of the data sets: other conditions or another seed give another.
    seed, data_sets : int
    date : str
        Day of the run.
    outcomes : mapping of str to int
        How many fits ended how.
    seconds : float
        Median processor time of a fit; NaN where none ended.
    worst : int
        The data set with the worst outcome.
    note : str
        What there is to say of it.
    numbers : tuple of Number
        Of the worst fit, those with the largest errors first; none where all is right.
    printed : int
        Bytes that the fits wrote to stdout and stderr.
    """

    package: str
    way: str
    version: str
    condition: str
    data: str
    seed: int
    data_sets: int
    date: str
    outcomes: Mapping[str, int]
    seconds: float
    worst: int
    note: str
    numbers: tuple[Number, ...] = ()
    printed: int = 0

    @property
    def label(self) -> str:
        """Package and way."""
        return f"{self.package} {self.way}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What there is one standing of in a file."""
        return self.package, self.way, self.version, self.condition

    @property
    def outcome(self) -> Outcome:
        """The worst of its fits that are judged; not judged where none is."""
        return max((Outcome(name) for name in self.outcomes), key=lambda outcome: outcome.severity)

    @property
    def count(self) -> int:
        """How many fits ended as the worst."""
        return self.outcomes[self.outcome]

    @property
    def red(self) -> bool:
        """Whether it is a defect: a wrong number, a crash, a hang, a refusal of some of data sets that are alike."""
        some = self.outcome == Outcome.REFUSED and self.count < sum(self.outcomes.values())
        return some or self.outcome in (Outcome.WRONG, Outcome.HUNG, Outcome.CRASHED)

    @property
    def telling(self) -> int:
        """Of how many fits a failure of a single one would be red: none of a lone data set, or of data that the
        package refuses throughout."""
        total = sum(self.outcomes.values())
        refused = self.outcomes.get(str(Outcome.REFUSED), 0) == total
        told = refused or {Outcome.MISSING, Outcome.NOT_RUN} & {Outcome(name) for name in self.outcomes}
        return 0 if told or total < 2 else total

    @property
    def ends(self) -> dict[Outcome, int]:
        """How many fits ended how, the worst first, those not judged last; right ones are counted among those within
        the tolerance where there are any, for between the two fits come and go."""
        counts = {one: self.outcomes.get(str(one), 0) for one in reversed(Outcome)}
        if counts[Outcome.NEAR]:
            counts[Outcome.NEAR] += counts.pop(Outcome.RIGHT)
        return {outcome: count for outcome, count in counts.items() if count}

    @property
    def in_part(self) -> bool:
        """Whether some of its fits are judged and some are not."""
        return Outcome.UNJUDGED in self.ends and len(self.ends) > 1

    @property
    def answered(self) -> bool:
        """Whether all its fits that are judged are right or within the tolerance."""
        return self.outcome in (Outcome.RIGHT, Outcome.NEAR)

    @property
    def replay(self) -> str:
        """The command that shows the worst fit again."""
        options = (
            f'--only "{self.label}" --condition {self.condition} --data-set {self.worst} --seed {self.seed}'
        )
        return f"nestbench league {options}"

    @property
    def plain(self) -> dict[str, Any]:
        """The standing as JSON has it."""
        rows = [
            [n.quantity, n.term, *map(_kept, (n.reported, n.exact, n.error, n.allowed))] for n in self.numbers
        ]
        return {
            **asdict(self),
            "seconds": _kept(self.seconds),
            "outcomes": dict(self.outcomes),
            "numbers": rows,
        }


def standing_of_plain(plain: Mapping[str, Any]) -> Standing:
    """Return a standing of its JSON."""
    numbers = [Number(str(q), str(t), *(_read(value) for value in rest)) for q, t, *rest in plain["numbers"]]
    return Standing(**{**plain, "seconds": _read(plain["seconds"]), "numbers": tuple(numbers)})


def worst_of(judged: Sequence[Judgement]) -> int:
    """Return the position of the worst fit: by outcome, then by its largest error."""
    return max(range(len(judged)), key=lambda k: (judged[k].outcome.severity, _largest(judged[k]), -k))


def largest_first(numbers: Sequence[Number]) -> tuple[Number, ...]:
    """Return the numbers that a standing keeps: the largest errors beside what is allowed, first."""
    order = sorted(
        numbers, key=lambda n: -math.inf if math.isnan(n.error) else n.error / n.allowed, reverse=True
    )
    return tuple(order[:SHOWN])


def _largest(judgement: Judgement) -> float:
    return max((n.error for n in judgement.numbers if not math.isnan(n.error)), default=0.0)


def _kept(value: float) -> float | str:
    """Return a number as strict JSON has it: 12 digits, texts for what JSON has no number for."""
    return float(f"{value:.12g}") if math.isfinite(value) else str(value)


def _read(value: float | str) -> float:
    return float(value)
