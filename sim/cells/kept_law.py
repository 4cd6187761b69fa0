"""A population whose code isn't here: what a run keeps of it, enough to read the run and to refuse to draw."""

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
        raise InvalidInput(f"expected the code of the population '{self.name}', got none loaded; {TRUST}")
