"""mixedlm's names of levels."""

from __future__ import annotations

import pandas as pd

from nestbench.league.packages.mixedlm import level_named


def test_levels_are_called_by_their_names() -> None:
    data = pd.DataFrame({"arm": ["treated", "control", "treated"], "age.2": [1.0, 2.0, 3.0], "x": [1, 2, 3]})
    assert level_named("arm.1", data) == "armtreated"
    # What merely looks like one stays.
    assert [level_named(term, data) for term in ("age.2", "x.1", "(Intercept)")] == [
        "age.2",
        "x.1",
        "(Intercept)",
    ]
