"""What advice leaves on disk: the page, and for each term the design and the experiment that run it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestbench.advising.advice import Advice
from nestbench.advising.as_experiment import DESIGN, EXPERIMENT
from nestbench.advising.page import render
from nestbench.experiments.files import write_atomically


def write_advice(found: Sequence[Advice], folder: Path) -> list[Path]:
    """Write ``advise.html``, and ``design.csv`` and ``experiment.toml`` (of several terms each in a folder of its
    own); return the paths."""
    page = folder / "advise.html"
    write_atomically(page, render(found).encode())
    written = [page]
    for number, advice in enumerate(found, 1):
        own = folder if len(found) == 1 else folder / f"term-{number}"
        for name, text in ((DESIGN, advice.design_csv), (EXPERIMENT, advice.toml)):
            write_atomically(own / name, text.encode())
            written.append(own / name)
    return written
