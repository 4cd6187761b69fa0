"""What a stopped search leaves behind: a file for each chunk of data sets, so that the same command goes on.

A file is a digest and an array, named by what decides its numbers: the experiment's key (condition, methods and their
versions, seed, plugins), the term, and which data sets. One that is damaged is drawn anew.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nestbench.experiments.files import write_atomically
from nestbench.sim.files import read_file
from nestbench.sim.observed.batch import Floats

DIGEST = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """Where chunks of one design are kept."""

    folder: Path
    key: str

    def path(self, chunk: range) -> Path:
        """Return the file of some data sets."""
        return self.folder / f"{self.key}-{chunk.start:09d}-{chunk.stop:09d}.bin"

    def read(self, chunk: range, rows: int) -> Floats | None:
        """Return what is kept of some data sets, float64 [rows, n]; None where there is nothing whole."""
        try:
            data = read_file(self.path(chunk))
            if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
                return None
            found = np.load(io.BytesIO(data[DIGEST:]), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return found if found.shape == (rows, len(chunk)) and found.dtype == np.float64 else None

    def write(self, chunk: range, values: Floats) -> None:
        """Keep what some data sets say, float64 [rows, n]."""
        file = io.BytesIO()
        np.save(file, values, allow_pickle=False)
        data = file.getvalue()
        write_atomically(self.path(chunk), hashlib.sha256(data).digest() + data)


def kept_in(folder: Path | None, experiment: str, term: str) -> Kept | None:
    """Return where a design's chunks are kept; None where nothing is."""
    if folder is None:
        return None
    return Kept(folder, hashlib.sha256(f"{experiment}|{term}".encode()).hexdigest()[:16])


def stacked(parts: Sequence[Floats]) -> Floats:
    """Return rows [k, n] of arrays [n]."""
    return np.ascontiguousarray(np.vstack(parts), dtype=np.float64)
