"""Receivers of alerts that are real: an HTTP server and an SMTP server on this machine."""

from __future__ import annotations

import shutil
import socketserver
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("agent", "serving")]

from living import end_all

from experiments.workbench import mlflow_database
from jupyter_mlops.workspace import Workspace

__all__ = ["mlflow_database"]


@pytest.fixture
def ws(
    tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace whose URLs may reach this machine, and whose agent is ended after the test."""
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("JUPYTER_MLOPS_ALLOW_PRIVATE_URLS", "true")
    monkeypatch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
    monkeypatch.setenv("JUPYTER_MLOPS_USER", "ada")
    workspace = Workspace.open(tmp_path)
    shutil.copy(mlflow_database, workspace.home)
    yield workspace
    end_all(tmp_path)


@dataclass
class Receiver:
    """What came in; `answers` are the status codes to give, then 200."""

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hold: threading.Event | None = None
    retry_after: str = ""
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server that keeps what it is sent."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if kept.hold is not None:
                kept.hold.wait(60)
            kept.paths.append(self.path)
            kept.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = kept.answers.pop(0) if kept.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", f"{kept.url}/elsewhere")
            if status in (429, 503) and kept.retry_after:
                self.send_header("retry-after", kept.retry_after)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kept
    if kept.hold is not None:
        kept.hold.set()
    server.shutdown()
    server.server_close()


@dataclass
class Postbox:
    """Mails that came in, as the server was given them."""

    port: int = 0
    mails: list[tuple[str, list[str], str]] = field(default_factory=list)
    refuses: bool = False


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """An SMTP server: RFC 5321's least, over a real socket."""
    kept = Postbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 postbox")
            sender, receivers = "", []
            while line := self.rfile.readline().decode().strip():
                word = line.upper()
                if word.startswith("MAIL FROM:"):
                    sender = line[10:].partition(" ")[0].strip("<>")
                    self.say("250 ok")
                elif word.startswith("RCPT TO:"):
                    receivers.append(line[8:].strip("<>"))
                    self.say("550 nobody here" if kept.refuses else "250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (one := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(one)
                    kept.mails.append((sender, receivers, "\n".join(lines)))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 postbox")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield kept
        server.shutdown()
