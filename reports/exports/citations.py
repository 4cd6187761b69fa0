"""BibTeX for what a study used."""

from __future__ import annotations

import re
from importlib.resources import files

from nestbench.experiments.experiment import Experiment


def bibtex(experiment: Experiment) -> str:
    """Return BibTeX of the simulation method and of every source that the methods used name and the file knows."""
    sources = "; ".join(e.info.source for e in experiment.estimators)
    keys = {"morris2019"} | set(citation_keys(sources))
    if "statsmodels" in sources:
        keys.add("seabold2010")
    known = references()
    return "\n\n".join(known[key] for key in sorted(keys & set(known))) + "\n"


def citation_keys(sources: str) -> list[str]:
    """Return ``liang1986`` for ``Liang & Zeger 1986``: first author and year of each part between semicolons."""
    # The year may stand behind further authors, but never in the next source.
    matches = [re.match(r"\s*([A-Za-z]+)[^;]*?\b(\d{4})\b", part) for part in sources.split(";")]
    return [f"{match[1].lower()}{match[2]}" for match in matches if match]


def references() -> dict[str, str]:
    """Return the BibTeX entries known, by key."""
    text = files("nestbench.reports.exports").joinpath("references.bib").read_text(encoding="utf-8")
    return {entry.split("{", 1)[1].split(",")[0]: entry for entry in text.strip().split("\n\n")}
