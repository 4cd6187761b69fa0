"""The child process of one way: reads its data sets from a file, fits, and writes a line before and after each fit.

Started as ``python -m nestbench.league.child JOB RESULTS``; what the package prints goes where the parent sent stdout.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import pickle
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nestbench.league.package import Package


def package_at(place: str) -> Package:
    """Return the package that a module, or a file, calls ``PACKAGE``."""
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("league_package", place)
        if spec is None or spec.loader is None:
            raise ImportError(f"expected a Python file, got {place}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    package: Package = module.PACKAGE
    return package


def main(job: str, results: str) -> None:
    """Do a job: ``{"place", "way", "data": [(number, frame, asked)]}``; lines go to `results` as they come."""
    # A file of our own, written by the league's parent a moment ago.
    wanted = pickle.loads(Path(job).read_bytes())
    package = package_at(wanted["place"])
    with open(results, "a", encoding="utf-8") as out:
        importlib.import_module(package.module)
        _say(out, {"ready": True})
        for number, frame, asked in wanted["data"]:
            _say(out, {"start": number})
            _say(out, {"done": number, **fitted(package.way(wanted["way"]), frame, asked)})


def fitted(way: Any, frame: Any, asked: Any) -> dict[str, Any]:
    """Return one fit as a line: its answer or its error, warnings, processor seconds, characters printed."""
    before, started = _printed(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            line: dict[str, Any] = {"answer": answered(way.fit(frame, asked))}
        except Exception as error:
            line = {"error": f"{type(error).__name__}: {error}"[:500]}
    said = dict.fromkeys(f"{w.category.__name__}: {w.message}"[:200] for w in caught)
    seconds = time.process_time() - started + elsewhere(line.get("answer", {}))
    return {**line, "seconds": seconds, "warnings": list(said)[:3], "printed": _printed() - before}


def elsewhere(answer: Mapping[str, Any]) -> float:
    """Return the processor seconds that an answer says were taken by another process; 0 where it says none."""
    seconds = answer.get("seconds")
    return seconds if isinstance(seconds, float) and 0.0 <= seconds < math.inf else 0.0


def answered(answer: Any) -> Any:
    """Return an answer with plain numbers; an adapter that doesn't return a table by quantity is told."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"expected a mapping of quantities, got {type(answer).__name__}")
    return numbers(answer)


def numbers(answer: Any) -> Any:
    """Return an answer with plain numbers, whatever kind of number the package has."""
    if isinstance(answer, Mapping):
        return {str(key): numbers(value) for key, value in answer.items()}
    if isinstance(answer, bool) or answer is None:
        return answer
    try:
        return float(answer)
    except (TypeError, ValueError):
        return bool(answer) if type(answer).__name__ == "bool_" else math.nan


def _printed() -> int:
    """Return how many bytes have gone to stdout, which is a file here; 0 where a package has closed it."""
    try:
        sys.stdout.flush()
        return os.fstat(1).st_size
    except (OSError, ValueError, AttributeError):
        return 0


def _say(out: Any, line: dict[str, Any]) -> None:
    """Write a line that the parent sees at once."""
    out.write(json.dumps(line) + "\n")
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])
