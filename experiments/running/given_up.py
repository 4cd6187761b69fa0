"""What a cluster says of a task whose workers died again and again."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor


class GivenUp(BrokenExecutor):
    """A cluster tried a task several times, and each time its worker died."""
