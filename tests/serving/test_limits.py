"""What one caller, or one row, can't take from the others: time, memory, places in the queue."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import misbehaving
import pytest
import served

from jupyter_mlops.agent.instances import _config
from jupyter_mlops.serving import application, asking, batching, declare
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.serving.process import build
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import Invalid, Workspace

Ask = Callable[[httpx.AsyncClient, float], Any]


def body(distance: float) -> dict[str, Any]:
    return {"dataframe_records": [{"hour": 7, "distance": distance, "carrier": "UA"}]}


@pytest.fixture
def asked(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run questions against an endpoint whose model misbehaves on some rows."""
    monkeypatch.setattr(batching, "start", misbehaving.start)
    monkeypatch.setattr("jupyter_mlops.serving.deployed.start", misbehaving.start)

    def run(questions: Callable[[httpx.AsyncClient, Any], Any], **settings: Any) -> None:
        endpoint = build(served.config(model, tmp_path, **settings))

        async def all_of_them() -> None:
            transport = httpx.ASGITransport(endpoint.application(1))
            address = "http://127.0.0.1:1"
            async with httpx.AsyncClient(
                transport=transport, base_url=address, headers=served.AUTH, timeout=60
            ) as caller:
                await questions(caller, endpoint)

        try:
            asyncio.run(all_of_them())
        finally:
            endpoint.board.close()

    return run


def test_who_comes_to_a_full_queue_is_told_to_come_again(asked: Any) -> None:
    async def questions(caller: httpx.AsyncClient, endpoint: Any) -> None:
        def ask(distance: float) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(caller.post("/invocations", json=body(distance)))

        hanging = ask(misbehaving.HANGS)
        while not endpoint.board.primary.batcher.busy:
            await asyncio.sleep(0.01)
        waiting = ask(1.0)
        while not endpoint.board.primary.batcher.waiting:
            await asyncio.sleep(0.01)
        refused = await ask(2.0)
        assert (refused.status_code, refused.json()["code"]) == (429, "E-SERVE-121")
        assert int(refused.headers["retry-after"]) >= 1
        assert "2.0" not in refused.text
        # The one that hangs has its time, and no more; who waited behind it is answered.
        late = await hanging
        assert (late.status_code, late.json()["code"]) == (504, "E-SERVE-124")
        assert (await waiting).json()["predictions"] == [1.0]
        assert (await ask(3.0)).status_code == 200

    asked(questions, max_waiting=1, predict_seconds=1.0)


def test_a_row_that_takes_more_memory_than_there_may_be_fails_alone(asked: Any) -> None:
    async def questions(caller: httpx.AsyncClient, endpoint: Any) -> None:
        before = endpoint.board.primary.batcher.pids
        rows = (1.0, misbehaving.TAKES, 3.0)
        told = await asyncio.gather(*(caller.post("/invocations", json=body(one)) for one in rows))
        assert [one.status_code for one in told] == [200, 422, 200]
        assert "the model failed on these rows" in told[1].json()["message"]
        assert endpoint.board.primary.batcher.pids == before

    asked(questions, max_memory=2 << 30)


def test_limits_are_declared_kept_and_reach_the_endpoint(model: Path, tmp_path: Path) -> None:
    class Version:
        name, version, run_id, digest = "delay", 3, "r", directory_digest(model)
        ref = "model:delay@3"

        def path(self, ws: Workspace) -> Path:
            return model

    ws, version = Workspace.open(tmp_path), Version()

    def config() -> Any:
        with ws.read() as session:
            return _config(ws, session.get_one(EndpointRecord, "delay"), 0, None, None)

    assert declare(ws, version) == 1
    assert (config().predict_seconds, config().max_waiting) == (60.0, 400_000)
    assert declare(ws, version, seconds=2.5, queue=10) == 2
    assert declare(ws, version, contract="off") == 3
    assert (config().predict_seconds, config().max_waiting) == (2.5, 10)
    assert declare(ws, version, seconds=2.5) == 3
    with pytest.raises(Invalid, match="can't have 0 seconds for a batch"):
        declare(ws, version, seconds=0)
    with pytest.raises(Invalid, match="0 rows can't wait"):
        declare(ws, version, queue=0)


def test_a_slow_sender_is_told_so_and_holds_up_nobody(
    client: served.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = functools.partial(asking.read_body, seconds=0.5)
    monkeypatch.setattr(application, "read_body", hurried)
    address = client.host.split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=30) as slow:
        head = f"POST /invocations HTTP/1.1\r\nHost: {client.host}\r\nContent-Length: 900\r\n"
        head += f"Authorization: Bearer {served.TOKEN}\r\nContent-Type: application/json\r\n\r\n"
        slow.sendall(head.encode() + b'{"inputs"')
        begun = time.monotonic()
        assert client.post("/invocations", json=body(1.0)).status_code == 200
        assert time.monotonic() - begun < 0.5
        answer = slow.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the body did not arrive in time" in answer


def test_a_body_without_a_length_is_cut_off_at_the_limit(client: served.Client) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(60):
            sent += 1 << 20
            yield b" " * (1 << 20)

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(headers=served.AUTH, timeout=60) as caller:
            kind = {"content-type": "application/json"}
            return await caller.post(f"{client.url}/invocations", content=pieces(), headers=kind)

    answer = asyncio.run(send())
    assert (answer.status_code, answer.json()["code"]) == (413, "E-SERVE-160")
    assert client.post("/invocations", json=body(1.0)).status_code == 200
