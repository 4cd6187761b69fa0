"""Vega, Vega-Lite and Vega-Embed as one script for the page, from the installed package: nothing is fetched."""

from __future__ import annotations

import contextlib
import hashlib
from functools import lru_cache
from importlib.metadata import version

from nestbench.experiments.files import write_atomically
from nestbench.sim.errors import StoreError
from nestbench.sim.files import cache_folder

SNIPPET = "window.vegaEmbed = vegaEmbed;"


@lru_cache(maxsize=1)
def vega_script() -> str:
    """Return the script; bundling takes seconds, so it's kept in the user's cache, one file a version.

    The file begins with the digest of the rest: one that was cut or changed is made anew.
    """
    kept = cache_folder() / f"vega-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        digest, _, script = kept.read_bytes().partition(b"\n")
        if digest == _digest(script):
            return script.decode()
    bundle = bundled()
    # Without a folder that may be written to each process bundles anew; nothing else is lost.
    with contextlib.suppress(StoreError):
        write_atomically(kept, _digest(bundle.encode()) + b"\n" + bundle.encode())
    return bundle


def _digest(script: bytes) -> bytes:
    """Return the line that says what a script's contents must be."""
    return b"// " + hashlib.sha256(script).hexdigest().encode()


def bundled() -> str:
    """Return the script as the package bundles it, safe inside a script element."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(SNIPPET)
    # A string in the script that says so would end the element; in JavaScript `\/` is `/`.
    return bundle.replace("</script", "<\\/script")
