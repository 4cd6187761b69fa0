"""A check's comment on the pull request that a workflow runs for: one a gate, brought up to date by the next run.

Talks to GitHub's REST API (issues/comments) with the workflow's own token. Whatever keeps it from commenting is said
and fails nothing: the same text stands in the job's summary.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nestbench.sim.files import read_file

API = "https://api.github.com"
SECONDS = 20.0
PAGE, PAGES = 100, 30
REFUSED = (401, 403, 404)
"""What GitHub answers to a token that may not: 404 where it may not even know."""


class _Stay(HTTPRedirectHandler):
    """Follows nobody: the token is meant for one address."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request."""


def post(text: str, environment: Mapping[str, str]) -> str:
    """Make the comment, or bring the earlier one up to date; return what was done in a sentence.

    Parameters
    ----------
    text : str
        Markdown; its first line is the hidden marker that an earlier comment begins with, too.
    environment : mapping
        ``GITHUB_TOKEN``, ``GITHUB_REPOSITORY``, ``GITHUB_EVENT_PATH``, ``GITHUB_API_URL``, as a workflow has them.
    """
    number = pull_request(environment.get("GITHUB_EVENT_PATH", ""))
    if number is None:
        return "no comment: this run is for no pull request"
    token, repository = (environment.get(f"GITHUB_{name}", "") for name in ("TOKEN", "REPOSITORY"))
    if not token or not repository:
        return "no comment: GITHUB_TOKEN and GITHUB_REPOSITORY aren't both set"
    base = f"{environment.get('GITHUB_API_URL') or API}/repos/{repository}/issues"
    try:
        earlier = _earlier(f"{base}/{number}/comments", text.partition("\n")[0], token)
        if earlier is not None:
            _call("PATCH", f"{base}/comments/{earlier}", token, {"body": text})
            return f"comment on pull request {number} brought up to date"
        _call("POST", f"{base}/{number}/comments", token, {"body": text})
        return f"commented on pull request {number}"
    except HTTPError as error:
        return _refusal(error)
    except (URLError, OSError, ValueError) as error:
        return f"no comment: GitHub can't be asked ({error}); the summary has the same text"


def pull_request(event: str) -> int | None:
    """Return the pull request's number of a workflow's event file; None for another event, or no file."""
    try:
        content = json.loads(read_file(Path(event))) if event else {}
    except (OSError, ValueError, RecursionError):
        return None
    request = content.get("pull_request") if isinstance(content, dict) else None
    number = request.get("number") if isinstance(request, dict) else None
    return number if isinstance(number, int) else None


def _refusal(error: HTTPError) -> str:
    """Return what GitHub's refusal means, and what to do."""
    if error.code in REFUSED:
        return (
            f"no comment: the workflow may not write to pull requests (HTTP {error.code}); its line `permissions` "
            "allows it, but never for a pull request from a fork. The summary has the same text"
        )
    return f"no comment: GitHub answered HTTP {error.code}; the summary has the same text"


def _earlier(address: str, marker: str, token: str) -> int | None:
    """Return the comment that begins with the marker; None if there is none."""
    for page in range(1, PAGES + 1):
        comments = _call("GET", f"{address}?per_page={PAGE}&page={page}", token)
        for one in comments:
            if str(one.get("body", "")).startswith(marker):
                return int(one["id"])
        if len(comments) < PAGE:
            break
    return None


def _call(method: str, address: str, token: str, content: Mapping[str, Any] | None = None) -> Any:
    """Return GitHub's answer to a request."""
    request = Request(address, None if content is None else json.dumps(content).encode(), method=method)
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {token}")
    with build_opener(_Stay).open(request, timeout=SECONDS) as answer:
        return json.loads(answer.read() or b"null")
