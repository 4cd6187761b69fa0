"""The store: a directory that holds a run. The only mutable thing, written by one process at a time.

::

    RUN/manifest.json            the experiment whole, its key, the rounds asked for, provenance; with a copy beside
    RUN/lock                     held by the process that writes
    RUN/experiment.toml          the experiment as the user wrote it
    RUN/plugins/                 the user's own files, as they were
    RUN/journal                  one line a finished task, with checksums
    RUN/fits/c00000/...parquet   estimates, one file a task: the same bytes whoever made them
    RUN/times/, RUN/audit/       wall times and audits, kept apart
    RUN/optima/                  how MixedLM's fits compare with the exact maximum
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment
from nestbench.experiments.plan import Round, Task, plan
from nestbench.experiments.results import Extent
from nestbench.experiments.running import auditing
from nestbench.experiments.running.shards import Shard
from nestbench.experiments.running.work import Outcome
from nestbench.experiments.storing import encoding, journal
from nestbench.experiments.storing.extent import extent_of
from nestbench.experiments.storing.files import TEMPORARY, unwritable, write_atomically
from nestbench.experiments.storing.joining import join, taken
from nestbench.experiments.storing.lock import NAME as LOCK
from nestbench.experiments.storing.lock import Lock
from nestbench.experiments.storing.verifying import damaged
from nestbench.experiments.toml.plain import from_plain, to_plain
from nestbench.sim.errors import StoreError

FORMAT = 1
MANIFEST = "manifest.json"
NAMES = ("estimator", "engine")
MANIFEST_COPY = "manifest.copy.json"


class Store:
    """A run directory, open for reading; `create` and `extend` make one, `add` fills it. Implements `Results`."""

    def __init__(self, folder: Path, experiment: Experiment, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self._experiment = experiment
        self._manifest = dict(manifest)
        self._entries = journal.read_journal(folder / journal.NAME)
        self._lock: Lock | None = None
        self._by_cell: dict[tuple[int, bool], list[journal.Entry]] = {}
        self._counted = 0
        self._tasks: tuple[Task, ...] | None = None

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open the run in a directory.

        Raises
        ------
        StoreError
            There is no run, or one of another format.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest is None:
            raise StoreError(
                f"expected a run directory (with {MANIFEST}), got '{folder}'; make one with nestbench run"
            )
        experiment = from_plain(manifest["experiment"], folder / "plugins")
        if experiment.key != manifest["key"]:
            raise StoreError(
                f"the run in '{folder}' was made with other versions of its methods or laws; read it with "
                f"nestbench {manifest['provenance']['packages'].get('nestbench')}, or run the experiment anew"
            )
        return cls(folder, experiment, manifest)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        experiment: Experiment,
        provenance: Mapping[str, Any],
        block: int | None = None,
        shard: tuple[int, int] | None = None,
        like: Store | None = None,
    ) -> Store:
        """Open the run of an experiment in a directory, new or begun, for this process alone to write
        (until `release`). One that goes further extends it; tasks whose files are damaged count as missing.

        Raises
        ------
        StoreError
            The directory holds something else, can't be written, or another process writes to it.
        """
        folder = Path(folder)
        if read_manifest(folder) is None:
            _make(folder)
        lock = Lock(folder)
        try:
            return cls._locked(lock, folder, experiment, provenance, _blank(experiment, block, shard, like))
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _locked(
        cls,
        lock: Lock,
        folder: Path,
        experiment: Experiment,
        provenance: Mapping[str, Any],
        blank: dict[str, Any],
    ) -> Store:
        manifest = read_manifest(folder)
        if manifest is None:
            manifest = blank
        elif manifest["key"] != experiment.key:
            raise StoreError(
                f"expected '{folder}' to be empty or hold this experiment, got a run of the different experiment "
                f"'{manifest['experiment']['name']}'; choose another directory with -o DIR (out=...)"
            )
        if manifest["shard"] != blank["shard"] and blank["shard"] is not None:
            raise StoreError(
                f"expected '{folder}' to be empty or hold {_part(blank['shard'])}, got {_part(manifest['shard'])}; "
                "choose another directory with -o DIR (out=...)"
            )
        store = cls(folder, experiment, manifest)
        store._lock = lock
        store._begin(Round.of(experiment), provenance)
        for entry, _ in list(damaged(folder, store._entries.values())):
            del store._entries[entry.task.key]
        return store

    def release(self) -> None:
        """End writing: let another process run in this directory."""
        if self._lock is not None:
            self._lock.release()

    def _begin(self, wanted: Round, provenance: Mapping[str, Any]) -> None:
        self._manifest.setdefault("provenance", dict(provenance))
        self._manifest["sessions"] = [*self._manifest["sessions"], dict(provenance)]
        for plugin in self._experiment.plugins:
            kept = self.folder / "plugins" / Path(plugin.path).name
            if kept != Path(plugin.path):
                write_atomically(kept, Path(plugin.path).read_bytes())
        if self._experiment.source:
            write_atomically(self.folder / "experiment.toml", self._experiment.source.encode())
        for stale in self.folder.rglob(f"*{TEMPORARY}"):
            stale.unlink()
        self.extend(wanted)

    def extend(self, wanted: Round) -> None:
        """Let the run go as far as a round, too; what is already asked for stays."""
        rounds = self.rounds
        reached = rounds[-1] if rounds else Round.nothing(self._experiment)
        if wanted.joined(reached) != reached:
            rounds.append(wanted.joined(reached))
        last = rounds[-1]
        self._experiment = replace(
            self._experiment,
            replications=max(last.replications),
            reference_replications=last.reference,
            audit=last.audit,
        )
        self._manifest["experiment"] = to_plain(self._experiment)
        self._manifest["rounds"] = [_round_plain(r) for r in rounds]
        self._tasks = None
        self._save()

    def remember_precision(self, lines: list[str]) -> None:
        """Keep what precision was reached, cell by cell, with the provenance."""
        self._manifest["provenance"]["precision"] = {str(i): line for i, line in enumerate(lines)}
        self._save()

    def _save(self) -> None:
        text = json.dumps(self._manifest, indent=1, ensure_ascii=False, default=str)
        for name in (MANIFEST_COPY, MANIFEST):
            write_atomically(self.folder / name, text.encode())

    @property
    def experiment(self) -> Experiment:
        """The experiment as run."""
        return self._experiment

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, CPU, commit, start, workers of the first session."""
        found: Mapping[str, Any] = self._manifest["provenance"]
        return found

    @property
    def rounds(self) -> list[Round]:
        """How far the run was asked to go, round by round."""
        return [Round(tuple(r["replications"]), r["reference"], r["audit"]) for r in self._manifest["rounds"]]

    @property
    def block(self) -> int | None:
        """Replications of a task, if the run was told; None means by cost."""
        found: int | None = self._manifest["block"]
        return found

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which part of a run this is, (index, count) from 1; None is the whole."""
        found = self._manifest["shard"]
        return (found[0], found[1]) if found else None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task of the run, or of the part of it that this is."""
        if self._tasks is None:
            self._tasks = plan(self._experiment, self.rounds, self.block)
            if self.shard is not None:
                self._tasks = Shard(*self.shard).of(self._tasks, self._experiment.precision is not None)
        return self._tasks

    def missing(self) -> list[Task]:
        """Return the tasks that are not stored yet."""
        return [task for task in self.tasks if task.key not in self._entries]

    @property
    def entries(self) -> Mapping[str, journal.Entry]:
        """Finished tasks by key."""
        return self._entries

    def add(self, outcome: Outcome) -> None:
        """Store what a task came to: its files first, then its line in the journal."""
        for file in outcome.files:
            write_atomically(self.folder / file.path, file.data)
        files = tuple((file.path, file.sha256, len(file.data)) for file in outcome.files)
        entry = journal.Entry(outcome.task, files, outcome.fits, outcome.unusable, outcome.seconds)
        journal.append(self.folder / journal.NAME, [entry])
        self._entries[outcome.task.key] = entry

    def adopt(self, entries: Iterable[journal.Entry]) -> None:
        """Count tasks as finished whose files and journal lines were written by another hand."""
        self._entries.update((entry.task.key, entry) for entry in entries)

    def estimates(self, cell: int, within: range | None = None) -> Mapping[str, Estimates]:
        """Estimates of one cell by estimator label, whatever is stored so far; each method is read when asked for.

        `within` are the replications to read: all by default.
        """
        return CellEstimates(self, cell, within)

    def timings(self, cell: int, within: range | None = None) -> pd.DataFrame:
        """Columns estimator, engine, replication, seconds: made under load, never reported as a benchmark.

        `within` are the replications to read: all by default.
        """
        tables = []
        for entry, data in self._read(cell, "times", within):
            table = encoding.decode_times(data)
            if not _covers(within, entry.task):
                table = table[table["replication"].isin(within or ())]
            tables.append(table)
        if not tables:
            return pd.DataFrame({name: [] for name in encoding.TIMES_SCHEMA.names})
        names = {
            name: list(dict.fromkeys(c for t in tables for c in t[name].cat.categories)) for name in NAMES
        }
        kinds = {name: pd.CategoricalDtype(found) for name, found in names.items()}
        return pd.concat([table.astype(kinds) for table in tables], ignore_index=True)

    def audits(self) -> pd.DataFrame:
        """One row per audited cell x estimator; see `Results.audits`."""
        cells = range(len(self._experiment.cells))
        return auditing.gather(
            [
                encoding.decode_audit(data)
                for cell in cells
                for folder in ("audit", "optima")
                for _, data in self._read(cell, folder)
            ]
        )

    def extent(self) -> Extent:
        """How many data sets of each cell every method has, and should have; see `Results.extent`."""
        return extent_of(self._experiment, self.rounds[-1], self._entries.values(), self.shard)

    def finished(self, cell: int, audit: bool = False) -> list[journal.Entry]:
        """Return the finished tasks of a cell, by replication."""
        if self._counted != len(self._entries):
            self._counted = len(self._entries)
            self._by_cell = {}
            for entry in self._entries.values():
                self._by_cell.setdefault((entry.task.cell, entry.task.audit), []).append(entry)
        found = self._by_cell.get((cell, audit), [])
        return sorted(found, key=lambda entry: (entry.task.start, entry.task.estimators))

    def read(self, entry: journal.Entry, folder: str) -> bytes:
        """Return the bytes of a task's file in one of the run's folders."""
        path = next(path for path, _, _ in entry.files if path.startswith(f"{folder}/"))
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise StoreError(
                f"expected the stored file {path}, got '{error.strerror}'; nestbench verify {self.folder} --store "
                "says what is damaged, nestbench run makes it again"
            ) from error

    def _read(
        self, cell: int, folder: str, within: range | None = None
    ) -> Iterator[tuple[journal.Entry, bytes]]:
        for entry in self.finished(cell, audit=folder == "audit"):
            if _touches(within, entry.task) and any(
                path.startswith(f"{folder}/") for path, _, _ in entry.files
            ):
                yield entry, self.read(entry, folder)


class CellEstimates(Mapping[str, Estimates]):
    """Estimates of a cell, or of some of its replications, by estimator label, each read when it is asked for."""

    def __init__(self, store: Store, cell: int, within: range | None = None) -> None:
        self._store = store
        self._within = within
        self._entries = [entry for entry in store.finished(cell) if _touches(within, entry.task)]
        present = sorted({i for entry in self._entries for i in entry.task.estimators})
        self._positions = {store.experiment.estimators[i].label: i for i in present}

    def __getitem__(self, label: str) -> Estimates:
        chosen = self._positions[label]
        return join(
            [self._decoded(entry, chosen) for entry in self._entries if chosen in entry.task.estimators]
        )

    def _decoded(self, entry: journal.Entry, chosen: int) -> Estimates:
        found = encoding.decode_estimates(
            self._store.read(entry, "fits"), entry.task.estimators.index(chosen)
        )
        if self._within is None or _covers(self._within, entry.task):
            return found
        return taken(found, np.isin(found.replications, self._within))

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)


def _touches(within: range | None, task: Task) -> bool:
    return within is None or (task.start < within.stop and within.start < task.stop)


def _covers(within: range | None, task: Task) -> bool:
    return within is None or (within.start <= task.start and task.stop <= within.stop)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a run directory; None if there is no run in it.

    Raises
    ------
    StoreError
        The manifest can't be read, or is of another format.
    """
    manifest = None
    for name in (MANIFEST, MANIFEST_COPY):
        try:
            manifest = json.loads((folder / name).read_text(encoding="utf-8"))
            break
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StoreError(f"expected a readable {folder / name}, got '{error.strerror}'") from error
        except ValueError:
            continue  # damaged: the copy was written before it
    if manifest is None:
        if (folder / MANIFEST).is_file():
            raise StoreError(f"{folder / MANIFEST} and its copy are damaged; restore them from a backup")
        return None
    if manifest.get("format") != FORMAT:
        raise StoreError(
            f"expected a run of format {FORMAT} in '{folder}', got {manifest.get('format')}; "
            "read it with the version of nestbench that wrote it"
        )
    found: dict[str, Any] = manifest
    return found


def _blank(
    experiment: Experiment, block: int | None, shard: tuple[int, int] | None, like: Store | None
) -> dict[str, Any]:
    """Return the manifest of a new run; `like` is a part whose division into tasks it takes over."""
    return {
        "format": FORMAT,
        "key": experiment.key,
        "block": like.block if like else block,
        "shard": list(shard) if shard else None,
        "rounds": [_round_plain(r) for r in like.rounds] if like else [],
        "sessions": [],
    }


def _part(shard: list[int] | None) -> str:
    return f"part {shard[0]}/{shard[1]}" if shard else "a whole run"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = [item.name for item in folder.iterdir() if item.suffix != TEMPORARY and item.name != LOCK]
    except OSError as error:
        raise unwritable(folder, error) from error
    if strange:
        raise StoreError(
            f"expected '{folder}' to be empty, new, or a run, got a directory with {strange[0]} in it; "
            "choose another with -o DIR (out=...)"
        )


def _round_plain(reach: Round) -> dict[str, Any]:
    return {"replications": list(reach.replications), "reference": reach.reference, "audit": reach.audit}


def same_experiment(folder: Path, experiment: Experiment) -> bool:
    """Whether a directory is free for, or already holds, the run of an experiment."""
    manifest = read_manifest(folder)
    return manifest is None or manifest["key"] == experiment.key
