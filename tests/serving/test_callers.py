"""The log says who asked, as far as they said it themselves."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
import served

from jupyter_mlops.serving.asking import caller_of
from jupyter_mlops.serving.ids import CALLER
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.pseudonyms import HASHED

BODY = {"dataframe_records": [{"hour": 7, "distance": 1.0, "carrier": "UA"}] * 2}


def basic(name: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{served.TOKEN}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        ({CALLER: "ada"}, "ada"),
        ({CALLER: "Zoë".encode().decode("latin-1")}, "Zoë"),
        ({CALLER: "ada", "authorization": basic("bob"), "user-agent": "curl/8"}, "ada"),
        ({"authorization": basic("bob"), "user-agent": "curl/8"}, "bob"),
        ({"authorization": "Bearer x", "user-agent": "curl/8"}, "curl/8"),
        ({"authorization": "Basic !!!"}, ""),
        ({CALLER: "a\tb"}, ""),
        ({CALLER: "x" * 4000}, "x" * 128),
        ({}, ""),
    ],
)
def test_who_asks_is_who_they_say(headers: dict[str, str], caller: str) -> None:
    assert caller_of(headers) == caller


def test_each_logged_row_names_its_caller_unless_that_is_redacted(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32)

    def logged(name: str, **policy: Any) -> list[dict[str, Any]]:
        folder = tmp_path / name
        config = served.config(
            model, folder, log=LogPolicy(**policy), hash_key=str(tmp_path / "key")
        )
        folder.mkdir()
        with served.running(config, folder) as endpoint:
            for headers in ({**served.AUTH, CALLER: "ada"}, {"authorization": basic("bob")}):
                answer = httpx.post(f"{endpoint.url}/invocations", json=BODY, headers=headers)
                assert answer.status_code == 200
        (segment,) = (folder / "traffic" / "hot").glob(f"*{SUFFIX}")
        table = read_segment(segment).table
        assert table is not None
        return table.to_pylist()

    assert [row["caller"] for row in logged("plain")] == ["ada", "ada", "bob", "bob"]
    assert [row["caller"] for row in logged("dropped", dropped=("caller",))] == [None] * 4
    hashed = [row["caller"] for row in logged("hashed", hashed=("caller",))]
    assert all(one.startswith(HASHED) for one in hashed)
    assert hashed[0] == hashed[1] != hashed[2]
