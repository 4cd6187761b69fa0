"""Parts of a run joined into one.

Files are copied as they are, after their checksums were checked, and journals become one: what was merged can't be told
from what was run in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from nestbench.experiments.files import checked, write_atomically
from nestbench.experiments.plan import Round
from nestbench.experiments.storing import journal
from nestbench.experiments.storing.store import Store
from nestbench.experiments.storing.verifying import damaged
from nestbench.sim.counted import plural
from nestbench.sim.errors import InvalidInput, StoreError


def merge(parts: Sequence[Path], out: Path, provenance: Mapping[str, Any]) -> tuple[Store, list[str]]:
    """Join the parts of a run in a new directory.

    Parameters
    ----------
    parts : sequence of Path
        Directories written with ``nestbench run --shard``.
    out : Path
        Directory of the joined run.
    provenance : mapping
        Of the joining session.

    Returns
    -------
    Store
        The joined run; what no part has is missing in it, and running it makes it.
    list of str
        What is missing or damaged, in words.

    Raises
    ------
    StoreError
        A part of another experiment or of another division, or two parts with the same task.
    """
    stores = [Store.open(part) for part in parts]
    _check_same(stores)
    _check_apart(stores)
    notes: list[str] = []
    joined = Store.create(out, stores[0].experiment, provenance, like=stores[0])
    try:
        for reach in _rounds(stores):
            joined.extend(reach)
        for store in stores:
            notes += _adopt(joined, store)
    finally:
        joined.release()
    return joined, notes + _missing(stores)


def _check_same(stores: Sequence[Store]) -> None:
    """Refuse parts of another experiment, or with other numbers of replications."""
    if not stores:
        raise InvalidInput("expected at least one part to merge, got none")
    first = stores[0]
    for store in stores[1:]:
        if store.experiment.key != first.experiment.key:
            raise StoreError(
                f"expected parts of one experiment, got '{store.folder}' ({store.experiment.name}, key "
                f"{store.experiment.key}) beside '{first.folder}' ({first.experiment.name}, key "
                f"{first.experiment.key}); leave it out"
            )
        ends = (
            1 if first.experiment.precision else None
        )  # later rounds differ by what each part's conditions needed
        if (store.rounds[:ends], store.block) != (first.rounds[:ends], first.block):
            raise StoreError(
                f"expected parts with the same replications, got '{store.folder}' beside '{first.folder}'; run its "
                "part again with the same command as the others"
            )


def _check_apart(stores: Sequence[Store]) -> None:
    """Refuse parts that have a task in common: one of them would be dropped in silence."""
    owner: dict[str, Store] = {}
    for store in stores:
        for key in store.entries:
            if key in owner:
                raise StoreError(
                    f"expected parts without overlap, got '{owner[key].folder}' and '{store.folder}' with the same "
                    f"task {key}; leave one of them out"
                )
            owner[key] = store


def _rounds(stores: Sequence[Store]) -> Iterator[Round]:
    """Yield the rounds of all parts together: each condition goes through those of its own part."""
    for number in range(max(len(store.rounds) for store in stores)):
        reached = [store.rounds[: number + 1][-1] for store in stores]
        yield reduce(Round.joined, reached)


def _adopt(joined: Store, store: Store) -> list[str]:
    """Copy a part's whole files into the joined run; return what is damaged, in words."""
    # All of a part is read before anything is copied: a task goes over with all its files or not at all.
    harmed = {entry.task.key: wrong for entry, wrong in damaged(store.folder, store.entries.values())}
    whole = [entry for key, entry in store.entries.items() if key not in harmed and key not in joined.entries]
    for entry in whole:
        for path, sha256, size in entry.files:
            # Checked on the way: damage must not be copied into a run that looks whole.
            write_atomically(joined.folder / path, checked(store.folder / path, sha256, size))
    journal.append(joined.folder / journal.NAME, whole)
    joined.adopt(whole)
    return [f"damaged in {store.folder}: {wrong}" for wrong in harmed.values()]


def _missing(stores: Sequence[Store]) -> list[str]:
    """Return what no part has: unfinished tasks, parts that aren't there."""
    notes = [
        f"unfinished: {s.folder} lacks {plural(len(s.missing()), 'task')}" for s in stores if s.missing()
    ]
    shards = [s.shard for s in stores if s.shard is not None]
    if shards:
        there = {index for index, _ in shards}
        count = shards[0][1]
        notes += [f"missing: part {i}/{count}" for i in range(1, count + 1) if i not in there]
    return notes
