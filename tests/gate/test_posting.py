"""The comment is posted once and then brought up to date; what keeps it away is said. A server of our own is GitHub."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestbench.gate.posting import PAGE, post, pull_request
from tests.gate.conftest import Hub

TEXT = "<!-- nestbench check: x -->\nall is well\n"


@pytest.fixture
def workflow(hub: Hub, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7}}')
    return {
        "GITHUB_TOKEN": "secret",
        "GITHUB_REPOSITORY": "me/fits",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_API_URL": hub.address,
    }


def test_one_comment_is_made_and_then_brought_up_to_date(hub: Hub, workflow: dict[str, str]) -> None:
    """Among others' comments, behind a page of them."""
    hub.comments += [{"id": k + 1, "body": f"comment {k} <!-- nestbench check: x -->"} for k in range(PAGE)]
    assert post(TEXT, workflow) == "commented on pull request 7"
    assert post(TEXT + "but\n", workflow) == "comment on pull request 7 brought up to date"
    assert [one["body"] for one in hub.comments[PAGE:]] == [TEXT + "but\n"]
    assert post(TEXT.replace(": x", ": y"), workflow) == "commented on pull request 7"
    assert len(hub.comments) == PAGE + 2
    assert hub.asked[0] == ("GET", "/repos/me/fits/issues/7/comments?per_page=100&page=1")
    assert hub.tokens == {"Bearer secret"}


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_workflow_that_may_not_says_so(hub: Hub, workflow: dict[str, str], code: int) -> None:
    hub.refuses = code
    said = post(TEXT, workflow)
    assert said.startswith(f"no comment: the workflow may not write to pull requests (HTTP {code})")
    assert "secret" not in said


def test_nobody_is_followed_elsewhere_with_the_token(hub: Hub, workflow: dict[str, str]) -> None:
    hub.refuses = 302
    assert "HTTP 302" in post(TEXT, workflow)
    assert len(hub.asked) == 1


def test_a_github_that_is_not_there_fails_nothing(workflow: dict[str, str]) -> None:
    workflow["GITHUB_API_URL"] = "http://127.0.0.1:9"
    assert post(TEXT, workflow).startswith("no comment: GitHub can't be asked")


def test_runs_for_no_pull_request_have_no_comment(tmp_path: Path, workflow: dict[str, str]) -> None:
    event = tmp_path / "event.json"
    for content in ("{}", "[]", '{"pull_request": 7}', '{"pull_request": {"number": "7"}}', "{", ""):
        event.write_text(content)
        assert pull_request(str(event)) is None
        assert post(TEXT, workflow) == "no comment: this run is for no pull request"
    assert pull_request("") is None
    assert pull_request(str(tmp_path)) is None


def test_a_missing_token_is_said(workflow: dict[str, str]) -> None:
    del workflow["GITHUB_TOKEN"]
    assert "GITHUB_TOKEN" in post(TEXT, workflow)
