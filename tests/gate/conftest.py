"""A server of our own that stands in for GitHub."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from nestbench.gate.posting import PAGE


@dataclass
class Hub:
    """What a server has: comments, what it answers to writers, who asked what with which token."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    refuses: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    address: str = ""


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            state.asked.append((self.command, self.path))
            state.tokens.add(self.headers["Authorization"])
            sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            code, content = (
                (200, self.done(sent)) if not state.refuses else (state.refuses, {"message": "no"})
            )
            self.send_response(code)
            if code == 302:
                self.send_header("Location", state.address + "/elsewhere")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def done(self, sent: Any) -> Any:
            if self.command == "GET":
                page = int(self.path.rpartition("page=")[2])
                return state.comments[(page - 1) * PAGE : page * PAGE]
            if self.command == "POST":
                state.comments.append({"id": len(state.comments) + 1, **sent})
                return state.comments[-1]
            number = int(self.path.rpartition("/")[2])
            next(one for one in state.comments if one["id"] == number).update(sent)
            return {}

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
