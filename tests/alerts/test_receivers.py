"""Receivers that say when to come again, and mail servers that want TLS and a password."""

from __future__ import annotations

import base64
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jupyter_mlops import mlops
from jupyter_mlops.monitoring.alerts import Finding, observe
from jupyter_mlops.monitoring.delivering import retry_after
from jupyter_mlops.monitoring.outbox import GIVEN_UP, send_due
from jupyter_mlops.monitoring.records import DeliveryRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow


def open_alert(ws: Workspace) -> None:
    observe(ws, [Finding("delay", "drift", "inputs", True, "rain drifted", {"psi": 0.3})])


def letter(ws: Workspace) -> DeliveryRecord:
    with ws.read() as session:
        found = session.scalars(select(DeliveryRecord)).one()
        session.expunge_all()
    return found


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_is_not_asked_before_it_says(ws, receiver, status):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    open_alert(ws)
    receiver.answers, receiver.retry_after = [status], "600"
    before = utcnow()
    assert send_due(ws) == 0
    waits = letter(ws).next_at - before
    assert timedelta(seconds=599) < waits < timedelta(seconds=660)


def test_a_date_is_understood_and_a_day_is_the_most(ws, receiver):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    open_alert(ws)
    in_an_hour = utcnow() + timedelta(hours=1)
    receiver.answers = [503, 503]
    receiver.retry_after = format_datetime(in_an_hour, usegmt=True)
    assert send_due(ws) == 0
    assert abs(letter(ws).next_at - in_an_hour) < timedelta(seconds=10)
    with ws.write() as tx:
        row = tx.session.scalars(select(DeliveryRecord)).one()
        row.next_at = row.made_at
    receiver.retry_after = "9999999"
    assert send_due(ws) == 0
    assert abs(letter(ws).next_at - (letter(ws).made_at + GIVEN_UP)) < timedelta(seconds=10)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "Thu, 99 Jan 1970", "٣"])
def test_what_cannot_be_read_says_nothing(text):
    assert retry_after(text, 0.0) is None


@dataclass
class Office:
    """A mail server that takes mail by TLS and with the right password alone."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    #: Whether what each command came by was encrypted.
    private: dict[str, bool] = field(default_factory=dict)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Key and certificate of 127.0.0.1, trusted within the test."""
    file = tmp_path / "mail.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-keyout", str(file), "-out", str(tmp_path / "cert.pem"), "-subj", "/CN=mail",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + (tmp_path / "cert.pem").read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return file


@pytest.fixture(params=["smtps", "starttls"])
def office(request: Any, certificate: Path) -> Iterator[tuple[str, Office]]:
    """RFC 5321's least with STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954), over a real socket."""
    kept, at_once = Office(), request.param == "smtps"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(socketserver.BaseRequestHandler):
        def begin(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            self.open()

        def open(self) -> None:
            self.lines = self.request.makefile("rb")

        def say(self, text: str) -> None:
            self.request.sendall(f"{text}\r\n".encode())

        def handle(self) -> None:
            try:
                self.begin() if at_once else self.open()
                self.talk()
            except (ssl.SSLError, ConnectionError) as error:
                kept.said.append(type(error).__name__)

        def talk(self) -> None:
            private, known = at_once, False
            self.say("220 office")
            while line := self.lines.readline().decode().strip():
                word = line.partition(" ")[0].upper()
                kept.said.append(word)
                kept.private[word] = private
                if word in ("EHLO", "HELO"):
                    more = ["250-AUTH PLAIN"] if private else ["250-STARTTLS"]
                    for one in ("250-office", *more, "250 8BITMIME"):
                        self.say(one)
                elif word == "STARTTLS":
                    self.say("220 go on")
                    self.begin()
                    private = True
                elif word == "AUTH":
                    _, name, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    known = (name, password) == ("ada", "p@ss:word")
                    self.say("235 come in" if known else "535 no")
                elif word == "DATA" and known:
                    self.say("354 go on")
                    text = []
                    while (one := self.lines.readline().decode().rstrip("\r\n")) != ".":
                        text.append(one)
                    kept.mails.append("\n".join(text))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok" if known or word == "RSET" else "530 who are you?")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("smtps" if at_once else "smtp"), kept
        server.shutdown()


def send(ws: Workspace, url: str) -> int:
    mlops.channel.add("ada", to="mailto:ada@example.org")
    own = Workspace.open(ws.root, smtp_url=url, mail_from="mlops@example.org")
    open_alert(own)
    return send_due(own)


def test_mail_goes_by_tls_with_a_password(ws, office):
    scheme, kept = office
    assert send(ws, f"{scheme}://ada:p%40ss%3Aword@127.0.0.1:{kept.port}") == 1
    assert "rain drifted" in kept.mails[0]
    # Nothing that matters was said before the line was private.
    assert kept.private["AUTH"]
    assert kept.private["DATA"]


def test_a_wrong_password_is_told_without_it(ws, office):
    scheme, kept = office
    assert send(ws, f"{scheme}://ada:guessed@127.0.0.1:{kept.port}") == 0
    assert kept.mails == []
    assert "127.0.0.1 didn't take the mail" in letter(ws).error
    assert "guessed" not in letter(ws).error


def test_a_certificate_that_nobody_vouches_for_is_refused(ws, office, monkeypatch):
    scheme, kept = office
    monkeypatch.delenv("SSL_CERT_FILE")
    assert send(ws, f"{scheme}://ada:p%40ss%3Aword@127.0.0.1:{kept.port}") == 0
    assert "certificate verify failed" in letter(ws).error
    assert "AUTH" not in kept.said
