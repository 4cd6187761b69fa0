"""Memory: what a run holds doesn't grow with its replications."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.memory import peaks


@pytest.mark.slow
def test_peak_memory_is_that_of_a_short_run(tmp_path: Path) -> None:
    """180 000 more replications are 92 MB of stored numbers (2 methods x 4 terms x 8 numbers); none of it stays."""
    peaks(100, tmp_path)  # compiles what isn't
    short, long = peaks(20_000, tmp_path), peaks(200_000, tmp_path)
    assert all(after <= before + 40 for before, after in zip(short, long, strict=True)), (short, long)
