"""The manifest of a run: what was asked for, how far, in which format. Read as a stranger's: nothing is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from nestbench.experiments.experiment import MOST_REPLICATIONS, Experiment
from nestbench.experiments.files import write_atomically
from nestbench.experiments.plan import Round
from nestbench.sim.errors import StoreError
from nestbench.sim.files import read_file

FORMAT = 2
MANIFEST = "manifest.json"
MANIFEST_COPY = "manifest.copy.json"

Count = Annotated[int, Field(ge=0, le=MOST_REPLICATIONS)]


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A `Round` as JSON."""

    replications: list[Count]
    reference: Count
    audit: Count


@dataclass(frozen=True, slots=True)
class Manifest:
    """What every manifest holds; the experiment itself is checked where it is read (`toml.stored`)."""

    format: int
    key: str
    block: Annotated[int, Field(ge=1)] | None
    shard: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None
    rounds: list[RoundRecord]
    sessions: list[dict[str, Any]]
    experiment: dict[str, Any]
    checksum: str
    provenance: dict[str, Any] = field(default_factory=dict)


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def blank_manifest(
    experiment: Experiment, block: int | None, shard: tuple[int, int] | None, rounds: Sequence[Round]
) -> dict[str, Any]:
    """Return the manifest of a new run; `block` and `rounds` are those of the part whose tasks it shares, if any."""
    return {
        "format": FORMAT,
        "key": experiment.key,
        "block": block,
        "shard": list(shard) if shard else None,
        "rounds": [round_record(r) for r in rounds],
        "sessions": [],
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a run directory; None if there is no run in it.

    Raises
    ------
    StoreError
        The manifest can't be read, is none, or is of another format.
    """
    manifest, unread = None, False
    for name in (MANIFEST, MANIFEST_COPY):
        try:
            read = json.loads(read_file(folder / name))
            if (
                # Other formats may be summed otherwise: they get the message on formats, not one on damage.
                isinstance(read, dict)
                and read.get("format") == FORMAT
                and read.get("checksum") != _checksum(read)
            ):
                unread = True  # a flipped bit may leave other numbers behind
                continue
            manifest = read
            break
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StoreError(f"expected a readable {folder / name}, got '{error.strerror}'") from error
        except (ValueError, RecursionError):
            unread = True  # the copy was written before it
    if manifest is None:
        if unread:
            raise StoreError(f"{folder / MANIFEST} and its copy are damaged; restore them from a backup")
        return None
    return _checked(manifest, folder)


def _checked(manifest: Any, folder: Path) -> dict[str, Any]:
    """Return a manifest that has every field it must have; StoreError with the first place that is wrong."""
    if isinstance(manifest, dict) and manifest.get("format") != FORMAT:
        raise StoreError(
            f"expected a run of format {FORMAT} in '{folder}', got {manifest.get('format')!r}; "
            "read it with the version of nestbench that wrote it"
        )
    try:
        # As JSON: of Python values pydantic's strict mode refuses a list for a tuple and a dict for a dataclass.
        _MANIFEST.validate_json(json.dumps(manifest), strict=True)
        return dict(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise StoreError(
            f"expected {folder / MANIFEST} as nestbench writes it, got something else at {place} ({first['msg']}); "
            "restore it from a backup"
        ) from None


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest and, before it, its copy: one of them is whole at any moment."""
    # The sum is taken of what a reader will have read: tuples are lists then, paths are text.
    values = json.loads(json.dumps(manifest, default=str))
    text = json.dumps({**values, "checksum": _checksum(values)}, indent=1, ensure_ascii=False)
    # The copy first: while the manifest is written, the copy is whole.
    for name in (MANIFEST_COPY, MANIFEST):
        # An argument that isn't UTF-8 reaches sys.argv as lone surrogates, which no encoder takes; a backslash and
        # its digits are the same character in JSON.
        write_atomically(folder / name, text.encode(errors="backslashreplace"))


def _checksum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything else in the manifest."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def rounds_of(manifest: Mapping[str, Any]) -> list[Round]:
    """Return how far a run was asked to go, round by round."""
    return [Round(tuple(r["replications"]), r["reference"], r["audit"]) for r in manifest["rounds"]]


def round_record(reach: Round) -> dict[str, Any]:
    """Return a round as JSON values."""
    return {"replications": list(reach.replications), "reference": reach.reference, "audit": reach.audit}


def check_rounds(manifest: Mapping[str, Any], experiment: Experiment, folder: Path) -> None:
    """Refuse rounds of another number of conditions: they would say of conditions that aren't how far they are."""
    wrong = [r for r in manifest["rounds"] if len(r["replications"]) != len(experiment.cells)]
    if wrong or not manifest["rounds"]:
        raise StoreError(
            f"expected rounds of {len(experiment.cells)} conditions in {folder / MANIFEST}, got others; "
            "restore it from a backup"
        )


def version_of(manifest: Mapping[str, Any]) -> str:
    """Return the nestbench that wrote a run; empty where it doesn't say."""
    packages = manifest.get("provenance", {}).get("packages")
    return str(packages.get("nestbench", "") if isinstance(packages, Mapping) else "")
