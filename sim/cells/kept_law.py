"""A population whose code isn't here: what a run keeps of it, enough to read the run and to refuse to draw.

Of results that users bring, there never was any: `KeptLaw.brought`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nestbench.sim.cells.layout import Layout
from nestbench.sim.errors import InvalidInput
from nestbench.sim.observed.batch import Batch
from nestbench.sim.observed.model import Model
from nestbench.sim.streams import StreamSource

if TYPE_CHECKING:
    from nestbench.sim.cells.truth import Truth

BROUGHT = "own-results"
"""Name of the population that stands for results read from a table (`nestbench read`): nobody here can draw it."""

UNDRAWN = (
    "expected an experiment whose data sets can be drawn, got results read from {}: nothing of them can be drawn, "
    "fitted, audited or replayed here; do it with the program that made them, and read its results with nestbench read"
)

TRUST = "read the plugin files of the run, and repeat the command with --trust if you want their code to run"


@dataclass(frozen=True, slots=True)
class KeptLaw:
    """A population as a run keeps it, in place of the plugin's class.

    Attributes
    ----------
    name : str
    parameters : mapping
        Its fields that differ from their defaults, as in the TOML.
    identity : mapping
        What its keys are hashed from (`nestbench.sim.cells.cell`): without its class nobody knows its defaults.
    found : Truth
        The truth of the condition it belongs to.
    """

    name: str
    parameters: Mapping[str, Any]
    identity: Mapping[str, Any]
    found: Truth

    @property
    def truth(self) -> Mapping[str, float]:
        """Term -> true value."""
        return self.found.values

    def theory(self, layout: Layout, model: Model | None = None) -> Mapping[str, Any]:
        """Nothing is known without the population's code."""
        return {}

    def draw(self, layout: Layout, streams: StreamSource, replications: range) -> Batch:
        """Refuse."""
        if self.brought:
            raise InvalidInput(UNDRAWN.format(self.source))
        raise InvalidInput(f"expected the code of the population '{self.name}', got none loaded; {TRUST}")

    @property
    def brought(self) -> bool:
        """Whether it stands for results read from a table."""
        return self.name == BROUGHT

    @property
    def source(self) -> str:
        """The table they were read from, in words."""
        return str(self.parameters.get("source", "a table"))

    def data_messages(self, model: Model) -> tuple[str, ...]:
        """What was made of the table, a sentence each; nothing of populations that were drawn."""
        said = self.parameters.get("said", ()) if self.brought else ()
        return tuple(map(str, said)) if isinstance(said, (list, tuple)) else ()

    def count_of(self, label: str) -> int:
        """Return how many replications of a method were read."""
        counts = self.parameters.get("replications")
        # As a stranger's file has it.
        count = counts.get(label, 0) if isinstance(counts, Mapping) else 0
        return count if type(count) is int and count > 0 else 0
