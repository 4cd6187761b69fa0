"""What of a model a method can honour: declared by the method, checked in one place before every fit."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.model import Model
from nestbench.sim.observed.parsing import formula_of, parse
from nestbench.sim.observed.sums import sum_of


class RandomPart(StrEnum):
    """What a method does with the random part of a model."""

    NONE = "none"
    """It has none by nature (OLS, school dummies, permutation): whatever the model's is, it doesn't matter."""
    INTERCEPT = "intercept"
    """It knows a random intercept alone: other random parts are refused."""
    ANY = "any"


def require_honoured(name: str, known: RandomPart, model: Model) -> None:
    """Refuse a model whose random part the method of a name knows only in part.

    Silently fitting less than was asked would be the worst answer: a random intercept in place of random slopes looks
    like a result.

    Parameters
    ----------
    name : str
        The method, for the message.
    known : RandomPart
    model : Model

    Raises
    ------
    InvalidInput
        The model has more than a random intercept, or none, and the method knows that alone.
    """
    if known is RandomPart.INTERCEPT and not intercept_alone(model.random):
        raise InvalidInput(
            f"method '{name}' expected random = \"1\", got '{model.random}'; it knows a random "
            "intercept, no random slopes: use reml-satt, or leave the method out"
        )


@lru_cache(maxsize=256)
def intercept_alone(random: str) -> bool:
    """Whether a random part, such as ``"1 + age"``, is an intercept and nothing else."""
    plain = sum_of(f"~ {random}")
    if plain is not None:
        return not plain.terms
    return [str(term) for term in formula_of(parse(f"~ {random}"))] == ["1"]
