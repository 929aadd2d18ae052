"""Data in object storage and on the web is read in parts, survives restarts, and tells faults."""

from __future__ import annotations

import io
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data.storage import S3, Web, web_server
from jupyter_mlops import data
from jupyter_mlops.data import open_source
from jupyter_mlops.data.sources.objects import stores
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.errors import Conflict, Denied, Invalid, NotFound, Unavailable

WIDE = pl.DataFrame(
    {f"c{i}": np.random.default_rng(i).normal(size=40_000) for i in range(20)}
).with_columns(n=pl.int_range(40_000))


def parquet(frame: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **options)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ID", "an-id")
    monkeypatch.setenv("S3_KEY", "hunter2-in-the-environment")


@pytest.fixture(scope="module")
def s3(bucket: S3) -> S3:
    bucket.objects |= {
        "lake/wide.parquet": parquet(WIDE, row_group_size=2_000),
        "lake/days/month=1/kind=a%20b/x.parquet": parquet(pl.DataFrame({"v": [1, 2]})),
        "lake/days/month=2/kind=c/x.parquet": parquet(pl.DataFrame({"v": [3.5]})),
        "lake/days/_SUCCESS": b"",
        "lake/text/a.csv": b"a,b\n1,x\n",
        "lake/text/b.csv": b"a,b\n2,y\n",
        "lake/text/c.jsonl": b'{"a": 1, "b": {"c": [1]}}\n',
        "lake/odd/a.parquet": parquet(pl.DataFrame({"v": [1]})),
        "lake/odd/b.parquet": parquet(pl.DataFrame({"v": ["x"]})),
        "lake/odd/c.parquet": b"no parquet",
    }
    for name, content in bucket.objects.items():
        bucket.put(name, content)
    return bucket


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def at(server: S3, path: str, **asked: Any) -> Any:
    return open_source(f"s3://{path}{server.options}", allow_private=True, **asked)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each request for ranges brought."""
    sizes: list[int] = []
    read = stores.Store.read

    def counting(self: Any, path: str, ranges: Any) -> Any:
        parts = read(self, path, ranges)
        sizes.append(sum(len(content) for _, content in parts))
        return parts

    monkeypatch.setattr(stores.Store, "read", counting)
    return sizes


def test_two_of_twenty_columns_are_fetched_without_the_rest(s3: S3, fetched: list[int]) -> None:
    source = at(s3, "lake/wide.parquet")
    found = source.scan().select("c3", "n").collect()
    assert found.equals(WIDE.select("c3", "n"))
    size = len(s3.objects["lake/wide.parquet"])
    assert 0 < sum(fetched) < 0.15 * size
    assert source.digest() == data.digest(WIDE.lazy())


def test_row_groups_that_cannot_fit_are_not_fetched(s3: S3, fetched: list[int]) -> None:
    source = at(s3, "lake/wide.parquet", where="n >= 38000 AND c1 > 0", columns=["c2"])
    expected = WIDE.filter((pl.col("n") >= 38_000) & (pl.col("c1") > 0)).select("c2")
    assert source.scan().collect().equals(expected)
    # The footer, and three columns of one row group.
    assert sum(fetched) < 64 * 1024 + 3 * 2_000 * 9
    fetched.clear()
    assert source.scan().head(1).collect().height == 1
    assert len(fetched) <= 1


def test_folders_that_are_columns_are_read_with_types_and_skipped(
    s3: S3, fetched: list[int]
) -> None:
    for uri in ("lake/days", "lake/days/", "lake/days/*/*/*.parquet"):
        source = at(s3, uri)
        assert source.schema() == {"v": pl.Float64, "month": pl.Int64, "kind": pl.String}
        assert sorted(source.scan().collect().rows()) == [
            (1.0, 1, "a b"),
            (2.0, 1, "a b"),
            (3.5, 2, "c"),
        ]
    fetched.clear()
    assert source.scan().filter(pl.col("month") == 2).select("v").collect().rows() == [(3.5,)]
    assert len(fetched) == 1


def test_text_in_a_bucket_reads_as_files_do(s3: S3) -> None:
    source = at(s3, "lake/text/*.csv")
    assert source.scan().collect().to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}
    assert at(s3, "lake/text/c.jsonl").schema()["b"] == pl.Struct({"c": pl.List(pl.Int64)})
    told = source.provenance()["objects"]
    assert list(told) == ["lake/text/a.csv", "lake/text/b.csv"]
    assert all(len(one["tag"]) == 32 for one in told.values())


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("lake/wide.parqet", NotFound, "did you mean 'wide.parquet'?"),
        ("lak/wide.parquet", NotFound, "there is no bucket 'lak': there are lake"),
        ("lake/nothing/*.parquet", NotFound, "there is no data at s3://lake/nothing/*.parquet"),
        ("lake/text", Invalid, "holds files of several formats"),
        ("lake/odd/[ab].parquet", Invalid, "b.parquet differs in 'v' from a.parquet: it is text"),
        ("lake/odd/c.parquet", Invalid, "c.parquet: it doesn't end as Parquet does"),
    ],
)
def test_what_is_wrong_in_a_bucket_is_one_sentence(
    s3: S3, path: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        at(s3, path).scan().collect()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("s3://b/x.parquet?key=AKIA123&secret=hunter2", "holds a credential in 'key'"),
        ("az://b/x.parquet?sas_token=hunter2", "holds a credential in 'sas_token'"),
        ("https://example.org/x.csv?X-Amz-Signature=hunter2", "write X-Amz-Signature=secret:NAME"),
        ("https://example.org/x.csv?bearer=hunter2&token=hunter2", "holds a credential in"),
        ("s3://b/x.parquet?regin=eu", "did you mean 'region'?"),
        ("gs://b/x.parquet", 'gcsfs isn\'t installed: pip install "jupyter_mlops[gcs]"'),
        ("az://b/x.parquet", 'adlfs isn\'t installed: pip install "jupyter_mlops[azure]"'),
    ],
)
def test_credentials_and_missing_clients_are_told_without_a_secret(
    uri: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in ("gcsfs", "adlfs"):  # as where they aren't installed
        monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises((Invalid, Unavailable)) as caught:
        open_source(uri)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_secrets_show_nowhere(s3: S3, tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path / "ws")
    source = at(s3, "lake/days")
    kept = data.add(ws, "days", data.Table(source))
    with pytest.raises(NotFound) as caught:
        at(s3, "lake/none.csv")
    shown = [repr(source), repr(source.store), repr(source.store.location), source.uri]
    shown += [str(caught.value), repr(kept), str(kept.provenance), kept.origin]
    shown += [str(event.payload) for event in ws.events()]
    assert not [text for text in shown if os.environ["S3_KEY"] in text or "an-id" in text]
    assert "secret:S3_KEY" in kept.origin


def test_wrong_credentials_and_missing_rights_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3(tmp_path, guarded=True)
    server.objects = {"lake/x.parquet": parquet(pl.DataFrame({"v": [1]}))}
    server.start()
    try:
        with pytest.raises(Denied, match=r"credentials for s3://lake/x\.parquet\S* are .*wrong"):
            at(server, "lake/x.parquet")
        monkeypatch.setenv("S3_ID", server.user[0])
        monkeypatch.setenv("S3_KEY", server.user[1])
        with pytest.raises(Denied, match=r"access to s3://lake/x\.parquet\S* is denied"):
            at(server, "lake/x.parquet")
    finally:
        server.kill()


def test_a_store_that_is_restarted_in_the_middle_of_a_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3(tmp_path)
    server.objects = {"lake/wide.parquet": parquet(WIDE, row_group_size=2_000)}
    server.start()
    source = at(server, "lake/wide.parquet")
    batches = source.scan().select("n", "c1").collect_batches(chunk_size=2_000)
    rows = [next(batches)]
    server.kill()
    server.launch()
    rows += list(batches)
    server.wait()
    assert pl.concat(rows).equals(WIDE.select("n", "c1"))
    assert source.scan().select(pl.col("n").sum()).collect().item() == WIDE["n"].sum()
    # A new content under the old name is no longer what was opened.
    server.put("lake/wide.parquet", parquet(WIDE.reverse(), row_group_size=2_000))
    with pytest.raises(Conflict, match=r"wide\.parquet was changed while it was read"):
        source.scan().select("n").collect()
    again = at(server, "lake/wide.parquet")
    assert again.scan().select("n").head(1).collect().item() == WIDE["n"][-1]
    server.put("lake/wide.parquet", None)
    with pytest.raises(NotFound, match="there is no"):
        again.scan().select("n").collect()
    # One that stays away is a sentence.
    server.kill()
    monkeypatch.setitem(stores.PATIENCE, "read", 0.3)  # type: ignore[arg-type]
    monkeypatch.setitem(stores.PATIENCE, "look", 0.3)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:\d+ doesn't answer"):
        again.scan().select("n").collect()
    with pytest.raises(Unavailable, match="doesn't answer"):
        at(server, "lake/wide.parquet")


def test_large_parquet_stays_in_its_bucket_and_is_watched(s3: S3, tmp_path: Path) -> None:
    for month in (1, 2, 3):
        content = parquet(pl.DataFrame({"v": [month, month + 1]}))
        s3.put(f"lake/large/month={month}/x.parquet", content)
    uri = f"s3://lake/large{s3.options}"
    ws = Workspace.open(tmp_path / "ws", copy_limit=10, allow_private_urls=True)
    kept = data.add(ws, "days", uri)
    assert not ws.artifacts.list()
    assert [mark["tag"] for mark in kept._record.files] == [
        one["tag"] for one in kept.provenance["objects"].values()
    ]
    found = data.get(ws, "days")
    assert sorted(found.scan().collect().rows())[0] == (1, 1)
    assert data.digest(found.scan()) == found.digest
    small = Workspace.open(tmp_path / "small", allow_private_urls=True)
    assert data.add(small, "days", uri).digest == kept.digest
    assert len(small.artifacts.list()) == 1
    # The same rows written anew are the same version.
    s3.put("lake/large/month=3/x.parquet", parquet(pl.DataFrame({"v": [4, 3]})))
    assert data.get(ws, "days").scan().collect().height == 6
    s3.put("lake/large/month=3/x.parquet", parquet(pl.DataFrame({"v": [7, 8]})))
    with pytest.raises(Conflict, match="have changed since it was added"):
        data.get(ws, "days").scan()
    s3.put("lake/large/month=3/x.parquet", None)
    with pytest.raises(NotFound, match="the rows of data:days@1 are gone"):
        data.get(ws, "days").scan()
    assert data.get(small, "days").scan().collect().height == 6


def test_parquet_on_the_web_is_read_in_parts(web: Web) -> None:
    content = web.files["/x.parquet"] = parquet(WIDE, row_group_size=4_000)
    source = open_source(f"{web.url}/x.parquet", allow_private=True)
    assert source.scan().select("c3", "n").collect().equals(WIDE.select("c3", "n"))
    assert web.sent < 0.15 * len(content)
    assert source.digest() == data.digest(WIDE.lazy())


def test_a_web_server_without_ranges_is_read_as_a_whole(web: Web) -> None:
    web.ranges = False
    web.files = {"/x.parquet": parquet(WIDE), "/y.csv": b"a,b\n1,2\n", "/get": b'{"a": 1}\n'}
    web.types = {"/get": "application/x-ndjson; charset=utf-8"}
    source = open_source(f"{web.url}/x.parquet", allow_private=True)
    assert source.digest() == data.digest(WIDE.lazy())
    rows = open_source(f"{web.url}/y.csv", allow_private=True).scan().collect()
    assert rows.to_dicts() == [{"a": 1, "b": 2}]
    web.ranges = True
    named = open_source(f"{web.url}/get?id=3", allow_private=True)
    assert named.scan().collect().to_dicts() == [{"a": 1}]


def test_a_busy_web_server_is_asked_again(web: Web) -> None:
    web.files["/y.csv"] = b"a,b\n1,2\n"
    web.failures = 2
    source = open_source(f"{web.url}/y.csv", allow_private=True)
    web.failures = 2
    assert source.scan().collect().height == 1


def test_secrets_reach_the_web_server_and_nobody_else(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB", "hunter2/+=")
    web.files["/y.csv"] = b"a,b\n1,2\n"
    options = "?bearer=secret:WEB&sig=secret:WEB&v=2"
    source = open_source(f"{web.url}/y.csv{options}", allow_private=True)
    assert source.scan().collect().height == 1
    assert set(web.authorization) == {"Bearer hunter2/+="}
    assert set(web.queries) == {"sig=hunter2%2F%2B%3D&v=2"}
    with pytest.raises(NotFound) as caught:
        open_source(f"{web.url}/z.csv{options}", allow_private=True)
    assert "hunter2" not in str(caught.value) + repr(source) + source.uri
    host = web.url.removeprefix("http://")
    basic = open_source(f"http://me:secret:WEB@{host}/y.csv", allow_private=True)
    assert basic.scan().collect().height == 1
    assert web.authorization[-1] == "Basic bWU6aHVudGVyMi8rPQ=="


def test_private_addresses_are_refused_also_behind_redirects(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files["/y.csv"] = b"a,b\n1,2\n"
    port = web.server_address[1]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"):
        with pytest.raises(Denied, match="is a private address"):
            open_source(f"http://{host}:{port}/y.csv")
    with pytest.raises(Denied, match="is a private address"):
        open_source(f"s3://b/x.parquet?anon=true&endpoint_url={web.url}")
    # The name was public when it was looked at, and leads elsewhere when it is used.
    from jupyter_mlops.data.sources.objects import clients

    monkeypatch.setattr(clients, "check_host", lambda url: None)
    web.redirects["/r.csv"] = "http://127.0.0.1:1/y.csv"
    for path in ("y.csv", "r.csv"):
        with pytest.raises(Denied, match="private address"):
            open_source(f"{web.url}/{path}")
    assert not web.queries
    web.redirects["/r.csv"] = f"{web.url}/y.csv"
    assert open_source(f"{web.url}/r.csv", allow_private=True).scan().collect().height == 1


def test_ctrl_c_ends_the_fetch_from_a_server_that_stopped_in_the_middle() -> None:
    begun, over = threading.Event(), threading.Event()

    def answer(listener: socket.socket) -> None:
        # A look, and then the read, of which only the beginning is sent.
        for _ in range(2):
            connection, _ = listener.accept()
            request = connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\na\n1\n")
            if b"bytes=0-0" not in request:
                begun.set()
                over.wait(100)
            connection.close()

    sent: list[float] = []

    def interrupt() -> None:
        begun.wait(60)
        sent.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # As polars does it: then a waiting system call goes on after a signal.
    signal.siginterrupt(signal.SIGINT, False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for work, given in ((answer, (listener,)), (interrupt, ())):
            threading.Thread(target=work, args=given, daemon=True).start()
        source = open_source(
            f"http://127.0.0.1:{listener.getsockname()[1]}/x.csv", allow_private=True
        )
        try:
            with pytest.raises(KeyboardInterrupt):
                source.scan()
            waited = time.monotonic() - sent[0]
        finally:
            over.set()
            signal.signal(signal.SIGINT, before)
    # The client's own time-out is a minute.
    assert waited < 30


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    from aiohttp import ClientPayloadError
    from aiohttp.http_exceptions import ContentLengthError

    from jupyter_mlops.data.sources.objects.refusals import transient

    broken = ClientPayloadError("Response payload is not completed")
    broken.__cause__ = ContentLengthError("received 0 of 15398 bytes")
    assert transient(broken)
