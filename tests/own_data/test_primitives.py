"""What JSON can't hold."""

from __future__ import annotations

import json
import math

import numpy as np

from nestbench.own_data.primitives import primitives


def test_everything_becomes_what_json_holds() -> None:
    found = primitives(
        {1: (np.float64(0.5), np.int64(3), np.bool_(True)), "b": [math.nan, math.inf, -math.inf]}
    )
    assert found == {"1": [0.5, 3, True], "b": [None, "inf", "-inf"]}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
