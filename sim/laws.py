"""The laws, in one explicit tuple, and the ones a user's files add."""

from __future__ import annotations

from nestbench.sim.errors import InvalidInput, unknown_name
from nestbench.sim.fixed_design import FixedDesign
from nestbench.sim.population import Population
from nestbench.sim.random_intercept import RandomIntercept

LAWS: tuple[type[Population], ...] = (RandomIntercept, FixedDesign)

_ADDED: dict[str, type[Population]] = {}


def known_laws() -> dict[str, type[Population]]:
    """Return every law by name: built in, then added."""
    return {law.name: law for law in LAWS} | _ADDED


def add_law(law: type[Population]) -> type[Population]:
    """Add a law of the user's to this process (also as a class decorator); adding it again is harmless.

    Raises
    ------
    InvalidInput
        The name is taken by a built-in law.
    """
    if any(law.name == own.name for own in LAWS):
        raise InvalidInput(f"the name '{law.name}' is taken by a built-in law; choose another name")
    _ADDED[law.name] = law
    return law


def law_named(name: str) -> type[Population]:
    """Return a law by name.

    Raises
    ------
    InvalidInput
        No law of that name; the message lists those there are.
    """
    laws = known_laws()
    if name not in laws:
        raise unknown_name("population law", str(name), laws)
    return laws[name]
