"""Print pip constraints of the oldest versions that pyproject.toml allows: python .ci/minimum.py > minimum.txt

Only of what nestbench needs to run; tools of the tests are as new as they are.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def constraints(dependencies: list[str]) -> list[str]:
    """Return ``name==version`` for each ``name>=version``; every dependency must state one, and nothing else."""
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)", one) for one in dependencies]
    lacking = [one for one, bound in zip(dependencies, found, strict=True) if bound is None]
    if lacking:
        raise SystemExit(f"expected dependencies as name>=version, got {', '.join(lacking)}")
    return [f"{bound[1]}=={bound[2]}" for bound in found if bound]


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(*constraints(project["dependencies"]), sep="\n")
