"""Who may come in."""

from __future__ import annotations

import base64

import httpx
import pytest
import served

OPEN = ["/ping", "/health", "/v2/health/live", "/v2/health/ready"]
CLOSED = ["/version", "/v2", "/v2/models/delay", "/v2/models/delay/ready", "/metrics",
          "/openapi.json", "/nothing", "/ping//", "/PING"]  # fmt: skip


@pytest.fixture
def stranger(client: served.Client) -> httpx.Client:
    return httpx.Client(base_url=client.url, timeout=60)


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_is_told_without_the_token(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "delay" not in answer.text


@pytest.mark.parametrize("path", ["/invocations", "/v2/models/delay/infer"])
@pytest.mark.parametrize(
    "given",
    [
        "Bearer wrong",
        "Bearer",
        "bearer x",
        "Basic !!!",
        "Basic",
        served.TOKEN,
        "Bearer " + "x" * 9000,
    ],
)
def test_a_wrong_token_is_refused(stranger: httpx.Client, path: str, given: str) -> None:
    assert stranger.post(path, json={}, headers={"authorization": given}).status_code == 401


def test_health_needs_no_token(stranger: httpx.Client) -> None:
    for path in OPEN:
        assert stranger.get(path).status_code == 200


def test_the_token_may_come_as_the_password_of_a_netrc_file(stranger: httpx.Client) -> None:
    basic = base64.b64encode(f"anybody:{served.TOKEN}".encode()).decode()
    assert stranger.get("/version", headers={"authorization": f"Basic {basic}"}).text == "3"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:65536", "localhost"]
)
def test_a_foreign_host_is_refused_even_with_the_token(client: served.Client, host: str) -> None:
    for path in (*OPEN, "/version"):
        assert client.get(path, headers={"host": host}).status_code == 403


def test_localhost_is_this_machine_too(client: served.Client) -> None:
    assert (
        client.get(
            "/version", headers={"host": client.host.replace("127.0.0.1", "LOCALHOST")}
        ).status_code
        == 200
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999"])
def test_a_foreign_origin_is_refused_even_with_the_token(
    client: served.Client, origin: str
) -> None:
    assert client.get("/version", headers={"origin": origin}).status_code == 403


def test_wrong_methods_and_paths_are_told(client: served.Client) -> None:
    answer = client.get("/invocations")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client.get("/nothing").json()["code"] == "E-SERVE-152"
    assert client.get("/v2/models/other").status_code == 404
    assert client.get("/v2/models/delay/versions/2").status_code == 404
