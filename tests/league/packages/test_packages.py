"""The packages of the league as pip installs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from nestbench.league.packages import PLACES
from nestbench.league.running import entries

EXTRAS: dict[str, list[str]] = tomllib.loads(
    (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["optional-dependencies"]


def test_each_package_has_a_group_of_its_own_and_league_those_that_need_no_more() -> None:
    packages = {entry.package.name: entry.package for entry in entries(PLACES)}
    # R's are no distributions; statsmodels is asked for anyway.
    ours = {p.distribution: p for p in packages.values() if p.asks is None and p.name != "statsmodels"}
    for distribution in ours:
        assert any(one.startswith(f"{distribution}>=") for one in EXTRAS[distribution]), distribution
    (whole,) = EXTRAS["league"]
    named = set(re.fullmatch(r"nestbench\[(.*)\]", whole)[1].split(","))  # type: ignore[index]
    assert named == {name for name, package in ours.items() if not package.install}
