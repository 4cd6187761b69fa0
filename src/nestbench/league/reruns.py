"""What other seeds show: which ways are red in a condition where a kept run of the league isn't.

``python -m nestbench.league.reruns league.json --seeds 100 --only glmm`` fits the data sets of which ``nestbench league
--seed S --data-sets 1`` fits those of one seed, for seeds 1 to 100; a way's fits share a process, which takes longer to
start than most of them. What is red in the kept run isn't fitted: no seed makes it new. Every fit is a row of the
file, which grows as they come; seeds that a way has there aren't fitted again. An entry is new where it is red with
these fits beside those of the kept run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from nestbench.league.condition import chosen
from nestbench.league.judging import Judgement
from nestbench.league.keeping import latest, load
from nestbench.league.packages import PLACES
from nestbench.league.running import Drawn, Entry, Settings, draw, entries, judged, lines_of, named
from nestbench.league.standing import Standing, largest_first

BLOCK = 20
"""Seeds whose data sets are held at a time, and fitted by one process of each way."""


Red = frozenset[tuple[str, str]]
"""Ways, each with a condition in which it is red."""


def rerun(
    taking_part: Sequence[Entry], seeds: Sequence[int], conditions: Sequence[str], path: Path, red: Red
) -> pd.DataFrame:
    """Fit what a file lacks and isn't red before, add the rows to the file, and return all there are."""
    for start in range(0, len(seeds), BLOCK):
        some = seeds[start : start + BLOCK]
        drawn: dict[int, list[Drawn]] = {}
        for entry in taking_part:
            done = rows_in(path)
            left = [seed for seed in some if seed not in set(done.loc[done["way"] == entry.label, "seed"])]
            for seed in left:
                # Drawn for the first way that needs them: all have their exact values from these.
                drawn.setdefault(seed, draw(chosen(conditions), Settings(seed, (0,))))
            rows = rows_of(entry, {seed: drawn[seed] for seed in left}, red)
            pd.concat([done, pd.DataFrame(rows)], ignore_index=True).to_csv(path, index=False)
    return rows_in(path)


def rows_in(path: Path) -> pd.DataFrame:
    """Return the rows of a file; none where there is none yet."""
    columns = ["way", "seed", "condition", "outcome"]
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)


def rows_of(entry: Entry, drawn: dict[int, list[Drawn]], red: Red) -> list[dict[str, object]]:
    """Return a row a fit of one way: its outcome, and the number that is furthest off."""
    mine = dict(
        enumerate((seed, one) for seed, every in drawn.items() for one in every if fits(entry, one, red))
    )
    lines = lines_of(entry, {k: one for k, (_, one) in mine.items()}, Settings(0, (0,))) if mine else {}
    found = [(seed, one, judged(lines[k], one, entry.way)) for k, (seed, one) in mine.items()]
    return [
        {"way": entry.label, "seed": seed, "condition": one.condition.name, **_outcome(judgement)}
        for seed, one, judgement in found
    ]


def fits(entry: Entry, one: Drawn, red: Red) -> bool:
    """Whether a way fits the model of a data set, and isn't red in its condition before."""
    return one.condition.asked.random in entry.way.exact and (entry.label, one.condition.name) not in red


def _outcome(judgement: Judgement) -> dict[str, object]:
    worst = largest_first(judgement.numbers)[:1]
    names = ("quantity", "term", "reported", "exact", "error", "allowed")
    numbers = {name: getattr(number, name) for number in worst for name in names}
    return {"outcome": str(judgement.outcome), **numbers, "note": judgement.note}


def new_red(kept: Sequence[Standing], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the fits that make entries red which were not; what ended as some of the kept run's did is no news."""
    held = {(one.label, one.condition): one for one in latest(kept)}
    parts = []
    for (way, condition), own in rows.groupby(["way", "condition"], sort=False):
        before = held.get((str(way), str(condition)))
        if before is None or before.red:
            continue
        reddens = [name for name in set(own["outcome"]) - set(before.outcomes) if _with(before, name).red]
        parts.append(own[own["outcome"].isin(reddens)])
    return pd.concat(parts) if parts else rows[:0]


def _with(before: Standing, outcome: str) -> Standing:
    """Return an entry with one more fit, which ended so."""
    return replace(before, outcomes=Counter(before.outcomes) + Counter([outcome]))


def table(kept: Sequence[Standing], rows: pd.DataFrame) -> str:
    """Return a line a way: its seeds and fits, the conditions that were red before, and those that are now, too."""
    new, lines = new_red(kept, rows), []
    red = Counter(one.label for one in latest(kept) if one.red)
    for way, own in rows.groupby("way", sort=False):
        fresh = new[new["way"] == way].groupby("condition", sort=False)["seed"].nunique()
        lines.append(
            {
                "way": way,
                "seeds": own["seed"].nunique(),
                "fits": len(own),
                "red before": red[str(way)],
                "new": len(fresh),
                "new red entries": ", ".join(f"{name} {count}" for name, count in fresh.items()),
            }
        )
    return pd.DataFrame(lines).to_string(index=False)


def main() -> None:
    """Fit under other seeds and print what is red there and was not in the kept run."""
    parser = argparse.ArgumentParser(prog="python -m nestbench.league.reruns", description=__doc__)
    parser.add_argument("kept", type=Path, help="league.json of the run to compare with")
    parser.add_argument("--seeds", type=int, default=100, help="seeds 1 to this")
    parser.add_argument("--only", default="", help="packages, or packages with a way, with commas")
    parser.add_argument("--condition", default="", help="conditions, with commas")
    parser.add_argument("--csv", type=Path, default=Path("reruns.csv"), help="where every fit's row goes")
    given = parser.parse_args()
    only, conditions = (list(filter(None, text.split(","))) for text in (given.only, given.condition))
    kept, taking_part = load(given.kept), named(entries(PLACES), only)
    red = frozenset((one.label, one.condition) for one in latest(kept) if one.red)
    rows = rerun(taking_part, range(1, given.seeds + 1), conditions, given.csv, red)
    print(table(kept, rows))
    for row in new_red(kept, rows).itertuples():
        line = f'nestbench league --only "{row.way}" -c {row.condition} --data-set 0 --seed {row.seed}'
        print(
            f"{line}\n  {row.outcome}: {row.quantity} {row.term} {row.reported} for {row.exact}; {row.note}"
        )


if __name__ == "__main__":
    main()
