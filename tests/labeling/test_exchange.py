"""A labeler is answered alike by the server and by the kernel: one contract, three roads."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sqlalchemy import select
from tornado.httpclient import HTTPResponse

from jupyter_mlops.labeling import (
    Decision,
    answer,
    change_rules,
    commit,
    create,
    give_role,
    png,
    set_gold,
    status,
)
from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.labeling.widgets.bundle import PADS, pad, script, style
from jupyter_mlops.labeling.widgets.labeler import LabelerWidget
from jupyter_mlops.workspace import MLOpsError, Workspace

from .conftest import Rows

pytest_plugins = ["pytest_jupyter.jupyter_server"]
JSON = {"Content-Type": "application/json"}
Road = Callable[[str, Any], Awaitable[tuple[int, Any]]]


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_mlops": True}},
        "MLOpsApp": {"start_agent": False},
    }


@pytest.fixture
def served(jp_root_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The server's workspace with a task of three texts and one of two images."""
    monkeypatch.setenv("JUPYTER_MLOPS_SERVER_ROOT", "")
    ws = Workspace.open(jp_root_dir, user="maria")
    create(ws, "texts", Rows(pl.DataFrame({"x": ["one", "two", "three"]})), "text", ["a", "b"])
    images = [png(np.full((4, 4), 10 * n, np.uint8)) for n in range(2)]
    create(ws, "images", Rows(pl.DataFrame({"x": images})), "image", ["a", "b"])
    return ws


@pytest.fixture(params=["store", "server", "kernel"])
def road(
    request: pytest.FixtureRequest,
    served: Workspace,
    jp_fetch: Callable[..., Awaitable[HTTPResponse]],
) -> Road:
    async def store(action: str, body: Any) -> tuple[int, Any]:
        try:
            return 200, answer(served, "texts", "maria", action, body)
        except MLOpsError as error:
            return error.status, error.as_dict()

    async def server(action: str, body: Any) -> tuple[int, Any]:
        found = await jp_fetch(
            *("mlops", "api", "labels", "texts", action),
            method="POST",
            headers=dict(JSON),
            body=json.dumps(body),
            raise_error=False,
        )
        return found.code, json.loads(found.body)

    async def kernel(action: str, body: Any) -> tuple[int, Any]:
        widget = LabelerWidget(served, {"id": "texts"})
        reply, _ = widget.reply({"turn": 1, "action": action, "body": body})
        return reply["status"], json.loads(json.dumps(reply["body"]))

    roads: dict[str, Road] = {"store": store, "server": server, "kernel": kernel}
    return roads[request.param]


def event(ev: str, item: int, value: str = "a", **more: Any) -> dict[str, Any]:
    return {"ev": ev, "item": item, "kind": "label", "value": value, **more}


async def test_claim_label_undo_and_go_on(road: Road) -> None:
    code, found = await road("state", {})
    assert (code, found["counts"]["open"]) == (200, 3)
    assert found["task"]["classes"] == ["a", "b"]
    code, claimed = await road("claim", {"session": "s1", "count": 2, "recent": 5})
    assert [one["text"] for one in claimed["items"]] == ["one", "two"]
    assert claimed["recent"] == []
    first = claimed["items"][0]
    events = [
        event("e1", 0, digest=first["digest"], session="s1", active_ms=420, turn=1),
        event("e2", 1, "b", session="s1", decided_at="2026-01-02T03:04:05.678Z"),
        {"ev": "e3", "item": 1, "kind": "undo", "undoes": "e2", "session": "s1"},
    ]
    for _ in range(2):
        code, kept = await road("events", {"events": events})
        assert (code, kept["accepted"], kept["refused"]) == (200, ["e1", "e2", "e3"], [])
    assert kept["counts"] == {"total": 3, "labeled": 1, "skipped": 0, "open": 2}
    code, again = await road("claim", {"session": "s1", "count": 9, "holding": [1], "recent": 5})
    assert [one["item"] for one in again["items"]] == [2]
    assert [(one["ev"], one["text"]) for one in again["recent"]] == [("e1", "one")]
    assert (await road("renew", {"session": "s1"}))[1] == {"held": 2}
    assert (await road("release", {"session": "s1"}))[0] == 200


async def test_one_bad_decision_does_not_keep_the_others_back(road: Road) -> None:
    bad = [
        {"ev": "b1", "item": "0", "kind": "label", "value": "a"},
        {"ev": "b2", "item": 0, "kind": "shout", "value": "a"},
        {"ev": "b3", "item": 0, "kind": "label"},
        event("b4", 0, active_ms=float(1 << 40)),
        event("b5", 0, decided_at="yesterday"),
        event("b6", 0, "zebra"),
    ]
    code, kept = await road("events", {"events": [*bad, event("good", 2)]})
    assert (code, kept["accepted"]) == (200, ["good"])
    assert {one["ev"] for one in kept["refused"]} == {f"b{n}" for n in range(1, 7)}
    assert all(one["what"] for one in kept["refused"])


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("claim", {"session": "s", "count": "many"}),
        ("claim", {"session": "s", "count": 0}),
        ("claim", {"session": "s", "holding": "all"}),
        ("claim", {"count": 1}),
        ("claim", {"session": "a b"}),
        ("renew", {}),
        ("events", {}),
        ("events", {"events": [{"item": 0}]}),
        ("events", {"events": [3]}),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(
    road: Road, action: str, body: Any
) -> None:
    code, problem = await road(action, body)
    assert code == 400
    assert problem["code"].startswith("E-LABEL-")
    assert problem["what"]


async def test_the_person_is_the_servers_user(
    served: Workspace, jp_fetch: Callable[..., Awaitable[HTTPResponse]]
) -> None:
    await jp_fetch(
        *("mlops", "api", "labels", "texts", "events"),
        method="POST",
        headers=dict(JSON),
        body=json.dumps({"events": [event("e1", 0, person="mallory")], "person": "mallory"}),
    )
    # A token names nobody: it is the one whose server this is.
    owner = Workspace.open(served.root).user
    assert [one.name for one in status(served, "texts").people] == [owner]


async def test_the_server_keeps_from_people_what_others_said_of_what_they_have_still_to_label(
    served: Workspace, jp_fetch: Callable[..., Awaitable[HTTPResponse]]
) -> None:
    person = Workspace.open(served.root).user
    frame = pl.DataFrame({"x": ["one", "two", "three"]})
    create(served, "blind", Rows(frame), "text", ["a", "b", "sesame"], settings={"overlap": 2})
    for who in (person, "jo"):
        give_role(served, "blind", who, "annotator")
    set_gold(served, "blind", {2: "sesame"})
    said = [Decision(f"j{n}", n, "label", "sesame") for n in range(3)]
    commit(served, "blind", "jo", said)
    commit(served, "blind", person, [Decision("p0", 0, "label", "b")])

    async def ask(*path: str, **body: Any) -> str:
        found = await jp_fetch(
            *("mlops", "api", *path),
            method="POST",
            headers=dict(JSON),
            body=json.dumps(body),
            request_timeout=120,
        )
        return found.body.decode()

    shown = await ask("labels", "blind", "claim", session="s1", count=9, recent=50)
    assert "sesame" not in json.dumps(json.loads(shown)["items"] + json.loads(shown)["recent"])
    exported = await ask("verbs", "label-export", task="blind", to="blind.jsonl")
    assert "2 items are left out" in exported
    text = (served.root / "blind.jsonl").read_text()
    assert '"j0"' in text
    assert not any(ev in text for ev in ('"j1"', '"j2"', "gold:"))
    # The same server's owner of a task sees them.
    give_role(served, "blind", person, "reviewer")
    await ask("verbs", "label-export", task="blind", to="blind.jsonl")
    text = (served.root / "blind.jsonl").read_text()
    assert all(ev in text for ev in ('"j1"', '"j2"', "gold:"))


async def test_what_a_labeler_sends_is_kept_whole_by_every_road(
    road: Road, served: Workspace
) -> None:
    change_rules(served, "texts", {"guideline": "a or b", "requeue": "me"})
    _, found = await road("state", {})
    version = found["task"]["settings"]["guideline_version"]
    assert (len(version), found["task"]["settings"]["requeue"]) == (16, "me")
    events = [
        event("e1", 0, guideline=version, suggestion={"value": "b", "by": "m"}, active_ms=5,
              shown_at="2026-01-02T03:04:05Z", decided_at="2026-01-02T03:04:06Z", session="s"),
        {"ev": "e2", "item": 1, "kind": "skip", "reason": "not mine", "requeue": "others"},
        {"ev": "e3", "item": 0, "kind": "undo", "undoes": "e1", "guideline": ""},
    ]  # fmt: skip
    _, kept = await road("events", {"events": events})
    assert kept["refused"] == []
    with served.read() as session:
        query = select(AnnotationRecord).order_by(AnnotationRecord.number)
        label, skip, undo = session.scalars(query).all()
        session.expunge_all()
    assert label.suggestion == {"value": "b", "by": "m", "changed": True}
    assert (label.guideline, undo.guideline, skip.guideline) == (version, "", version)
    assert (skip.reason, skip.requeue, undo.undoes) == ("not mine", "others", "e1")
    assert (label.active_ms, label.session, label.strategy) == (5, "s", "order")
    assert (label.decided_at - label.shown_at).total_seconds() == 1  # type: ignore[operator]


async def test_media_come_whole_in_parts_and_once(
    served: Workspace, jp_fetch: Callable[..., Awaitable[HTTPResponse]]
) -> None:
    async def fetch(item: int, **headers: str) -> HTTPResponse:
        path = ("mlops", "api", "labels", "images", "media", str(item))
        return await jp_fetch(*path, headers=headers, raise_error=False)

    whole = await fetch(1)
    assert whole.headers["Content-Type"] == "image/png"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in whole.headers["Cache-Control"]
    part = await fetch(1, Range="bytes=1-3")
    assert (part.code, part.body) == (206, b"PNG")
    assert part.headers["Content-Range"] == f"bytes 1-3/{len(whole.body)}"
    assert (await fetch(1, Range="bytes=-4")).body == whole.body[-4:]
    assert (await fetch(1, Range="bytes=50-")).body == whole.body[50:]
    assert (await fetch(1, Range="bytes=9999-")).code == 416
    assert (await fetch(1, Range="bytes=1-3", **{"If-Range": '"other"'})).code == 200
    assert (await fetch(1, **{"If-None-Match": whole.headers["ETag"]})).code == 304
    assert (await fetch(7)).code == 404


async def test_peaks_sides_and_scripts_are_the_same_by_the_server_and_the_kernel(
    served: Workspace, jp_fetch: Callable[..., Awaitable[HTTPResponse]]
) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\0\x40" * 8000)
    create(served, "sounds", Rows(pl.DataFrame({"x": [file.getvalue()]})), "audio", ["a", "b"])
    pair = pl.DataFrame({"left": [png(np.zeros((4, 4)))], "right": [png(np.ones((6, 4)))]})
    create(served, "pairs", Rows(pair), "pair")

    async def fetch(*path: str, **query: str) -> HTTPResponse:
        return await jp_fetch("mlops", "api", *path, params=query, raise_error=False)

    def kernel(task: str, action: str, **body: Any) -> tuple[Any, list[bytes]]:
        widget = LabelerWidget(served, {"id": task})
        reply, buffers = widget.reply({"turn": 1, "action": action, "body": body})
        return reply["body"], buffers

    peaks = json.loads((await fetch("labels", "sounds", "peaks", "0")).body)
    assert (peaks["duration"], peaks["rate"], set(peaks["peaks"])) == (1, 8000, {0.5})
    assert kernel("sounds", "peaks", item=0)[0] == peaks
    assert (await fetch("labels", "images", "peaks", "0")).code == 400
    for side in ("left", "right"):
        found = await fetch("labels", "pairs", "media", "0", side=side)
        assert found.body == pair[side][0] == kernel("pairs", "media", item=0, side=side)[1][0]
    for name in PADS:
        found = await fetch("labelers", f"{name}.js")
        assert found.headers["Content-Type"].startswith("text/javascript")
        assert found.body == pad(name) == kernel("pairs", "script", name=name)[1][0]
    assert (await fetch("labelers", "labeler.js")).body.decode() == script()
    assert (await fetch("labelers", "labeler.css")).body.decode() == style()
    assert (await fetch("labelers", "secrets.js")).code == 404


async def test_a_task_this_server_does_not_know_sends_the_labeler_to_the_kernel(
    served: Workspace, jp_fetch: Callable[..., Awaitable[HTTPResponse]]
) -> None:
    found = await jp_fetch(
        *("mlops", "api", "labels", "0" * 32, "state"),
        method="POST",
        headers=dict(JSON),
        body="{}",
        raise_error=False,
    )
    assert found.code == 404


def test_the_kernel_hands_media_over_as_bytes(served: Workspace) -> None:
    widget = LabelerWidget(served, {"id": "images"})
    reply, buffers = widget.reply({"turn": 4, "action": "media", "body": {"item": 1}})
    assert (reply["turn"], reply["status"], reply["body"]["type"]) == (4, 200, "image/png")
    assert buffers[0].startswith(b"\x89PNG")
    reply, buffers = widget.reply({"turn": 5, "action": "media", "body": {"item": 9}})
    assert (reply["status"], buffers) == (404, [])


def test_the_widget_stays_small_and_asks_nobody_else() -> None:
    assert len(script()) + len(style()) < 40_000
    assert "http://" not in script()
    assert "https://" not in script()
    assert "innerHTML" not in script()
    assert "import " not in script().replace("// ", "")
