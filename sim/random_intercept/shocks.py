"""Shapes of random effects and residuals, each with mean 0 and SD 1, so that an ICC means the same under all.

A shape is written as text: ``"normal"``, ``"t(5)"``, ``"lognormal(1)"``, ``"chi2(3)"``, ``"bimodal(0.9)"``,
``"uniform"``.

- t(d), d > 2: symmetric, heavy tails: z sqrt((d - 2) / chi2_d);
- lognormal(s): skewed right: (exp(s z) - exp(s^2 / 2)) / sqrt((exp(s^2) - 1) exp(s^2));
- chi2(d): skewed right: (chi2_d - d) / sqrt(2 d);
- bimodal(m), 0 < m < 1: two normal modes at -m and m, each with SD sqrt(1 - m^2);
- uniform: on (-sqrt 3, sqrt 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nestbench.sim import checks
from nestbench.sim.errors import InvalidInput
from nestbench.sim.gammas import chi_squares
from nestbench.sim.observed.batch import Floats
from nestbench.sim.streams import StreamSource

SHAPES = ("normal", "t", "lognormal", "chi2", "bimodal", "uniform")

DEFAULTS = {"t": 5.0, "lognormal": 1.0, "chi2": 3.0, "bimodal": 0.9}

_WRITTEN = re.compile(r"([a-z][a-z0-9]*)\s*(?:\(\s*([^()]+?)\s*\))?")


class Source(Protocol):
    """Where numbers come from that standard normals don't suffice for: a generator, or many streams."""

    def chisquare(self, df: float, size: Any) -> Any:
        """Return chi-squares."""

    def random(self, size: Any) -> Any:
        """Return uniforms."""


@dataclass(frozen=True, slots=True)
class ManyStreams:
    """The streams of some replications and one purpose, a row of numbers each: those that its generator would draw."""

    streams: StreamSource
    replications: range
    purpose: str

    def chisquare(self, df: float, size: tuple[int, ...]) -> Floats:
        """Return chi-squares [R, n]."""
        out = np.empty(size)
        chi_squares(self.streams, self.streams.states(self.replications, self.purpose), df, out)
        return out

    def random(self, size: tuple[int, ...]) -> Floats:
        """Return uniforms [R, n]."""
        return np.stack([self.streams.at(r, self.purpose).random(size[1]) for r in self.replications])


@dataclass(frozen=True, slots=True)
class Shock:
    """A shape and its parameter (0 where it has none)."""

    shape: str = "normal"
    parameter: float = 0.0

    @property
    def normal(self) -> bool:
        """Whether the shape is the normal one."""
        return self.shape == "normal"

    def of(self, z: Floats, generator: Source) -> Floats:
        """Return standardised values made from standard normals `z` and, where they don't suffice, `generator`."""
        return _MAKERS[self.shape](z, self.parameter, generator)


def shock(name: str, text: object) -> Shock:
    """Read a shape.

    Parameters
    ----------
    name : str
        Of the parameter, for the error.
    text : str
        Such as ``"t(5)"``; without a parameter the shape has its default (`DEFAULTS`).

    Raises
    ------
    InvalidInput
        No such shape, or a parameter outside its range.
    """
    match = _WRITTEN.fullmatch(str(text).strip())
    if match is None:
        raise InvalidInput(
            f'expected {name} to be a shape such as "normal", "t(5)" or "chi2(3)", got {text!r}'
        )
    shape = checks.choice(f"the shape in {name}", match[1], SHAPES)
    if shape not in DEFAULTS:
        if match[2] is not None:
            raise InvalidInput(f'expected {name} = "{shape}" without a parameter, got {text!r}')
        return Shock(shape)
    low, high = {"t": (2.0, checks.INFINITY), "bimodal": (0.0, 1.0)}.get(shape, (0.0, checks.INFINITY))
    value = DEFAULTS[shape] if match[2] is None else _number(name, match[2])
    checks.number(
        f"the parameter of {name} = {text!r}", value, low, high, open_low=True, open_high=high == 1.0
    )
    return Shock(shape, value)


def _number(name: str, text: str) -> float:
    """Return the number between a shape's brackets."""
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"expected a number between the brackets of {name}, got '{text}'") from None


def _t(z: Floats, df: float, generator: Source) -> Floats:
    """Return t variables with unit variance: normals over the root of an independent chi-square."""
    return np.asarray(z * np.sqrt((df - 2.0) / generator.chisquare(df, z.shape)))


def _lognormal(z: Floats, s: float, _: Source) -> Floats:
    """Return lognormal variables with mean 0 and variance 1, functions of the normals."""
    return np.asarray((np.exp(s * z) - np.exp(0.5 * s * s)) / np.sqrt(np.expm1(s * s) * np.exp(s * s)))


def _chi2(z: Floats, df: float, generator: Source) -> Floats:
    """Return chi-square variables with mean 0 and variance 1."""
    return np.asarray((generator.chisquare(df, z.shape) - df) / np.sqrt(2.0 * df))


def _bimodal(z: Floats, mode: float, generator: Source) -> Floats:
    """Return variables with two modes, mean 0 and variance 1."""
    side = np.where(generator.random(z.shape) < 0.5, -mode, mode)
    return np.asarray(side + np.sqrt(1.0 - mode * mode) * z)


def _uniform(z: Floats, _: float, __: Source) -> Floats:
    """Return uniform variables with mean 0 and variance 1, functions of the normals."""
    from scipy.special import ndtr

    return np.asarray(np.sqrt(12.0) * (ndtr(z) - 0.5))


def _normal(z: Floats, _: float, __: Source) -> Floats:
    """Return the normals themselves."""
    return z


_MAKERS: dict[str, Callable[[Floats, float, Source], Floats]] = {
    "normal": _normal,
    "t": _t,
    "lognormal": _lognormal,
    "chi2": _chi2,
    "bimodal": _bimodal,
    "uniform": _uniform,
}
