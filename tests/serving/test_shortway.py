"""A plain question takes a shorter way than others, and gets the same answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import served

from jupyter_mlops.serving import shortway

ROW = {"hour": 7, "distance": 1.0, "carrier": "UA"}
GOOD = json.dumps({"dataframe_records": [ROW]}).encode()
Answer = tuple[int, dict[str, str], dict[str, Any]]


class Caller:
    """A connection on which every byte is ours."""

    def __init__(self, host: str) -> None:
        name, _, port = host.partition(":")
        self.host = host
        self.socket = socket.create_connection((name, int(port)), timeout=60)
        self.stream = self.socket.makefile("rb")

    def head(self, length: int, path: str = "/invocations", **more: str | None) -> bytes:
        lines: dict[str, str | None] = {
            "host": self.host,
            "authorization": f"Bearer {served.TOKEN}",
            "content-type": "application/json",
            "content-length": str(length),
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        told = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"POST {path} HTTP/1.1\r\n{told}\r\n".encode()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def ask(self, body: bytes = GOOD, **more: Any) -> Answer:
        self.send(self.head(len(body), **more) + body)
        return self.answer()

    def answer(self) -> Answer:
        status = int(self.stream.readline().split()[1])
        headers = {}
        while line := self.stream.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        body = self.stream.read(int(headers["content-length"]))
        return status, headers, json.loads(body) if body.startswith(b"{") else {"text": body}


@pytest.fixture
def caller(endpoint: served.Running) -> Iterator[Caller]:
    """On an endpoint with a key and a time column."""
    caller = Caller(endpoint.url.removeprefix("http://"))
    yield caller
    caller.socket.close()


@pytest.fixture
def plain(client: served.Client) -> Iterator[Caller]:
    caller = Caller(client.host)
    yield caller
    caller.socket.close()


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        json.dumps({"dataframe_records": [{**ROW, "more": 1}]}).encode(),
        json.dumps({"inputs": {name: [value, value] for name, value in ROW.items()}}).encode(),
        b'{"dataframe_records": [{"hour": 7, "distance": NaN, "carrier": "UA"}]}',
        json.dumps({"dataframe_records": [{**ROW, "hour": "seven"}]}).encode(),
        json.dumps({"dataframe_records": [{"hour": 7}]}).encode(),
        b'{"dataframe_records": []}',
        b"{}",
        b"nonsense",
        b"",
        b"[" * 2000,
    ],
)
def test_both_ways_answer_alike(plain: Caller, body: bytes) -> None:
    def told(path: str) -> Answer:
        status, headers, answer = plain.ask(body, path=path, x_request_id="mine")
        answer.pop("prediction_ids", None)
        return status, {n: v for n, v in headers.items() if n != "date"}, answer

    # A query is nothing of a plain question's.
    assert told("/invocations") == told("/invocations?long=1")
    assert told("/invocations") == told("/invocations?long=1")


def test_a_head_that_was_let_in_opens_for_no_other(plain: Caller) -> None:
    for _ in range(3):
        assert plain.ask()[0] == 200
        assert plain.ask(authorization="Bearer wrong")[0] == 401
        assert plain.ask(authorization=None)[0] == 401
        assert plain.ask(host="evil.example")[0] == 403
        assert plain.ask(origin="http://evil.example")[0] == 403
        assert plain.ask(content_type="text/plain")[0] == 415
        assert plain.ask(path="/nothing")[0] == 404


def test_heads_are_remembered_and_not_for_ever(
    client: served.Client, plain: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bytes] = []
    known = shortway.ShortWay.known

    def counting(self: shortway.ShortWay, head: bytes) -> Any:
        found = known(self, head)
        looked.append(b"" if found is None else head)
        return found

    monkeypatch.setattr(shortway.ShortWay, "known", counting)
    monkeypatch.setattr(shortway, "_HEADS", 4)
    for n in range(20):
        assert plain.ask(x_request_id=f"a{n}")[1]["x-request-id"] == f"a{n}"
    assert not any(looked)
    for _ in range(3):
        assert plain.ask(x_request_id="b")[1]["x-request-id"] == "b"
    assert [bool(head) for head in looked[-3:]] == [False, True, True]
    assert served.TOKEN not in repr(vars(client.endpoint))


def test_pieces_and_rows_of_requests_are_answered_in_their_order(plain: Caller) -> None:
    assert plain.ask()[0] == 200
    content = plain.head(len(GOOD)) + GOOD
    for cut in (1, 40, len(content) - len(GOOD) - 2, len(content) - len(GOOD), len(content) - 1):
        plain.send(content[:cut], content[cut:])
        assert plain.answer()[0] == 200
    for place in range(0, len(content), 7):
        plain.send(content[place : place + 7])
    assert plain.answer()[0] == 200
    names = ["a", "b", "c", "d"]
    bodies = [GOOD, b"nonsense", GOOD, GOOD]
    heads = [
        plain.head(len(body), x_request_id=name) + body
        for name, body in zip(names, bodies, strict=True)
    ]
    for cut in (0, 10, len(heads[0]), len(heads[0]) + 10):
        together = b"".join(heads)
        plain.send(together[:cut], together[cut:])
        answers = [plain.answer() for _ in names]
        assert [headers["x-request-id"] for _, headers, _ in answers] == names
        assert [status for status, _, _ in answers] == [200, 400, 200, 200]


def test_a_caller_that_wants_the_connection_closed_finds_it_closed(plain: Caller) -> None:
    status, headers, _ = plain.ask(connection="close")
    assert (status, headers["connection"]) == (200, "close")
    assert plain.stream.read() == b""


def test_a_caller_that_hangs_up_leaves_the_others_alone(plain: Caller) -> None:
    for _ in range(5):
        gone = Caller(plain.host)
        gone.send(gone.head(len(GOOD)) + GOOD)
        gone.stream.close()
        gone.socket.close()
        assert plain.ask()[0] == 200


def test_what_follows_a_body_is_no_part_of_it(plain: Caller) -> None:
    assert plain.ask()[0] == 200
    plain.send(plain.head(len(GOOD)) + GOOD + b"more\r\n\r\n")
    assert plain.answer()[0] in (200, 400)
    assert b"more" not in plain.stream.read()


def test_keys_and_times_go_the_short_way_too(caller: Caller) -> None:
    row = {**ROW, "flight": "UA1", "when": None}
    for _ in range(2):
        status, headers, answer = caller.ask(json.dumps({"dataframe_records": [row]}).encode())
        assert (status, headers["x-mlops-version"]) == (200, "3")
        assert answer["model"]["endpoint"] == "delay"
    assert caller.ask()[2]["message"] == "column 'flight' (the endpoint's key) is missing"


def test_both_ways_are_counted(client: served.Client, plain: Caller) -> None:
    def counted() -> tuple[float, float]:
        text = httpx.get(client.url + "/metrics", headers=served.AUTH).text
        found = []
        for status in ("200", "400"):
            name = f'mlops_requests_total{{protocol="invocations",status="{status}",version="3"}}'
            found.append(float(text.partition(name)[2].partition("\n")[0] or 0))
        return found[0], found[1]

    before = counted()
    for path in ("/invocations", "/invocations", "/invocations?long=1"):
        plain.ask(path=path)
        plain.ask(b"{}", path=path)
    assert counted() == (before[0] + 3, before[1] + 3)
