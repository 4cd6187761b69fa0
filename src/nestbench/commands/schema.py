"""``nestbench schema``: the JSON Schema by which editors complete and check experiment files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nestbench.commands.output import say

EXAMPLES = (
    "nestbench schema",
    "nestbench schema -o nestbench.schema.json",
)


def schema(
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write (default: print it).")
    ] = None,
) -> None:
    """Print the JSON Schema of experiment files, with which editors complete and check them.

    A file names it in its first line, as those of nestbench new do: #:schema ./nestbench.schema.json
    """
    from nestbench.experiments.files import write_atomically

    if out is None:
        typer.echo(schema_text(), nl=False)
    else:
        write_atomically(out, schema_text().encode())
        say(f"wrote {out}; name it in a file's first line: #:schema ./{out.name}")


def schema_text() -> str:
    """Return the schema of this version, with the methods and populations installed here, as JSON."""
    import json
    from importlib.metadata import version

    from nestbench.experiments.toml.schema import experiment_schema
    from nestbench.reports.measures.declared import MEASURES

    schema = experiment_schema(measure.name for measure in MEASURES)
    schema["$comment"] = f"nestbench {version('nestbench')}; made by: nestbench schema"
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def refresh_schema(folder: Path) -> None:
    """Write the schema beside experiment files, unless a file that isn't one of ours has its name."""
    from nestbench.experiments.files import write_atomically
    from nestbench.experiments.toml.schema import TITLE
    from nestbench.experiments.toml.template import SCHEMA

    file = folder / SCHEMA
    if not file.exists() or (file.is_file() and TITLE.encode() in file.read_bytes()[:400]):
        write_atomically(file, schema_text().encode())
