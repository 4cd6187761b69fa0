"""Baselines as files: versioned JSON that people can read and diff.

Format 3. Numbers have 9 significant digits; missing is null, infinity the text "inf". Replication numbers are
texts of ranges ("0-99 120"). Statuses list the replications that are not OK. `codes` (`fingerprint`) and `kept`
(`kept`) are base64. `checksum` seals the rest. Format 1 lacked `kept`, format 2 had other weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nestbench.estimators.estimates import FitStatus
from nestbench.experiments.experiment import MOST_REPLICATIONS, Experiment, Plugin
from nestbench.experiments.files import write_atomically
from nestbench.experiments.running.trusting import require_trust
from nestbench.experiments.toml.stored import from_stored
from nestbench.reports.accuracy import fingerprint, kept
from nestbench.reports.accuracy.baseline import Baseline, CellRecord, Method, Record, Value
from nestbench.reports.accuracy.kept import Grid
from nestbench.sim.errors import InvalidInput, StoreError
from nestbench.sim.files import read_file
from nestbench.sim.observed.batch import Ints
from nestbench.sim.visible import visible_in

FORMAT, VERSION = "nestbench-accuracy", 3
_KEYS = ("format", "version", "key", "experiment", "versions", "methods", "cells")
_SEAL = "checksum"
_WIDTH = 150


def write_baseline(baseline: Baseline, path: Path) -> Path:
    """Write a baseline, whole or not at all; `StoreError` where the file can't be written."""
    write_atomically(path, to_json(baseline).encode())
    return path


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises
    ------
    InvalidInput
        The file can't be read, isn't a baseline, is damaged, or was written by a newer nestbench.
    """
    try:
        content = json.loads(read_file(path))
    except OSError as error:
        raise InvalidInput(
            f"expected a baseline file, got {path}: {error.strerror}; make one with nestbench baseline RUN -o {path}"
        ) from None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidInput(
            f"expected a baseline written by 'nestbench baseline', got {path}; "
            "make one with nestbench baseline RUN -o FILE"
        )
    if content.get("version") != VERSION:
        raise InvalidInput(
            f"expected a baseline of format {VERSION}, got {content.get('version')!r} in {path}; "
            "use the nestbench that wrote it, or write it anew"
        )
    try:
        _require_whole(content)
        # A terminal, XML and Markdown will show its names.
        return _baseline(visible_in(content))
    except Exception as error:  # written by another hand, it may hold anything
        raise InvalidInput(
            f"expected a whole baseline in {path}, got a damaged one ({type(error).__name__}: {error}); write it anew"
        ) from None


def _require_whole(content: Mapping[str, Any]) -> None:
    """Refuse content that isn't what was sealed; files of nestbench before the seal have none."""
    strange = set(content) - {*_KEYS, _SEAL}
    if strange:
        raise ValueError(f"it has {', '.join(sorted(strange))}")
    if _SEAL in content and content[_SEAL] != checksum(content):
        raise ValueError("its numbers aren't those that were written")


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a baseline's content but for the one it states."""
    rest = {key: content[key] for key in content if key != _SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def experiment_of(baseline: Baseline, folder: Path, trust: bool = False) -> Experiment:
    """Return the experiment a baseline was made from, to run it again; plugins are looked for in a folder.

    `trust` lets plugins run that this user never named in a TOML file.

    Raises
    ------
    InvalidInput
        This version can't read it, or a plugin file isn't as it was then; checks of a named experiment still work.

    Parameters
    ----------
    baseline : Baseline
    folder : Path
        Where plugin files lie; their contents must be those of the baseline.
    trust : bool
        Run them even if no TOML of this user ever named them.

    Raises
    ------
    InvalidInput
        A plugin is missing or has other contents, or isn't trusted.
    """
    try:
        experiment = from_stored(baseline.experiment, folder)
        _require_same_files(baseline, experiment.plugins)
        require_trust(experiment.plugins, f"the baseline of '{baseline.name}'", trust)
        return from_stored(baseline.experiment, folder, code=True) if experiment.plugins else experiment
    except (StoreError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"expected an experiment that this version can read in the baseline '{baseline.name}' ({error}); "
            "name the experiment instead (its TOML file or run)"
        ) from None


def _require_same_files(baseline: Baseline, plugins: tuple[Plugin, ...]) -> None:
    """Refuse plugin files other than those of the baseline: what it says it trusts is their content."""
    for plugin in plugins:
        if not Path(plugin.path).is_file():
            raise InvalidInput(
                f"expected the plugin file {plugin.path} of the baseline of '{baseline.name}', found none; name the "
                "experiment to check: nestbench check EXPERIMENT.toml --baseline FILE"
            )
        if Plugin.at(Path(plugin.path)).sha256 != plugin.sha256:
            raise InvalidInput(
                f"the plugin file {plugin.path} isn't as it was when the baseline of '{baseline.name}' was made; to "
                "check it as it is now, name the experiment: nestbench check EXPERIMENT.toml --baseline FILE "
                "(assert_no_regression(..., on=...))"
            )


def to_json(baseline: Baseline) -> str:
    """Return the text of a baseline's file."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "key": baseline.key,
        "experiment": dict(baseline.experiment),
        "versions": dict(baseline.versions),
        "methods": {
            label: {"version": m.version, "engine": m.engine, "agreement": m.agreement}
            for label, m in baseline.methods.items()
        },
        "cells": [_cell_content(cell) for cell in baseline.cells],
    }
    # Rounded before it is sealed: the seal is of what will be read.
    values = _json_value(content)
    return _text({**values, _SEAL: checksum(values)}, 0) + "\n"


def ranges(numbers: Ints) -> str:
    """Return ascending numbers as ranges: ``"0-99 120"``."""
    values = np.asarray(numbers, dtype=np.int64)
    if not len(values):
        return ""
    runs = np.split(values, np.flatnonzero(np.diff(values) != 1) + 1)
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def numbers_of(text: str) -> Ints:
    """Return the numbers of `ranges`."""
    numbers, next_one = [], 0
    for part in text.split():
        first, _, last = part.partition("-")
        # A file from somebody else: "0-9999999999" would be 80 GB, and so would "0-99999999" a hundred times.
        if int(last or first) > MOST_REPLICATIONS:
            raise ValueError(f"replication {last or first} is more than a run has")
        if int(first) < next_one:
            raise ValueError(f"replication {first} is there twice, or out of order")
        next_one = int(last or first) + 1
        numbers.append(np.arange(int(first), next_one, dtype=np.int64))
    return np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)


def _cell_content(cell: CellRecord) -> dict[str, Any]:
    """Return a condition's record as JSON values."""
    return {
        "cell": cell.number,
        "key": cell.key,
        "factors": dict(cell.factors),
        "alpha": cell.alpha,
        "truth": dict(cell.truth),
        **({"null": dict(cell.null)} if cell.null else {}),
        "estimators": {label: _record_content(record) for label, record in cell.estimators.items()},
    }


def _record_content(record: Record) -> dict[str, Any]:
    """Return a method's record as JSON values; replications as ranges, statuses only where they aren't OK."""
    bad = {
        s.name: ranges(record.replications[record.status == s]) for s in FitStatus if s is not FitStatus.OK
    }
    return {
        "replications": ranges(record.replications),
        "status": {name: text for name, text in bad.items() if text},
        "digest": record.digest,
        "measures": {
            term: {name: list(v) for name, v in values.items()} for term, values in record.measures.items()
        },
        "df": {term: list(span) for term, span in record.df.items()},
        "scales": {term: list(pair) for term, pair in record.scales.items()},
        "codes": {part: fingerprint.to_text(codes) for part, codes in record.codes.items()},
        "rows": record.rows,
        "kept": {
            term: [k.grid.centre, k.grid.scale, k.grid.std_error, kept.to_text(k)]
            for term, k in record.kept.items()
        },
        "sample": {term: dict(columns) for term, columns in record.sample.items()},
    }


def _baseline(content: Mapping[str, Any]) -> Baseline:
    """Return the baseline of a file's content."""
    return Baseline(
        key=content["key"],
        experiment={**content["experiment"], "seed": int(content["experiment"]["seed"])},
        versions=content["versions"],
        methods={label: Method(**fields) for label, fields in content["methods"].items()},
        cells=tuple(_cell(part) for part in content["cells"]),
    )


def _cell(content: Mapping[str, Any]) -> CellRecord:
    """Return a condition's record from JSON values."""
    return CellRecord(
        number=content["cell"],
        key=content["key"],
        factors=content["factors"],
        alpha=content["alpha"],
        truth=content["truth"],
        estimators={label: _record(part) for label, part in content["estimators"].items()},
        null=content.get("null", {}),
    )


def _record(content: Mapping[str, Any]) -> Record:
    """Return a method's record from JSON values."""
    replications = numbers_of(content["replications"])
    status = np.zeros(len(replications), dtype=np.int8)
    for name, text in content["status"].items():
        status[np.isin(replications, numbers_of(text))] = FitStatus[name]
    return Record(
        replications=replications,
        status=status,
        digest=content["digest"],
        measures={
            term: {name: _value(*numbers) for name, numbers in values.items()}
            for term, values in content["measures"].items()
        },
        df={term: (_float(low), _float(high)) for term, (low, high) in content["df"].items()},
        scales={term: (float(a), float(b)) for term, (a, b) in content["scales"].items()},
        codes={part: fingerprint.from_text(text) for part, text in content["codes"].items()},
        rows=int(content["rows"]),
        kept={
            term: kept.from_text(text, Grid(*map(float, numbers)), len(replications))
            for term, (*numbers, text) in content["kept"].items()
        },
        sample={
            term: {name: [_float(v) for v in values] for name, values in columns.items()}
            for term, columns in content["sample"].items()
        },
    )


def _value(value: Any, mcse: Any, n: Any) -> Value:
    """Return value, Monte Carlo error and n from JSON values."""
    return _float(value), _float(mcse), int(n)


def _float(value: Any) -> float:
    """Return a number, NaN for JSON's null."""
    return math.nan if value is None else float(value)


def _json_value(value: Any) -> Any:
    """Return JSON values: 9 significant digits, null for NaN, texts for infinities."""
    if isinstance(value, dict):
        return {str(key): _json_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(part) for part in value]
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if math.isnan(number):
            return None
        return float(f"{number:.9g}") if math.isfinite(number) else str(number)
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any, depth: int) -> str:
    """Return JSON text: what fits on a line stays on it, the rest is broken and indented."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not isinstance(value, (dict, list)) or not value or len(line) + depth <= _WIDTH:
        return line
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        body = [_text(part, depth + 1) for part in value]
        return "[\n" + ",\n".join(inner + part for part in body) + "\n" + outer + "]"
    body = [f"{json.dumps(key, ensure_ascii=False)}: {_text(part, depth + 1)}" for key, part in value.items()]
    return "{\n" + ",\n".join(inner + part for part in body) + "\n" + outer + "}"
