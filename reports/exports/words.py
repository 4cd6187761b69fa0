"""A methods paragraph that describes the simulation as run, and BibTeX for what it used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pandas as pd

from nestbench.experiments.experiment import Experiment
from nestbench.reports.comparing.grades import fixed_terms
from nestbench.reports.measures.declared import MEASURES
from nestbench.reports.words.conditions import level_texts
from nestbench.reports.words.wording import plural, several


def methods_paragraph(experiment: Experiment, table: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """Return the methods section of a paper, in ADEMP order, from what was run and stored."""
    crossed = dict.fromkeys(factor for levels in experiment.levels for factor in levels)
    factors = [f"{factor} ({several(_levels(experiment, factor), 12)})" for factor in crossed]
    laws = list(dict.fromkeys(cell.population.name for cell in experiment.cells))
    formulas = list(dict.fromkeys(cell.model.formula for cell in experiment.cells))
    used = [
        m.label.lower()
        for m in MEASURES
        if m.name in {"bias", "empirical_se", "model_se", "coverage", "rejection"}
    ]
    levels = sorted({f"{100 * cell.model.level:g}" for cell in experiment.cells})
    return " ".join(
        [
            f"{experiment.aims.strip()}" if experiment.aims.strip() else "",
            f"Data were drawn from the {several(laws)} law in {plural(len(experiment.cells), 'condition')}"
            + (f", crossing {several(factors)}" if factors else "")
            + f", with {plural(experiment.replications, 'replication')} a condition (seed {experiment.seed}).",
            f"The estimands were the coefficients {several(fixed_terms(table), 12)} of {several(formulas)}.",
            f"{plural(len(experiment.estimators), 'method')} were compared on the same data sets: "
            f"{several([e.label for e in experiment.estimators], 40)}.",
            f"Performance was measured by {several(used, 12)}, with {several(levels)} % intervals and tests at the "
            "complementary level; all measures are given with their Monte Carlo standard errors. "
            f"{failures_sentence(table)}",
            f"The study was run with {_software(provenance)}.",
        ]
    ).strip()


def failures_sentence(table: pd.DataFrame) -> str:
    """Return how many fits gave no usable answer and how they were treated."""
    rows = table[(table["term"] == "(fit)") & table["measure"].str.startswith("share_")]
    fits = int(rows.loc[rows["measure"] == "share_ok", "n"].sum())
    bad = rows[~rows["measure"].isin(["share_ok", "share_boundary"])]
    failed = round(float((bad["value"] * bad["n"]).sum()))
    if not failed:
        return f"All {fits:,} fits gave a usable answer."
    return (
        f"Of {fits:,} fits {failed:,} gave no usable answer; they were left out of the measures, which are given with "
        "their own n, and counted as misses and non-rejections in a second form of coverage and rejection rate."
    )


def _levels(experiment: Experiment, factor: str) -> list[str]:
    return list(level_texts(experiment)[factor].values())


def _software(provenance: Mapping[str, Any]) -> str:
    packages = provenance.get("packages", provenance)
    known = [f"{name} {packages[name]}" for name in ("nestbench", "statsmodels", "numpy") if name in packages]
    return several(known) if known else "nestbench"


def bibtex(experiment: Experiment) -> str:
    """Return BibTeX of the simulation method and of every source that the methods used name and the file knows."""
    sources = "; ".join(e.info.source for e in experiment.estimators)
    wanted = {"morris2019"} | set(citation_keys(sources))
    if "statsmodels" in sources:
        wanted.add("seabold2010")
    known = references()
    return "\n\n".join(known[key] for key in sorted(wanted & set(known))) + "\n"


def citation_keys(sources: str) -> list[str]:
    """Return ``liang1986`` for ``Liang & Zeger 1986``: first author and year of each part between semicolons."""
    found = [re.match(r"\s*([A-Za-z]+)[^;]*?\b(\d{4})\b", part) for part in sources.split(";")]
    return [f"{match[1].lower()}{match[2]}" for match in found if match]


def references() -> dict[str, str]:
    """Return the BibTeX entries known, by key."""
    text = files("nestbench.reports.exports").joinpath("references.bib").read_text(encoding="utf-8")
    return {entry.split("{", 1)[1].split(",")[0]: entry for entry in text.strip().split("\n\n")}
