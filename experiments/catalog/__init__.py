"""The catalogue: experiments that come with the package, one TOML each, under the file's name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the catalogue, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def path_of(name: str) -> Path:
    """Return the TOML file of a catalogue name."""
    return FOLDER / f"{name}.toml"
