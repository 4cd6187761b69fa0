"""What of a model a method can honour: declared by the method, checked in one place before every fit."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from nestbench.sim.errors import InvalidInput
from nestbench.sim.model import Model
from nestbench.sim.parsing import formula_of, parse

if TYPE_CHECKING:
    from nestbench.estimators.estimator import Estimator


class RandomPart(StrEnum):
    """What a method does with the random part of a model."""

    NONE = "none"
    """It has none by nature (OLS, school dummies, permutation): whatever the model's is, it doesn't matter."""
    INTERCEPT = "intercept"
    """It knows a random intercept alone: other random parts are refused."""
    ANY = "any"


def require_honoured(estimator: Estimator, model: Model) -> None:
    """Refuse a model whose random part the method knows only in part.

    Raises
    ------
    InvalidInput
        The model has more than a random intercept, or none, and the method knows that alone.
    """
    if estimator.random is RandomPart.INTERCEPT and not intercept_alone(model.random):
        raise InvalidInput(
            f"estimator '{estimator.name}' expected random = \"1\", got '{model.random}'; it knows a random "
            "intercept, no random slopes: use reml-satt, or leave the method out"
        )


@lru_cache(maxsize=256)
def intercept_alone(random: str) -> bool:
    """Whether a random part, such as ``"1 + age"``, is an intercept and nothing else."""
    return [str(term) for term in formula_of(parse(f"~ {random}"))] == ["1"]
