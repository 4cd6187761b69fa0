"""Other seeds: what is red there beside a kept run, and what isn't fitted again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nestbench.league.reruns import new_red, rerun, rows_in, table
from tests.league.running import entry
from tests.league.test_league import standing


def rows(*outcomes: str, way: str = "fake se", condition: str = "balanced") -> pd.DataFrame:
    """Fits of one way in one condition, under seeds 1, 2, ..."""
    return pd.DataFrame(
        [
            {"way": way, "seed": seed, "condition": condition, "outcome": outcome}
            for seed, outcome in enumerate(outcomes, 1)
        ]
    )


@pytest.mark.parametrize(
    ("before", "then", "seeds"),
    [
        ({"right": 12}, ("right", "within 1e-3", "not judged"), []),
        ({"right": 12}, ("right", "wrong", "crashed"), [2, 3]),
        # An entry that is new for one fit is so for that fit alone.
        ({"right": 12}, ("within 1e-3", "wrong"), [2]),
        ({"right": 12}, ("right", "refused"), [2]),
        # One that refuses all still does; one that refused all and answers some is red for those it answers.
        ({"refused": 12}, ("refused", "refused"), []),
        ({"refused": 12}, ("refused", "right"), [2]),
        # Red before: no news.
        ({"right": 11, "wrong": 1}, ("wrong", "wrong"), []),
    ],
)
def test_an_entry_is_new_where_it_was_not_red_without_these_fits(
    before: dict[str, int], then: tuple[str, ...], seeds: list[int]
) -> None:
    kept = [standing(outcomes=before), standing(condition="icc-0", outcomes={"right": 12})]
    assert list(new_red(kept, rows(*then))["seed"]) == seeds
    line = table(kept, rows(*then)).splitlines()[1].split()
    assert line[2:6] == [str(len(then)), str(len(then)), str(int("wrong" in before)), str(int(bool(seeds)))]
    assert line[6:] == (["balanced", str(len(seeds))] if seeds else [])


@pytest.mark.slow
def test_seeds_are_fitted_once_and_a_way_that_is_wrong_is_new(tmp_path: Path) -> None:
    path, ways = tmp_path / "rows.csv", [entry("right"), entry("se")]
    first = rerun(ways, [1, 2], ["balanced", "icc-0"], path, frozenset())
    assert len(first) == 2 * 2 * 2
    more = rerun(ways, [1, 2, 3], ["balanced", "icc-0"], path, frozenset({("fake se", "icc-0")}))
    assert len(more) == 2 * 2 * 2 + 2 + 1
    pd.testing.assert_frame_equal(rows_in(path), more)
    assert more.groupby("way")["seed"].unique().map(list).to_dict() == {
        way: [1, 2, 3] for way in ("fake right", "fake se")
    }
    assert set(more.loc[more["way"] == "fake right", "outcome"]) == {"right"}
    kept = [
        standing(way, condition, outcomes={"right": 12})
        for way in ("right", "se")
        for condition in ("balanced", "icc-0")
    ]
    new = new_red(kept, more)
    assert len(new) == 2 * 2 + 1
    assert set(new["way"]) == {"fake se"}
    # Of a standard error and of an interval's end alike.
    assert new["error"].to_list() == pytest.approx([0.05] * 5)
