"""Defects planted in copies of the packages that are installed: all are red, and the copies without are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.league.condition import chosen
from nestbench.league.packages import PLACES
from nestbench.league.running import Drawn, Settings, draw, entries, named, standings_of
from nestbench.league.standing import Standing
from tests.league.plants import DEFECTS, PLANTS, Plant, folder_of, planted

pytestmark = [pytest.mark.slow, pytest.mark.posix]
SETTINGS = Settings(20261126, tuple(range(34)))
ALL = 102
"""Fits: enough that one of a hundred fails."""


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    return draw(chosen(["balanced", "unequal", "labels-text"]), SETTINGS)


def league(plant: Plant, defect: str, drawn: list[Drawn], folder: Path) -> list[Standing]:
    """Run one way on a copy of its package, with a defect in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(planted(plant, defect, folder)))
        few = drawn if defect == "failures" else [one for one in drawn if one.number < 5]
        return standings_of(named(entries(PLACES), [plant.way])[0], few, SETTINGS)


@pytest.mark.parametrize("defect", ["", *DEFECTS])
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.way)
def test_a_planted_defect_is_red(plant: Plant, defect: str, drawn: list[Drawn], tmp_path: Path) -> None:
    if folder_of(plant.package) is None:
        pytest.skip(f"{plant.package} isn't installed")
    if defect in plant.without:
        return  # it has no df that could be off
    found = league(plant, defect, drawn, tmp_path)
    counts = [dict(standing.outcomes) for standing in found]
    assert not any("crashed" in count or "hung" in count for count in counts), found
    red = [standing.condition for standing in found if standing.red]
    if defect == "":
        assert red == [], found
    elif defect in ("zero", "failures"):
        assert red, counts
        bad = sum(count.get("wrong", 0) + count.get("refused", 0) for count in counts)
        assert bad == (3 if defect == "zero" else 1), counts
    else:
        assert red == ["balanced", "unequal", "labels-text"], counts
