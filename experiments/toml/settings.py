"""The tables of a TOML that belong to the experiment itself: their keys, kinds and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from nestbench.experiments.experiment import MOST_REPLICATIONS

Choice = str | dict[str, Any]
Count = Annotated[int, Field(ge=1, le=MOST_REPLICATIONS)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``[experiment]`` table.

    Attributes
    ----------
    name : str
        The run goes to ``runs/NAME``.
    estimators : list
        Names of methods, or tables with ``name`` and options.
    title, aims : str
        What the report is headed with.
    replications : int
        Of each condition.
    seed : int
        Of the random streams.
    engine : str
        ``auto`` takes the fast engine where a method has one; ``reference``; ``batched``.
    reference_replications : int
        Bound on the replications of methods without a fast engine, under ``auto``.
    audit : int
        Replications of each condition refitted with the other engine.
    fit_timeout : float
        Seconds a fit may take.
    fit_memory : int
        Megabytes a fit may need beyond the data.
    plugins : list of str
        Python files with methods and populations of your own, relative to this file.
    """

    name: Annotated[str, Field(pattern=NAME, max_length=80)]
    estimators: Annotated[list[Choice], Field(min_length=1)]
    title: str = ""
    aims: str = ""
    replications: Count = 1000
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 20261122
    engine: Literal["auto", "reference", "batched"] = "auto"
    reference_replications: Count = 200
    audit: Annotated[int, Field(ge=0)] = 20
    fit_timeout: Annotated[float, Field(gt=0)] | None = None
    fit_memory: Annotated[int, Field(ge=1)] | None = None
    plugins: Annotated[list[str], Field()] = ()  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class PrecisionLimits:
    """The keys of ``[precision]`` that are no measures.

    Attributes
    ----------
    max_replications : int
        Of a condition.
    max_time : float
        Seconds after which no new round starts.
    """

    max_replications: Count = 100_000
    max_time: Annotated[float, Field(gt=0)] | None = None


SECTIONS: dict[str, Any] = dict.fromkeys(
    ("experiment", "population", "layout", "model", "truth", "factors", "precision", "published")
)
