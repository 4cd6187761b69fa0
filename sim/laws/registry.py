"""The populations, in one explicit tuple, and the ones a user's files add."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, cast

from nestbench.sim import entry_points
from nestbench.sim.cells.population import Population
from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.laws.fixed_design import FixedDesign
from nestbench.sim.laws.frame_law import complete
from nestbench.sim.random_intercept.law import RandomIntercept

LAWS: tuple[type[Population], ...] = (RandomIntercept, FixedDesign)

_ADDED: dict[str, type[Population]] = {}


def known_laws() -> dict[str, type[Population]]:
    """Return every population by name: built in, then added by the user or by installed packages."""
    entry_points.load("nestbench.populations", add_law)
    return {law.name: law for law in LAWS} | _ADDED


def add_law(law: type[Any]) -> type[Population]:
    """Add a population of the user's to this process; adding it again is harmless.

    It has a `name`; `truth`, a property: term -> true value; and `frame`, a method ``(layout, rng) -> DataFrame`` that
    makes one data set with the columns an analyst sees, one of them ``school`` (or what the class names as `group`).
    Instead of `frame` it may have `draw`, and it may have `theory` and `check`, as `Population` describes them.

    Raises
    ------
    InvalidInput
        Something is missing, or the name is taken by a built-in population.
    """
    complete(law)
    missing = [part for part in ("name", "truth", "draw") if not hasattr(law, part)]
    if missing:
        parts = ["frame" if part == "draw" else part for part in missing]
        raise InvalidInput(
            f"expected a population with name, truth and frame, got {law.__name__} without {', '.join(parts)}"
        )
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}", str(law.name)) is None:
        raise InvalidInput(
            f"expected a population's name of letters, digits, '.', '_', '+' and '-', got {law.name!r}; choose another"
        )
    if not dataclasses.is_dataclass(law):
        raise InvalidInput(
            f"expected a population as a dataclass, got {law.__name__}; write @nestbench.population above "
            "@dataclass(frozen=True)"
        )
    added = cast("type[Population]", law)
    if any(added.name == own.name for own in LAWS):
        # Runs name populations: a built-in name must go on meaning the same.
        raise InvalidInput(f"the name '{added.name}' is taken by a built-in population; choose another name")
    _ADDED[added.name] = added
    return added


def law_named(name: str) -> type[Population]:
    """Return a population by name.

    Raises
    ------
    InvalidInput
        No population of that name; the message lists those there are.
    """
    laws = known_laws()
    if name not in laws:
        raise unknown_name("population", str(name), laws)
    return laws[name]
