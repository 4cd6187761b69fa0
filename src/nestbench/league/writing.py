"""What the league leaves in a folder: ``league.json``, ``league.html`` and a script for each red standing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nestbench.experiments.files import unwritable, write_atomically
from nestbench.league.condition import conditions
from nestbench.league.exact import truths_of
from nestbench.league.judging import compared
from nestbench.league.keeping import FILE, latest, load, merged, save
from nestbench.league.page import id_of, render
from nestbench.league.running import Entry
from nestbench.league.script import script
from nestbench.league.standing import Standing

PAGE, SCRIPTS = "league.html", "scripts"


def write_league(
    standings: Sequence[Standing], taking_part: Sequence[Entry], folder: Path, more: Sequence[Path]
) -> list[Standing]:
    """Write results and page into a folder, with what it and other files hold already; return all standings.

    Raises
    ------
    InvalidInput
        A file to merge isn't a league's.
    StoreError
        The folder can't be written.
    """
    every = merged([*held(folder, more), *standings])
    save(every, folder / FILE)
    scripts: dict[tuple[str, ...], str] = {}
    for standing in latest(every):
        if standing.red and (text := script_of(standing, taking_part)):
            path = Path(SCRIPTS) / f"{id_of(standing)}.py"
            write_atomically(folder / path, text.encode())
            scripts[standing.key] = path.as_posix()
    write_atomically(folder / PAGE, render(every, taking_part, scripts).encode())
    return every


def held(folder: Path | None, more: Sequence[Path]) -> list[Standing]:
    """Return the standings that a folder, if one is given, and other files hold; raises as `write_league`."""
    files = list(more)
    if folder is not None:
        kept = folder / FILE
        try:
            there = kept.exists()
        except OSError as error:  # a name too long, a folder that may not be entered
            raise unwritable(kept, error) from error
        files = [*([kept] if there else []), *files]
    return [standing for path in files for standing in load(path)]


def script_of(standing: Standing, taking_part: Sequence[Entry]) -> str:
    """Return the script of a standing's worst fit; empty where its way or condition is no longer known."""
    entry = next((entry for entry in taking_part if entry.label == standing.label), None)
    condition = next((one for one in conditions() if one.name == standing.condition), None)
    if entry is None or condition is None:
        return ""
    data = condition.data_set(standing.worst, standing.seed)
    truths = truths_of(data, condition.asked)
    numbers = list(compared({}, truths.of(entry.way), entry.way)) if truths else []
    fitted = f"{standing.package} {standing.version}, {standing.way}"
    title = f"{fitted}, on data set {standing.worst} of '{standing.condition}'"
    return script(title, entry.package, entry.way, data, condition.asked, numbers)
