"""What a method is: a value with a name, a reference engine and, where it has one, a batched engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nestbench.estimators.estimates import Estimates
from nestbench.estimators.honoured import RandomPart, require_honoured
from nestbench.estimators.null import Regressed, from_null, under_null
from nestbench.sim.checks import python_value
from nestbench.sim.errors import InvalidInput, did_you_mean, unknown_name
from nestbench.sim.observed.batch import Batch, Floats
from nestbench.sim.observed.model import Model

Options = Mapping[str, Any]
Engine = Callable[[Batch, Model, Options], Estimates]
"""``engine(batch, model, options)`` fits every replication of a batch. It never raises for a statistical reason."""

ONE_TERM = "(one term)"
"""Among an engine's options, but no option of the user's: the term that `Estimator.for_term` was told."""


class Agreement(StrEnum):
    """How a reference and a batched engine must agree (ARCHITECTURE.md, "Provably equal")."""

    DIRECT = "direct"
    IMPLICIT = "implicit"
    RANDOM = "random"
    UNDER_STUDY = "subject"  # as stored in audits and baselines
    """A method without a fast engine whose optimiser is what is studied: its fits are compared with the exact REML
    maximum, and it isn't blamed for missing it."""


AtTheta = Callable[[Batch, Model, Estimates, str], Mapping[str, Floats]]
"""Batch, model, fits, option ``covariance`` -> the batched formulas at the variance parameters of those fits:
``estimate``, ``std_error`` [R, K], quantities [R]."""

OnGrid = Callable[[Batch, Model, Options], Floats]
"""The highest value [R] that the likelihood has at the points of a coarse grid; -inf where there is none to compare."""


@dataclass(frozen=True, slots=True)
class Info:
    """What a person needs to know to choose a method.

    Attributes
    ----------
    label : str
        A few words, for figures.
    summary : str
        One line: what it does.
    assumes : str
        What must hold for its tests and intervals to be right.
    df : str
        Its degrees of freedom in words: ``"inf (z)"``, ``"G - 1"``, ``"per term (Satterthwaite)"``.
    source : str
        Where it is defined: author and year.
    formula : tuple of str
        What is computed, in LaTeX, a formula each: the estimate, its variance, the reference distribution. Symbols are
        those of docs/methods.md. Empty for a method that doesn't say.
    """

    label: str
    summary: str
    assumes: str
    df: str
    source: str
    formula: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimator:
    """A method.

    Attributes
    ----------
    name : str
        Stable name ``family-variance-reference``; part of stored keys.
    version : int
        Bumped when published numbers change.
    info : Info
    reference : Engine or None
        The definition: statsmodels, or a dense textbook computation.
    batched : Engine or None
        The fast engine; None is a declared fact.
    agreement : Agreement or None
        How the two must agree; None when there is only one.
    at_theta : callable or None
        Of a method whose reference may stop before its optimum: how to evaluate the batched formulas where it stopped.
        Others that rest on a likelihood have a reference that arrives: all their numbers agree directly.
    options : mapping
        Option values; the keys with their defaults are all there is.
    random : RandomPart
        What it does with the model's random part; a model it knows only in part is refused.
    subgroup : bool
        Whether it uses the model's groups within groups.
    reads_null : bool
        Its engine sees the data as they are and tests `Model.null` itself; that of others never sees a null value.
    reads_rows : bool
        Its batched engine reads students, not school cross-products alone; a reference engine always does.
    by_term : bool
        What it costs is by the term, and its batched engine heeds `for_term`.
    regressed : callable or None
        Batch, model -> which terms are in its regression, bool [R, K], where that aren't all: null values of the others
        can't be tested.
    changed : tuple of str
        Options that differ from their defaults.
    choices : mapping
        The values that an option may have, where they are a few words.
    described : options -> Info, or None
        What the method is under other options; None where `info` holds for all.
    theory : tuple of str
        What populations call its estimate and its test in what they know without simulation (`Population.theory`).
    on_grid : callable or None
        Of a method that maximises a likelihood: other points, none of which may be better than its fits.
    """

    name: str
    version: int
    info: Info
    reference: Engine | None = None
    batched: Engine | None = None
    agreement: Agreement | None = None
    options: Options = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    random: RandomPart = RandomPart.NONE
    subgroup: bool = False
    reads_null: bool = False
    reads_rows: bool = False
    by_term: bool = False
    regressed: Regressed | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    described: Callable[[Options], Info] | None = None
    at_theta: AtTheta | None = None
    theory: tuple[str, ...] = ()
    on_grid: OnGrid | None = None

    def with_options(self, options: Options) -> Estimator:
        """Return the method with some options set.

        Raises
        ------
        InvalidInput
            An option the method does not have, or a value that isn't one of its choices.
        """
        options = {key: python_value(value) for key, value in options.items()}
        for key in options:
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise InvalidInput(
                    f"method '{self.name}' has no option '{key}'.{did_you_mean(key, self.options)} Options: {known}"
                )
            self._check_choice(key, options[key])
        merged = {**self.options, **options}
        # Sorted, for the label is stored: options given in another order are the same method.
        changed = tuple(sorted({*self.changed, *(k for k in options if options[k] != self.options[k])}))
        info = self.described(merged) if self.described and changed else self.info
        return dataclasses.replace(self, options=merged, changed=changed, info=info)

    def for_term(self, term: str) -> Estimator:
        """Return the method for who reads one term alone: of that it says the same, of others perhaps less."""
        if not self.by_term:
            return self
        return dataclasses.replace(self, options={**self.options, ONE_TERM: term})

    def _check_choice(self, key: str, value: Any) -> None:
        """Refuse a value of an option that has a few words to choose from."""
        among = self.choices.get(key)
        if among is not None and value not in among:
            raise InvalidInput(
                f"expected {self.name}.{key} to be one of {', '.join(among)}, got '{value}'."
                f"{did_you_mean(str(value), among)}"
            )

    @property
    def label(self) -> str:
        """Name with the options that differ from their defaults: ``ols-wild(draws=199)``; the stored identity."""
        if not self.changed:
            return self.name
        return f"{self.name}({', '.join(f'{key}={self.options[key]}' for key in self.changed)})"

    def known_in(self, values: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
        """Return what a table of `Population.theory` has on this method: term -> value.

        A population may name the method itself; what it knows of a kind of test holds for the options as they are.
        """
        names = (self.label, *(() if self.changed else self.theory))
        return next((values[name] for name in names if name in values), {})

    def engine(self, policy: str = "auto") -> Engine:
        """Return the engine for a policy: ``auto`` (batched where there is one), ``reference`` or ``batched``."""
        engines = {
            "auto": self.batched or self.reference,
            "reference": self.reference,
            "batched": self.batched,
        }
        if policy not in engines:
            raise unknown_name("engine", policy, engines)
        chosen = engines[policy]
        if chosen is None:
            raise InvalidInput(
                f"method '{self.name}' has no {policy} engine; use engine = \"auto\" or leave the method out"
            )
        return chosen

    def engine_name(self, policy: str = "auto") -> str:
        """Return which engine a policy means here: ``reference`` or ``batched``."""
        return "batched" if self.engine(policy) is self.batched else "reference"

    def fit(self, batch: Batch, model: Model, policy: str = "auto") -> Estimates:
        """Fit every replication of a batch, with tests of the model's null values.

        The single door to all engines: what a method can't honour is refused here, and null values other than 0 are
        taken off the outcome here, so that no engine has to know of either.

        Parameters
        ----------
        batch : Batch
        model : Model
        policy : str
            ``auto``, ``reference`` or ``batched``.

        Raises
        ------
        InvalidInput
            The method can't honour the model (`require_honoured`), or has no such engine; a null value of no term.
        """
        require_honoured(self.name, self.random, model)
        engine = self.engine(policy)
        if self.reads_null or not any(model.null.values()):
            return engine(batch, model, self.options)
        return from_null(engine(*under_null(batch, model, self.regressed), self.options), model)
