"""Defects planted in copies of the packages that are installed: all are red, and the copies without are not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from nestbench.league.condition import chosen
from nestbench.league.packages import PLACES
from nestbench.league.running import Drawn, Settings, draw, entries, named, standings_of
from nestbench.league.standing import Standing
from tests.league.plants import DEFECTS, PLANTS, Plant, planted, source_of
from tests.league.plants_r import PLANTS_R

pytestmark = [pytest.mark.slow, pytest.mark.posix]
SETTINGS = Settings(20261126, tuple(range(34)))
"""102 fits in three conditions: enough that one of a hundred fails."""


@cache
def drawn(conditions: tuple[str, ...]) -> list[Drawn]:
    return draw(chosen(conditions), SETTINGS)


def league(plant: Plant, defect: str, folder: Path) -> list[Standing]:
    """Run one way on a copy of its package, with a defect in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plant.library, str(planted(plant, defect, folder)))
        numbers = 34 if defect == "failures" else 5
        few = [one for one in drawn(plant.conditions) if one.number < numbers]
        return standings_of(named(entries(PLACES), [plant.way])[0], few, SETTINGS)


@pytest.mark.parametrize("defect", ["", *DEFECTS])
@pytest.mark.parametrize("plant", [*PLANTS, *PLANTS_R], ids=lambda plant: plant.way)
def test_a_planted_defect_is_red(plant: Plant, defect: str, tmp_path: Path) -> None:
    if source_of(plant) is None:
        pytest.skip(f"{plant.package} isn't installed")
    if defect in plant.without:
        pytest.skip(f"{plant.way}: {plant.without[defect]}")
    found = league(plant, defect, tmp_path)
    counts = [dict(standing.outcomes) for standing in found]
    assert not any("crashed" in count or "hung" in count for count in counts), found
    red = [standing.condition for standing in found if standing.red]
    if defect == "":
        assert red == [], found
    elif defect in ("zero", "failures"):
        assert red, counts
        bad = sum(count.get("wrong", 0) + count.get("refused", 0) for count in counts)
        fits = sum(standing.data_sets for standing in found)
        assert bad == (fits // 5 if defect == "zero" else 1), counts
    else:
        assert red == list(plant.conditions), counts
