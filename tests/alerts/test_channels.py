"""Alerts reach people: signed, in their order, later when they must, and nowhere private."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from email import message_from_string, policy

import pytest
from living import until
from sqlalchemy import select

from jupyter_mlops import mlops
from jupyter_mlops.monitoring import delivering
from jupyter_mlops.monitoring.alerts import Finding, observe
from jupyter_mlops.monitoring.outbox import send_due
from jupyter_mlops.monitoring.records import DeliveryRecord
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Denied, Invalid, MLOpsError, NotFound, Unavailable, Workspace

KEY = b"thirty-two bytes of a secret key"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def find(ws: Workspace, bad: bool, kind: str = "drift", endpoint: str = "delay") -> None:
    observe(ws, [Finding(endpoint, kind, "inputs", bad, "2 of 8 features drifted", {"psi": 0.3})])


def letters(ws: Workspace) -> list[DeliveryRecord]:
    with ws.read() as session:
        found = list(session.scalars(select(DeliveryRecord).order_by(DeliveryRecord.id)))
        session.expunge_all()
    return found


def hurry(ws: Workspace) -> None:
    """Let what waits for its next attempt be due."""
    with ws.write() as tx:
        for row in tx.session.scalars(
            select(DeliveryRecord).where(DeliveryRecord.state == "waiting")
        ):
            row.next_at = row.made_at


def test_a_webhook_is_signed_as_standard_webhooks_say(ws, receiver, monkeypatch):
    monkeypatch.setenv("HOOK", SECRET)
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}/x/y", secret="secret:HOOK")
    find(ws, True)
    assert send_due(ws) == 1
    ((headers, body),) = receiver.requests
    told = json.loads(body)
    assert told["type"] == "alert.opened"
    assert told["data"]["endpoint"] == "delay"
    assert told["data"]["numbers"] == {"psi": 0.3}
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["content-type"] == "application/json"
    # Neither the path, which may be a password, nor the secret is kept where people look.
    said = json.dumps([one.payload for one in ws.events()]) + str(mlops.channel.ls())
    assert "/x/y" not in said
    assert SECRET not in said
    assert [one.kind for one in ws.events()][-1] == "alert.told"


def test_the_signature_is_that_of_the_specification():
    secret, message_id = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signed = delivering.sign(secret, message_id, 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(Invalid, match="isn't base64") as told:
        delivering.sign("whsec_not base64!", "m", 1, b"")
    assert "not base64!" not in str(told.value)


def test_what_is_refused_is_sent_again_with_its_id_and_nothing_overtakes_it(database, ws, receiver):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    find(ws, True)
    find(ws, False)
    find(ws, False)
    receiver.answers = [503, 302]
    assert send_due(ws) == 0
    assert send_due(ws) == 0  # not due yet
    assert len(receiver.requests) == 1
    first = letters(ws)[0]
    assert first.attempts == 1
    assert "answered 503" in first.error
    assert timedelta(seconds=3) < first.next_at - first.made_at < timedelta(seconds=30)
    hurry(ws)
    assert send_due(ws) == 0
    assert "redirects aren't followed" in letters(ws)[0].error
    assert "/elsewhere" not in receiver.paths
    hurry(ws)
    assert send_due(ws) == 2
    types = [json.loads(body)["type"] for _, body in receiver.requests]
    assert types == ["alert.opened"] * 3 + ["alert.resolved"]
    ids = [headers["webhook-id"] for headers, _ in receiver.requests]
    assert len({*ids[:3]}) == 1
    assert ids[3] != ids[0]
    (channel,) = mlops.channel.ls()
    assert (channel.delivered, channel.waiting, channel.dead) == (2, 0, 0)


def test_a_private_address_is_refused_unless_allowed(ws, receiver, monkeypatch):
    port = receiver.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "0.0.0.0"):
        mlops.channel.add("in", to=f"webhook:https://{host}:{port}")
        closed = Workspace.open(ws.root, allow_private_urls=False)
        with pytest.raises(Denied, match="is a private address"):
            from jupyter_mlops.monitoring.channels import try_channel

            try_channel(closed, "in")
    mlops.channel.add("in", to=f"webhook:{receiver.url}")
    with pytest.raises(Invalid, match="isn't an https:// address"):
        try_channel(closed, "in")
    assert receiver.requests == []
    try_channel(ws, "in")
    assert len(receiver.requests) == 1


def test_after_a_day_it_is_given_up_and_said_so(ws, receiver):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    find(ws, True)
    with ws.write() as tx:
        row = tx.session.scalar(select(DeliveryRecord))
        row.made_at -= timedelta(days=1)
    receiver.answers = [500]
    assert send_due(ws) == 0
    assert letters(ws)[0].state == "dead"
    assert ws.events(newest=True)[0].kind == "alert.untold"
    shown = mimebundle(mlops.channel.ls())["text/plain"]
    assert "1 message to oncall never arrived" in shown
    # The next one finds its way.
    find(ws, True, "performance")
    assert send_due(ws) == 1
    mlops.channel.remove("oncall")
    with pytest.raises(NotFound, match="no channel is called 'oncall'"):
        mlops.channel.test("oncall")


def test_a_receiver_that_is_gone_is_not_asked_again(ws, receiver):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    find(ws, True)
    receiver.answers = [410]
    assert send_due(ws) == 0
    assert letters(ws)[0].state == "dead"


def test_a_killed_sender_loses_nothing(ws, receiver):
    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")
    find(ws, True)
    receiver.hold = threading.Event()
    command = [sys.executable, "-m", "jupyter_mlops.monitoring", "--workspace", str(ws.root)]
    sender = subprocess.Popen([*command, "--send"])
    until(lambda: letters(ws)[0].process is not None)
    # Somebody sends it: nobody else does.
    assert send_due(ws) == 0
    sender.kill()
    sender.wait()
    receiver.hold.set()
    assert letters(ws)[0].state == "waiting"
    assert send_due(ws) == 1
    assert letters(ws)[0].state == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1


def test_a_change_and_its_messages_are_one(ws, receiver, monkeypatch):
    """An alert whose messages can't be written isn't opened; the check is made again."""
    from jupyter_mlops.monitoring import alerts

    mlops.channel.add("oncall", to=f"webhook:{receiver.url}")

    def broken(*_: object) -> int:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(alerts, "enqueue", broken)
        with pytest.raises(RuntimeError):
            find(ws, True)
    assert mlops.alerts().total == 0
    find(ws, True)
    assert mlops.alerts().total == len(letters(ws)) == 1


def test_mail_is_sent_by_smtp(ws, postbox, monkeypatch):
    monkeypatch.setenv("MAIL", f"smtp://127.0.0.1:{postbox.port}")
    own = Workspace.open(ws.root, smtp_url="secret:MAIL", mail_from="mlops@example.org")
    mlops.channel.add("ada", to="mailto:ada@example.org")
    observe(
        own, [Finding("delay", "drift", "inputs", True, "2 of 8 features drifted: rain, ärger")]
    )
    postbox.refuses = True
    assert send_due(own) == 0
    assert "127.0.0.1 didn't take the mail" in letters(ws)[0].error
    postbox.refuses = False
    hurry(ws)
    assert send_due(own) == 1
    ((sender, receivers, text),) = postbox.mails
    assert (sender, receivers) == ("mlops@example.org", ["ada@example.org"])
    mail = message_from_string(text, policy=policy.default)
    assert mail["subject"] == "delay: drift alert opened"
    assert "2 of 8 features drifted: rain, ärger" in mail.get_content()
    assert mail["message-id"] == f"<{letters(ws)[0].id}@example.org>"


def test_no_mail_without_a_server(ws):
    mlops.channel.add("ada", to="mailto:ada@example.org")
    with pytest.raises(Invalid, match="no mail server is set"):
        mlops.channel.test("ada")


def test_a_command_reads_the_alert_and_is_no_shell(ws, monkeypatch):
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    mlops.channel.add("file", to=f"command:{sys.executable} -c \"{code}\" 'told;x'")
    find(ws, True)
    assert send_due(ws) == 1
    assert json.loads((ws.root / "told;x").read_text())["type"] == "alert.opened"
    mlops.channel.add("fails", to="command:sh -c 'echo no paper >&2; exit 3'")
    with pytest.raises(Unavailable, match="ended with status 3: no paper"):
        mlops.channel.test("fails")
    mlops.channel.add("gone", to="command:/nowhere/at-all")
    with pytest.raises(Unavailable, match="can't be run"):
        mlops.channel.test("gone")
    mlops.channel.add("hangs", to="command:sh -c 'sleep 60 & echo $! > child; wait'")
    monkeypatch.setattr(delivering, "COMMAND_SECONDS", 1.0)
    with pytest.raises(Unavailable, match="didn't end within 1 seconds"):
        mlops.channel.test("hangs")
    # What it started has ended with it.
    with pytest.raises(ProcessLookupError):
        until(lambda: os.kill(int((ws.root / "child").read_text()), 0), seconds=10)


@pytest.mark.parametrize(
    "to",
    [
        "webhook:ftp://example.org",
        "webhook:https://me:pw@example.org/",
        "webhook:https://",
        "mailto:ada@example.org?bcc=eve@example.org",
        "mailto:ada@example.org\nBcc: eve@example.org",
        "command:",
        "command:'unfinished",
        "pager:1",
        "",
    ],
)
def test_what_is_no_place_is_refused_without_repeating_it(ws, to):
    with pytest.raises(Invalid, match="that is no place for alerts") as told:
        mlops.channel.add("x", to=to)
    assert "eve" not in str(told.value)
    assert "pw" not in str(told.value)


def test_a_channel_hears_of_its_endpoint_alone(ws, receiver):
    mlops.channel.add("one", to=f"webhook:{receiver.url}", endpoint="delay")
    find(ws, True, endpoint="other")
    assert letters(ws) == []
    find(ws, True)
    assert len(letters(ws)) == 1
    with pytest.raises(MLOpsError, match="given by name"):
        mlops.channel.add("two", to=f"webhook:{receiver.url}", secret="hunter2")
