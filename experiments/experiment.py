"""An experiment: plain data that says what is drawn, what is fitted and how often."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nestbench.sim.cells.cell import Cell, canonical_json
from nestbench.sim.cells.kept_law import UNDRAWN, KeptLaw
from nestbench.sim.errors import InvalidInput
from nestbench.sim.files import read_file
from nestbench.sim.observed.batch import Sample

if TYPE_CHECKING:
    from nestbench.estimators.estimator import Estimator

MOST_REPLICATIONS = 100_000_000
"""Bound on the replications of a condition: a coverage is then known to 2 in 100 000."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A user's file with methods or populations: part of the experiment's identity by its content, not its place."""

    path: str
    sha256: str

    @classmethod
    def at(cls, path: Path) -> Plugin:
        """Return the plugin in a file, as it is now; `InvalidInput` where there is none to read."""
        return cls(str(path), hashlib.sha256(content_of(path)).hexdigest())


def content_of(path: str | Path) -> bytes:
    """Return what is in a plugin file.

    Raises
    ------
    InvalidInput
        It isn't there, can't be read, or is no regular file.
    """
    try:
        return read_file(Path(path))
    except OSError as error:
        raise InvalidInput(
            f"expected the plugin file {path}, could not read it ({error.strerror}); put it back, or leave its methods "
            "and populations out"
        ) from error


@dataclass(frozen=True, slots=True)
class Precision:
    """Monte Carlo errors to reach: the largest allowed by measure, and when to give up.

    Attributes
    ----------
    targets : mapping of str to float
        Measure -> largest Monte Carlo standard error over terms and methods of a condition.
    max_replications : int
        Of a condition.
    max_time : float or None
        Seconds after which no new round starts.
    """

    targets: Mapping[str, float]
    max_replications: int = 100_000
    max_time: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A study.

    Attributes
    ----------
    name, title, aims : str
    cells : tuple of Cell
        The factors crossed, first factor slowest.
    levels : tuple of mapping
        For each condition, factor (dotted key such as ``layout.schools``) -> its level: a scalar, or the short text of
        a list or table.
    estimators : tuple of Estimator
        With their options set.
    replications : int
    seed : int
    engine : str
        ``auto``, ``reference`` or ``batched``.
    reference_replications : int
        Bound on the replications of methods without a batched engine (under ``auto``).
    audit : int
        Replications of each condition refitted with the other engine.
    plugins : tuple of Plugin
        Files with the user's own methods or populations.
    fit_timeout : float or None
        Seconds a fit may take; one that takes longer has status TIMEOUT.
    fit_memory : int or None
        Megabytes a fit may need beyond the data; one that needs more has status FAILED.
    precision : Precision or None
        Monte Carlo errors to reach beyond the first `replications` of each condition.
    source : str
        The TOML text it was read from, or one written for it.
    """

    name: str
    title: str
    aims: str
    cells: tuple[Cell, ...]
    levels: tuple[Mapping[str, Any], ...]
    estimators: tuple[Estimator, ...]
    replications: int = 1000
    seed: int = 20261122
    engine: str = "auto"
    reference_replications: int = 200
    audit: int = 20
    plugins: tuple[Plugin, ...] = ()
    fit_timeout: float | None = None
    fit_memory: int | None = None
    precision: Precision | None = None
    source: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Hash of everything that decides a stored number: conditions, methods, seed, engine policy, plugin contents.

        How many replications are run is not part of it: a run can be extended.
        """
        identity: dict[str, Any] = {
            "cells": [cell.key for cell in self.cells],
            "estimators": [[estimator.label, estimator.version] for estimator in self.estimators],
            "seed": self.seed,
            "engine": self.engine,
            # In whatever order files are named, they make the same numbers.
            "plugins": sorted(plugin.sha256 for plugin in self.plugins),
        }
        # Named only where set: runs made before there were limits keep their keys.
        limits = {"fit_timeout": self.fit_timeout, "fit_memory": self.fit_memory}
        identity |= {name: limit for name, limit in limits.items() if limit is not None}
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]

    @property
    def data_messages(self) -> tuple[str, ...]:
        """What was done to data that populations read from files, in words, each once."""
        return tuple(dict.fromkeys(words for cell in self.cells for words in cell.data_messages))

    @property
    def brought(self) -> str:
        """The table that the results were read from (`nestbench read`), in words; "" where they were drawn here."""
        laws = (cell.population for cell in self.cells)
        return next((law.source for law in laws if isinstance(law, KeptLaw) and law.brought), "")

    def completed_by(self, folder: str | Path) -> str:
        """Return the command that makes what a run of it lacks."""
        return f"nestbench read TABLE -o {folder}" if self.brought else f"nestbench run {folder}"

    def require_drawn(self) -> None:
        """Refuse to go on with results that were read from a table.

        Raises
        ------
        InvalidInput
        """
        if self.brought:
            raise InvalidInput(UNDRAWN.format(self.brought))

    def data_set(self, cell: int, replication: int) -> Sample:
        """Return one data set of a condition, as an analyst would hold it.

        Raises
        ------
        InvalidInput
            No such condition or replication.
        """
        if not 0 <= cell < len(self.cells):
            raise InvalidInput(f"expected a condition from 0 to {len(self.cells) - 1}, got {cell}")
        # Rows store the number of their replication in 32 bits.
        if not 0 <= replication < 2**31:
            raise InvalidInput(f"expected a replication from 0, got {replication}")
        return self.cells[cell].draw(self.seed, range(replication, replication + 1)).replication(0)

    def limit(
        self, estimator: Estimator, replications: int | None = None, reference: int | None = None
    ) -> int:
        """Return how many replications of each condition a method fits.

        A method without a batched engine is bounded (`reference_replications`), or it alone would decide how long a run
        takes.

        Parameters
        ----------
        estimator : Estimator
        replications, reference : int, optional
            Replications and bound of a round; by default those of the experiment.
        """
        most = self.replications if replications is None else replications
        bound = self.reference_replications if reference is None else reference
        return min(most, bound) if self.engine == "auto" and estimator.batched is None else most
