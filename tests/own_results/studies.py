"""Small synthetic results, and readers of them for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.own_results.asked import Asked, asked_text, listed
from nestbench.own_results.reading import Results, results_of


def study(replications: int = 40, seed: int = 1) -> pd.DataFrame:
    """Two factors, two methods; a row a replication and method, named as the guide does."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in (20, 80):
        for errors in ("normal", "skewed"):
            for rep in range(1, replications + 1):
                centre = rng.normal(0.5, 1 / n**0.5)
                for method, off in (("plain", 0.0), ("robust", 0.02)):
                    se = (rng.chisquare(n - 2) / (n - 2) / n) ** 0.5
                    rows.append((n, errors, rep, method, centre + off * rng.normal(), se, n - 2))
    return pd.DataFrame(rows, columns=["n", "errors", "rep", "method", "estimate", "se", "df"])


def read(frame: Any, **options: Any) -> Results:
    """Read a table as `nestbench.read_results` does, without writing it."""
    named = {"factors", "ignore", "methods", "terms", "usable"}
    own = {key: listed(options.pop(key)) for key in named & options.keys()}
    if "ignore" in own:
        own["ignored"] = own.pop("ignore")
    plain = {key: options.pop(key) for key in {"level", "seed"} & options.keys()}
    if "null" in options:
        plain["null"] = asked_text(options.pop("null"))
    columns = {role: asked_text(given) for role, given in options.items()}
    return results_of(frame, Asked(columns, **own, **plain))


def only(results: Results, cell: int = 0) -> Estimates:
    """Return the estimates of the one method of a condition."""
    (found,) = results.fits[cell].values()
    return found


def said(results: Results, words: str) -> str:
    """Return the one sentence with some words in it."""
    found = [sentence for sentence in results.said if words in sentence]
    assert len(found) == 1, (words, results.said)
    return found[0]
