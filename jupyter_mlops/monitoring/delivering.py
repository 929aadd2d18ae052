"""How one message is sent: to a webhook, by mail, or to a command."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
import shlex
import signal
import smtplib
import socket
import ssl
import subprocess
from datetime import UTC
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parsedate_to_datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from jupyter_mlops.data.sources.objects.outgoing import (
    PrivateAddressError,
    public_socket,
    refused,
)
from jupyter_mlops.monitoring.outbox import Later, Letter
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.secrets import is_secret, reveal

__all__ = ["deliver", "retry_after", "sign"]

WEBHOOK_SECONDS: Final = 15.0
MAIL_SECONDS: Final = 30.0
COMMAND_SECONDS: Final = 30.0
#: Answers that may say when to come again.
_RETRY: Final = (429, 503)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


def deliver(ws: Workspace, letter: Letter) -> None:
    """Send one message.

    Raises
    ------
    MLOpsError
        It didn't arrive; the sentence says why.
    """
    scheme, _, place = letter.to.partition(":")
    {"webhook": _post, "mailto": _mail, "command": _run}[scheme](ws, letter, place)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message as Standard Webhooks write it: ``v1,`` and HMAC-SHA256.

    A secret that begins with ``whsec_`` is base64 of the key; any other is the key itself.

    Notes
    -----
    https://github.com/standard-webhooks/standard-webhooks, version 1: the signed content is
    id, timestamp in seconds and body, joined by full stops.

    Examples
    --------
    >>> sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
    ...      1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            # The secret stays unsaid.
            raise Invalid(
                "the channel's secret begins with whsec_ and isn't base64",
                fix="copy it again from where the webhook was made",
                code="E-ALERT-020",
            ) from None
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _post(ws: Workspace, letter: Letter, place: str) -> None:
    url = reveal(place) if is_secret(place) else place
    parts = urlsplit(url)
    guarded = not ws.settings.allow_private_urls
    if parts.scheme not in (("https",) if guarded else ("https", "http")) or not parts.hostname:
        raise Invalid(
            f"the webhook of {letter.channel} isn't an https:// address",
            "an alert would be readable on its way",
            "use https://, or set JUPYTER_MLOPS_ALLOW_PRIVATE_URLS=true for a local receiver",
            code="E-ALERT-021",
        )
    body = json.dumps(letter.body, ensure_ascii=False).encode()
    now = int(utcnow().timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "jupyter-mlops",
        "webhook-id": f"msg_{letter.id}",
        "webhook-timestamp": str(now),
    }
    if letter.secret:
        headers["webhook-signature"] = sign(reveal(letter.secret), headers["webhook-id"], now, body)
    status, later = asyncio.run(_answered(url, parts.hostname, body, headers, guarded))
    if status == 410:
        raise Unavailable(
            f"{parts.hostname} answered 410: nothing is taken there any more",
            fix=f"`%mlops channel remove {letter.channel}`",
            code="E-ALERT-027",
        )
    if not 200 <= status < 300:
        moved = "; redirects aren't followed" if 300 <= status < 400 else ""
        raise Later(
            f"{parts.hostname} answered {status}{moved}",
            code="E-ALERT-022",
            seconds=retry_after(later, now) if status in _RETRY else None,
        )


def retry_after(text: str, now: float) -> float | None:
    """Seconds that a receiver asks to wait; None when it doesn't say, or not in a way to read.

    Notes
    -----
    RFC 9110, section 10.2.3: a number of seconds, or a date.

    Examples
    --------
    >>> retry_after("120", 0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 0)
    (120.0, 60.0)
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


async def _answered(
    url: str, host: str, body: bytes, headers: dict[str, str], guarded: bool
) -> tuple[int, str]:
    """The status of the answer, and when it says to come again."""
    import aiohttp

    kept_out = False

    def public(address: tuple[Any, ...]) -> socket.socket:
        nonlocal kept_out
        try:
            return public_socket(address)
        except PrivateAddressError:
            # The error of a host with several addresses doesn't say it in a way to rely on.
            kept_out = True
            raise

    # The address is looked at when the connection is made: a name can't change in between.
    connector = aiohttp.TCPConnector(socket_factory=public if guarded else None)
    limit = aiohttp.ClientTimeout(total=WEBHOOK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=False) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers.get("retry-after", "")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        if kept_out:
            raise refused(host) from None
        why = "no answer in time" if isinstance(error, TimeoutError) else _first_line(error)
        raise Unavailable(f"{host} can't be reached", why, code="E-ALERT-023") from None


def _mail(ws: Workspace, letter: Letter, place: str) -> None:
    settings = ws.settings
    url = reveal(settings.smtp_url) if is_secret(settings.smtp_url) else settings.smtp_url
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise Invalid(
            "no mail server is set" if not url else "the mail server's address can't be read",
            fix="set JUPYTER_MLOPS_SMTP_URL to smtp://host:587, or to secret:NAME",
            code="E-ALERT-024",
        )
    message = _message(letter, place, settings.mail_from or f"jupyter-mlops@{parts.hostname}")
    context = ssl.create_default_context()
    try:
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
        with (
            smtplib.SMTP_SSL(parts.hostname, port, timeout=MAIL_SECONDS, context=context)
            if parts.scheme == "smtps"
            else smtplib.SMTP(parts.hostname, port, timeout=MAIL_SECONDS)
        ) as server:
            server.ehlo()
            private = parts.scheme == "smtps"
            if not private and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                private = True
            if parts.username:
                if not private and parts.hostname not in _LOCAL:
                    raise Invalid(
                        f"{parts.hostname} offers no encryption, and would be told a password",
                        fix="use a server with STARTTLS or smtps://",
                        code="E-ALERT-025",
                    )
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        why = _first_line(error)
        raise Unavailable(
            f"{parts.hostname} didn't take the mail", why, code="E-ALERT-026"
        ) from None


def _message(letter: Letter, to: str, sender: str) -> EmailMessage:
    data = letter.body["data"]
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    verb = letter.change.partition(".")[2]
    message["Subject"] = " ".join(f"{data['endpoint']}: {data['kind']} alert {verb}".split())
    message["Date"] = format_datetime(utcnow())
    # The same for each attempt: a mail program shows it once.
    host = sender.rpartition("@")[2] or None
    message["Message-ID"] = f"<{letter.id}@{host}>" if host else make_msgid()
    lines = [data["reason"], "", f"Found: {data['count']:,}; last: {data['last_at']}"]
    if data.get("note"):
        lines.append(f"{data.get('acknowledged_by') or data.get('resolved_by')}: {data['note']}")
    lines += ["", f"%mlops alerts {data['ref']}"]
    message.set_content("\n".join(lines), cte="quoted-printable")
    return message


def _run(ws: Workspace, letter: Letter, place: str) -> None:
    words = shlex.split(place)
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ws.root,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(
            f"{words[0]} can't be run", error.strerror or "", code="E-ALERT-028"
        ) from None
    try:
        said, _ = process.communicate(json.dumps(letter.body).encode(), timeout=COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        # What it has started ends with it.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Unavailable(
            f"{words[0]} didn't end within {COMMAND_SECONDS:.0f} seconds", code="E-ALERT-029"
        ) from None
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise Unavailable(
            f"{words[0]} ended with status {process.returncode}",
            lines[-1][:300] if lines else "",
            code="E-ALERT-030",
        )


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:300]
