"""What a user says of a table of results: the columns by role, the factors, the level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nestbench.own_results.names import ESTIMATE, ROLES, SE, VARIANCE
from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput, unknown_name


@dataclass(frozen=True, slots=True)
class Asked:
    """What is said of a table.

    Attributes
    ----------
    columns : mapping of str to str
        Role -> column, columns with commas between, or a pattern with ``{method}`` or ``{term}``.
    factors : tuple of str or None
        The factors; None: found.
    ignored : tuple of str
        Columns that are nothing.
    methods, terms : tuple of str
        What ``{method}`` and ``{term}`` may be in patterns.
    usable : tuple of str
        Values of the status that mean a usable fit.
    level : float
        Confidence level of the intervals, 1 - level the size of the tests.
    seed : int or None
        Of the data sets, for comparisons with other results of the same ones.
    null : str
        The value that tests are of, ``0.5``, or by term, ``age=0.5``; empty: 0.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    factors: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    usable: tuple[str, ...] = ()
    level: float = 0.95
    seed: int | None = None
    null: str = ""

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Any],
        factors: Any,
        *names: Any,
        level: float,
        seed: int | None,
        null: Any = None,
    ) -> Asked:
        """Return what users say, each list as a text with commas or as a list; roles that are None aren't said.

        `names` are what is ignored, the methods, the terms and the usable values, in the order of the attributes.
        """
        said = {role: asked_text(given) for role, given in columns.items() if given is not None}
        ignored, methods, terms, usable = map(listed, names)
        known = None if factors is None else listed(factors)
        tested = "" if null is None else asked_text(null)
        return cls(said, known, ignored, methods, terms, usable, level, seed, tested)

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES:
                raise unknown_name("role of a column", role, ROLES)
        if SE in self.columns and VARIANCE in self.columns:
            raise InvalidInput("expected standard errors or variances, got a column of each; leave one out")
        checks.number("level", self.level, low=0.0, high=1.0, open_low=True, open_high=True)
        if self.seed is not None:
            checks.count("seed", self.seed, low=0, high=2**63 - 1)


def listed(value: Any) -> tuple[str, ...]:
    """Return names given as a text with commas, or one by one."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    if isinstance(value, Iterable):
        return tuple(str(name) for name in value)
    return (str(value),)


def asked_text(value: Any) -> str:
    """Return what Python says of a role as the command line does: a list with commas, a table as ``term=number``."""
    if isinstance(value, Mapping):
        return ",".join(f"{term}={number}" for term, number in value.items())
    return value if isinstance(value, str) else ",".join(listed(value))


def found_in(names: Iterable[str], columns: Iterable[Any], what: str) -> None:
    """Refuse names that no column has.

    Parameters
    ----------
    names : iterable of str
    columns : iterable
        Of the table.
    what : str
        What they were to be.

    Raises
    ------
    InvalidInput
        Names the nearest column, and all there are.
    """
    known = [str(column) for column in columns]
    for name in names:
        if name not in known:
            raise unknown_name(f"column for {what}", name, known)


def without_estimate(columns: Iterable[Any]) -> InvalidInput:
    """Return the error for a table in which no column is known as that of the estimates."""
    from nestbench.sim.tables.reading import columns_text

    return InvalidInput(
        f"expected a column of estimates, got none that is known by its name among {columns_text([*columns])}; name it "
        f"with --{ESTIMATE} COLUMN ({ESTIMATE}=...), several methods side by side with --{ESTIMATE} A,B,C or "
        f"--{ESTIMATE} 'est_{{method}}'"
    )
