"""May this tree be released under this tag? Exit code 1 and what is lacking, if not: python .ci/release.py v0.1.0"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def lacking(root: Path, version: str, tag: str) -> list[str]:
    """Return what keeps a version from being released under a tag."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changes, re.MULTILINE)
    checks = {
        f"the tag is {tag}, the version {version}: expected v{version}": tag == f"v{version}",
        f"CHANGELOG.md has no heading '## {version} (YYYY-MM-DD)'": dated,
        "[project.urls] has no Source: say where the project lives": "Source" in project.get("urls", {}),
    }
    return [words for words, holds in checks.items() if not holds]


def version_of(root: Path) -> str:
    """Return the version, from the one line where it stands."""
    package = root / "src/nestbench/__init__.py"
    found = re.search(r'^__version__ = "(.+)"$', package.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"expected a line __version__ = ... in {package}")
    return found[1]


if __name__ == "__main__":
    wrong = lacking(ROOT, version_of(ROOT), sys.argv[1])
    print(*(f"not yet: {words}" for words in wrong), sep="\n")
    sys.exit(bool(wrong))
