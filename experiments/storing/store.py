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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from nestbench.estimators.estimates import Estimates
from nestbench.experiments.experiment import Experiment, content_of
from nestbench.experiments.files import TEMPORARY, Files, folders_of, stale, unwritable, write_atomically
from nestbench.experiments.plan import Round, Task, plan
from nestbench.experiments.results import UNREPEATABLE, Extent
from nestbench.experiments.shards import Shard
from nestbench.experiments.storing import audits, encoding, journal
from nestbench.experiments.storing.cell_estimates import CellEstimates
from nestbench.experiments.storing.extent import extent_of
from nestbench.experiments.storing.lock import NAME as LOCK
from nestbench.experiments.storing.lock import Lock
from nestbench.experiments.storing.manifest import (
    MANIFEST,
    blank_manifest,
    check_rounds,
    read_manifest,
    round_record,
    rounds_of,
    version_of,
    write_manifest,
)
from nestbench.experiments.storing.outcome import Outcome
from nestbench.experiments.storing.provenance import versions_changed
from nestbench.experiments.storing.verifying import damaged
from nestbench.experiments.toml.stored import from_stored, to_stored
from nestbench.sim.errors import StoreError

T = TypeVar("T")


class Store:
    """A run directory, open for reading; `create` and `extend` make one, `add` fills it. Implements `Results`."""

    def __init__(self, folder: Path, experiment: Experiment, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self._experiment = experiment
        self._manifest = dict(manifest)
        self._entries = {
            key: entry
            for key, entry in journal.read_journal(folder / journal.NAME).items()
            if _of_experiment(entry.task, experiment)
        }
        self._lock: Lock | None = None
        self._by_cell: dict[tuple[int, bool], list[journal.Entry]] = {}
        self._counted = 0
        self._files = Files()
        self._tasks: tuple[Task, ...] | None = None

    @classmethod
    def open(cls, folder: str | Path, code: bool = False) -> Store:
        """Open the run in a directory; its plugins are run only if `code` says so.

        Without them everything stored can be read; methods and populations that only a plugin has can't be fitted or
        drawn.

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
        experiment = from_stored(manifest["experiment"], folder / "plugins", code)
        check_rounds(manifest, experiment, folder)
        if experiment.key != manifest["key"]:
            raise StoreError(
                f"the run in '{folder}' was made with other versions of its methods or populations, by nestbench "
                f"{version_of(manifest)} as it was then; read it with that, or run the experiment anew"
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
        # Before the lock, whose file would stand in a stranger's directory that is then refused.
        if read_manifest(folder) is None:
            _make(folder)
        lock = Lock(folder)
        try:
            # As the run it is made like was extended: tasks are then cut at the same places.
            rounds = like.rounds if like else []
            blank = blank_manifest(experiment, like.block if like else block, shard, rounds)
            return cls._locked(lock, folder, experiment, provenance, blank)
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
        # Once more: another process may have begun the run before the lock was ours.
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
        # Before anything is planned, so that what is damaged is missing and done again. `list`, for entries go.
        for entry, _ in list(damaged(folder, store._entries.values())):
            del store._entries[entry.task.key]
        return store

    def release(self) -> None:
        """End writing: let another process run in this directory."""
        if self._lock is not None:
            self._lock.release()

    def _begin(self, reach: Round, provenance: Mapping[str, Any]) -> None:
        for folder in folders_of(self.folder):
            # Only under the lock are they known to be nobody's: without it they may be a living writer's.
            for file in stale(folder):
                file.unlink(missing_ok=True)
        self._manifest.setdefault("provenance", dict(provenance))
        self._manifest["sessions"] = [*self._manifest["sessions"], dict(provenance)]
        self.extend(reach)
        # After the manifest: a run stopped between the two is a run, and the same command completes it.
        for plugin in self._experiment.plugins:
            kept = self.folder / "plugins" / Path(plugin.path).name
            if kept != Path(plugin.path):
                write_atomically(kept, content_of(plugin.path))
        if self._experiment.source:
            write_atomically(self.folder / "experiment.toml", self._experiment.source.encode())

    def extend(self, reach: Round) -> None:
        """Let the run go as far as a round, too; what is already asked for stays."""
        rounds = self.rounds
        reached = rounds[-1] if rounds else Round.nothing(self._experiment)
        if reach.joined(reached) != reached:
            rounds.append(reach.joined(reached))
        last = rounds[-1]
        self._experiment = replace(
            self._experiment,
            replications=max(last.replications),
            reference_replications=last.reference,
            audit=last.audit,
        )
        self._manifest["experiment"] = to_stored(self._experiment)
        self._manifest["rounds"] = [round_record(r) for r in rounds]
        self._tasks = None
        write_manifest(self.folder, self._manifest)

    def remember_precision(self, lines: list[str]) -> None:
        """Keep what precision was reached, condition by condition, with the provenance."""
        self._manifest["provenance"]["precision"] = {str(i): line for i, line in enumerate(lines)}
        write_manifest(self.folder, self._manifest)

    @property
    def experiment(self) -> Experiment:
        """The experiment as run."""
        return self._experiment

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, CPU, commit, start, workers of the first session, what later ones had in other versions, and which
        methods didn't give the same numbers twice."""
        changed = versions_changed(self._manifest["sessions"])
        unrepeatable = {label for entry in self._entries.values() for label in entry.unrepeatable}
        # Labels of the experiment alone: a stranger's journal may hold anything.
        labels = [e.label for e in self._experiment.estimators if e.label in unrepeatable]
        more: dict[str, Any] = {"versions mixed": changed, UNREPEATABLE: labels}
        return {**self._manifest["provenance"], **{key: value for key, value in more.items() if value}}

    @property
    def rounds(self) -> list[Round]:
        """How far the run was asked to go, round by round."""
        return rounds_of(self._manifest)

    @property
    def block(self) -> int | None:
        """Replications of a task, if the run was told; None means by cost."""
        kept: int | None = self._manifest["block"]
        return kept

    @property
    def shard(self) -> tuple[int, int] | None:
        """Which part of a run this is, (index, count) from 1; None is the whole."""
        kept = self._manifest["shard"]
        return (kept[0], kept[1]) if kept else None

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
        if self._lock is not None:
            self._lock.require()
        for file in outcome.files:
            write_atomically(self.folder / file.path, file.data)
        files = tuple((file.path, file.sha256, len(file.data)) for file in outcome.files)
        entry = journal.Entry(
            outcome.task, files, outcome.fits, outcome.unusable, outcome.seconds, outcome.unrepeatable
        )
        journal.append(self.folder / journal.NAME, [entry])
        self._entries[outcome.task.key] = entry

    def adopt(self, entries: Iterable[journal.Entry]) -> None:
        """Count tasks as finished whose files and journal lines were written by another hand."""
        self._entries.update((entry.task.key, entry) for entry in entries)

    def estimates(
        self, cell: int, within: range | None = None, names: Sequence[str] | None = None
    ) -> Mapping[str, Estimates]:
        """Estimates of one condition by method label, whatever is stored so far; each method is read when asked for.

        `within` are the replications to read, `names` the terms and quantities: all by default.
        """
        return CellEstimates(self, cell, within, names)

    def names(self, cell: int) -> dict[str, tuple[str, ...]]:
        """Terms and quantities of a condition by method label."""
        return CellEstimates(self, cell).names()

    def timings(self, cell: int) -> pd.DataFrame:
        """Columns ``estimator, engine, replication, seconds``: made under load, never reported as a benchmark."""
        tables = [table for _, table in self._read(cell, "times", encoding.decode_times)]
        if not tables:
            return pd.DataFrame({name: [] for name in encoding.TIMES_SCHEMA.names})
        times: pd.DataFrame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
        return times

    def audits(self) -> pd.DataFrame:
        """One row per audited condition x method; see `Results.audits`."""
        cells = range(len(self._experiment.cells))
        tables = [
            rows
            for cell in cells
            for folder in ("audit", "optima")
            for _, rows in self._read(cell, folder, encoding.decode_audit)
        ]
        # A frame of each task's few rows would take longer than reading its file.
        return audits.gather([pa.concat_tables(tables).to_pandas()] if tables else [])

    def span(self, cell: int) -> range:
        """From the first replication stored of a condition to the last; see `Results.span`."""
        tasks = [entry.task for entry in self.finished(cell)]
        return range(min((t.start for t in tasks), default=0), max((t.stop for t in tasks), default=0))

    def opener(self) -> Callable[[], Store]:
        """What opens this run in another process, without its code; see `Results.opener`."""
        return partial(Store.open, self.folder)

    def extent(self) -> Extent:
        """How many data sets of each condition every method has, and should have; see `Results.extent`."""
        return extent_of(self._experiment, self.rounds[-1], self._entries.values(), self.shard)

    def finished(self, cell: int, audit: bool = False) -> list[journal.Entry]:
        """Return the finished tasks of a condition, by replication."""
        # Their number tells: while a run is open, entries are added, and none becomes another condition's.
        if self._counted != len(self._entries):
            self._counted = len(self._entries)
            self._by_cell = {}
            for entry in self._entries.values():
                self._by_cell.setdefault((entry.task.cell, entry.task.audit), []).append(entry)
        entries = self._by_cell.get((cell, audit), [])
        return sorted(entries, key=lambda entry: (entry.task.start, entry.task.estimators))

    def read(self, entry: journal.Entry, folder: str, decode: Callable[[bytes], T]) -> T:
        """Return what a task's file in one of the run's folders holds.

        Raises
        ------
        StoreError
            The file is not what was stored, or can't be read.
        """
        path, sha256, size = next(file for file in entry.files if file[0].startswith(f"{folder}/"))
        try:
            return decode(self._files.read(self.folder / path, sha256, size))
        except StoreError as error:
            raise self._unreadable(path, str(error)) from error
        except Exception as error:  # whole, but written by another hand: Arrow may raise anything
            raise self._unreadable(path, f"is no table of a run ({type(error).__name__})") from error

    def _unreadable(self, path: str, why: str) -> StoreError:
        return StoreError(
            f"expected the stored file {path} as it was written, but it {why}; nestbench verify {self.folder} "
            f"--store says what is damaged, {self._experiment.completed_by(self.folder)} makes it again"
        )

    def _read(
        self, cell: int, folder: str, decode: Callable[[bytes], T]
    ) -> Iterator[tuple[journal.Entry, T]]:
        for entry in self.finished(cell, audit=folder == "audit"):
            if any(path.startswith(f"{folder}/") for path, _, _ in entry.files):
                yield entry, self.read(entry, folder, decode)


def _of_experiment(task: Task, experiment: Experiment) -> bool:
    """Whether a task is one of these conditions and methods."""
    methods = range(len(experiment.estimators))
    return task.cell < len(experiment.cells) and all(i in methods for i in task.estimators)


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


def same_experiment(folder: Path, experiment: Experiment) -> bool:
    """Whether a directory is free for, or already holds, the run of an experiment."""
    manifest = read_manifest(folder)
    return manifest is None or manifest["key"] == experiment.key
