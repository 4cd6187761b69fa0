"""Values as JSON can hold them."""

from __future__ import annotations

import math
from typing import Any


def primitives(value: Any) -> Any:
    """Return a value with what JSON can't hold in its place: NaN is None, infinite the text ``"inf"``; NumPy's numbers
    are Python's, tuples lists, keys texts.
    """
    if isinstance(value, dict):
        return {str(key): primitives(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [primitives(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value
