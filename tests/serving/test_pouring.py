"""Bodies that are answered while they come, and Arrow streams as bodies."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pytest
import served

from jupyter_mlops.serving.arrowbody import ARROW
from jupyter_mlops.serving.lines import LINES
from jupyter_mlops.serving.spool import Spool

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def narrow(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Running]:
    """An endpoint whose whole bodies may have a mebibyte."""
    folder = tmp_path_factory.mktemp("narrow")
    with served.running(served.config(model, folder, max_body=LIMIT), folder) as it:
        yield it


def lines(table: pd.DataFrame) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in table.to_dict(orient="records")]


def stream(table: pa.Table, times: int = 1, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        for _ in range(times):
            out.write_table(table)
    return sink.getvalue()


def arrow(table: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(table, preserve_index=False)


def post(url: str, kind: str, content: Any, **headers: str) -> httpx.Response:
    headers = {**served.AUTH, "content-type": kind, **headers}
    return httpx.post(f"{url}/invocations", content=content, headers=headers, timeout=120)


def pieces(content: bytes, size: int = 50_001) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_each_line_has_its_answer_and_bad_ones_their_reason(narrow: served.Running) -> None:
    table = served.flights(1500, seed=8)
    body = lines(table)
    body[700] = b'{"hour": 1\n'
    body[900] = b'{"hour": "x", "distance": 1.5, "carrier": "AA"}\n'
    body[901] = b'{"hour": 7, "distance": NaN, "carrier": "AA"}\n'
    answer = post(narrow.url, LINES, pieces(b"".join(body)))
    assert answer.status_code == 200, answer.text
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert len(told) == 1500
    wrong = {row: one for row, one in enumerate(told) if "error" in one}
    assert set(wrong) == {700, 900, 901}
    assert all(one["row"] == row for row, one in wrong.items())
    assert wrong[900]["error"] == "column 'hour': expected long, found a string"
    good = [row for row in range(1500) if row not in wrong]
    plain = narrow.post(
        "/invocations", json={"inputs": table.iloc[good].to_dict(orient="list")}
    ).json()
    assert [told[row]["probability"] for row in good] == plain["probabilities"]
    assert {told[row]["model_version"] for row in good} == {"3"}


def test_lines_are_answered_before_the_last_has_come(narrow: served.Running) -> None:
    """Whoever sends one waits for its answer before the next goes out."""

    async def talk() -> list[dict[str, Any]]:
        port = int(narrow.state["port"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        token = served.AUTH["Authorization"]
        writer.write(
            f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\n"
            f"Content-Type: {LINES}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        told: list[dict[str, Any]] = []
        for line in lines(served.flights(3)):
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            if not told:
                head = await reader.readuntil(b"\r\n\r\n")
                assert b" 200 " in head[:20]
            size = int(await reader.readline(), 16)
            told.append(json.loads((await reader.readexactly(size + 2))[:-2]))
        writer.write(b"0\r\n\r\n")
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.close()
        return told

    told = asyncio.run(asyncio.wait_for(talk(), 60))
    assert [set(one) for one in told] == [
        {"prediction", "probability", "prediction_id", "model_version"}
    ] * 3


def test_a_body_far_above_the_limit_flows_in_bounded_memory(narrow: served.Running) -> None:
    """The client reads nothing before all is sent, as most do."""
    block = b"".join(lines(served.flights(1000)))
    process = psutil.Process(narrow.state["pid"])
    post(narrow.url, LINES, iter([block]))
    before = process.memory_info().rss
    answer = post(narrow.url, LINES, (block for _ in range(60)))
    assert answer.text.count("\n") == 60_000
    assert b'"error"' not in answer.content
    assert process.memory_info().rss - before < 24 << 20
    whole = block * 60
    assert len(whole) > 2 * LIMIT
    known = post(narrow.url, LINES, whole[: 2 * LIMIT].rpartition(b"\n")[0])
    assert known.status_code == 200  # of a known length, larger than a whole body may be
    as_json = narrow.post("/invocations", content=whole, headers={"content-type": "text/csv"})
    assert as_json.status_code == 413


@pytest.mark.parametrize(
    ("kind", "content", "status", "told"),
    [
        (LINES, b"x" * (LIMIT + 70_000), 413, "a line is larger"),
        (LINES, b"\n\n", 400, "no rows"),
        (ARROW, b"no arrow at all", 400, "begin as one"),
        (ARROW, b"", 400, "no schema"),
    ],
)
def test_what_cannot_begin_is_refused_with_a_status(
    narrow: served.Running, kind: str, content: bytes, status: int, told: str
) -> None:
    answer = post(narrow.url, kind, pieces(content))
    assert answer.status_code == status, answer.text
    assert told in answer.json()["message"]


def test_arrow_is_answered_as_json_is(client: served.Client) -> None:
    table = served.flights(200, seed=5)
    plain = client.post("/invocations", json={"inputs": table.to_dict(orient="list")}).json()
    swapped = arrow(table[["carrier", "hour", "distance"]])
    answer = post(client.url, ARROW, stream(swapped))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(answer.content).read_all()
    assert found.column("prediction").to_pylist() == plain["predictions"]
    assert found.column("probability").to_pylist() == plain["probabilities"]
    assert len(set(found.column("prediction_id").to_pylist())) == 200
    assert found.schema.metadata[b"version"] == b"3"
    assert json.loads(found.schema.metadata[b"classes"]) == plain["classes"]
    as_json = post(client.url, ARROW, stream(swapped), accept="application/json").json()
    assert as_json["probabilities"] == plain["probabilities"]
    back = client.post(
        "/invocations", json={"inputs": table.to_dict(orient="list")}, headers={"accept": ARROW}
    )
    assert pa.ipc.open_stream(back.content).read_all().num_rows == 200


def test_dictionaries_views_and_several_batches_are_taken(client: served.Client) -> None:
    table = arrow(served.flights(50))
    expected = post(client.url, ARROW, stream(table), accept="application/json").json()
    for kind in (pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.string_view()):
        text = table.column("carrier").cast(kind)
        changed = table.set_column(2, "carrier", text)
        answer = post(client.url, ARROW, stream(changed, 2), accept="application/json").json()
        assert answer["probabilities"] == 2 * expected["probabilities"], kind


WRONG: list[tuple[str, Any, str]] = [
    ("a text for a number", lambda t: t.set_column(0, "hour", [["x"] * 3]), "expected long"),
    ("doubles for whole numbers", lambda t: t.set_column(0, "hour", [[1.5] * 3]), "Arrow's double"),
    (
        "no such column",
        lambda t: t.rename_columns(["hours", "distance", "carrier"]),
        "did you mean",
    ),
    ("a name twice", lambda t: t.rename_columns(["hour", "hour", "carrier"]), "named twice"),
    ("a hole", lambda t: t.set_column(0, "hour", [[1, None, 3]]), "row 1, column 'hour'"),
    ("no rows", lambda t: t.slice(0, 0), "no rows"),
]


@pytest.mark.parametrize(
    ("change", "told"), [(c, t) for _, c, t in WRONG], ids=[n for n, *_ in WRONG]
)
def test_wrong_columns_are_told(client: served.Client, change: Any, told: str) -> None:
    answer = post(client.url, ARROW, stream(change(arrow(served.flights(3)))))
    assert answer.status_code == 400, answer.text
    assert told in answer.json()["message"]


def test_compressed_cut_and_hostile_streams_are_refused(client: served.Client) -> None:
    table = arrow(served.flights(500))
    for codec in ("lz4", "zstd"):
        answer = post(client.url, ARROW, stream(table, compression=codec))
        assert (answer.status_code, answer.json()["code"]) == (400, "E-SERVE-127")
    whole = stream(table)
    assert "cut off" in post(client.url, ARROW, whole[:-100]).json()["message"]
    again = post(client.url, ARROW, whole + whole)
    assert "after its end" in again.json()["message"]
    # A long text that fifty thousand rows share would be gigabytes in the log.
    long = pa.array(["x" * (1 << 20)]).dictionary_encode()
    shared = pa.DictionaryArray.from_arrays(np.zeros(50_000, np.int8), long.dictionary)
    numbers = {"hour": np.ones(50_000, np.int64), "distance": np.ones(50_000)}
    answer = post(client.url, ARROW, stream(pa.table({**numbers, "carrier": shared})))
    assert answer.status_code == 413, answer.text
    rng = np.random.default_rng(3)
    for _ in range(150):
        broken = bytearray(whole)
        for place in rng.integers(0, 1200, 3):
            broken[place] = rng.integers(256)
        answer = post(client.url, ARROW, bytes(broken))
        assert answer.status_code in (200, 400, 413), answer.text
    assert post(client.url, ARROW, whole).status_code == 200


def test_batches_flow_and_one_that_is_wrong_cuts_the_answer_off(narrow: served.Running) -> None:
    table = arrow(served.flights(1000))
    content = stream(table, 60)
    assert len(content) > LIMIT
    answer = post(narrow.url, ARROW, pieces(content))
    assert answer.status_code == 200
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 60_000
    first = stream(table).removesuffix(b"\xff\xff\xff\xff" + bytes(4))
    with pytest.raises(httpx.RemoteProtocolError):
        post(narrow.url, ARROW, iter([first, b"garbage, not a message"]))
    assert post(narrow.url, ARROW, stream(table)).status_code == 200


def test_doubles_of_any_size_and_order_come_out_as_they_went_in(tmp_path: Path) -> None:
    """The quick ways for many values agree with the slow one, hole by hole."""
    from jupyter_mlops.serving.arrowbody import read_arrow
    from jupyter_mlops.serving.fields import Field, field_type
    from jupyter_mlops.serving.intake import Intake
    from jupyter_mlops.serving.invocations import read_invocation

    double = field_type("double")
    assert double is not None
    intake = Intake([Field("a", double), Field("b", double), Field("c", double)])
    rng = np.random.default_rng(1)
    rows: list[list[Any]] = rng.normal(size=(400, 3)).round(3).tolist()
    rows[3][1], rows[5][0], rows[6][2] = None, 7, 2**40
    split = {"columns": ["c", "a", "b"], "data": rows}
    many = read_invocation({"dataframe_split": split}, intake)
    frame = pd.DataFrame(rows, columns=["c", "a", "b"], dtype=float)
    for name in "abc":
        assert np.array_equal(many.inputs[name], frame[name], equal_nan=True)
    few = read_invocation({"dataframe_split": {**split, "data": rows[:8]}}, intake)
    body = stream(pa.Table.from_pandas(frame, preserve_index=False))
    as_arrow = read_arrow(body, intake, LIMIT)
    assert many.block is not None
    assert as_arrow.block is not None
    assert few.block is not None
    assert np.array_equal(few.block, many.block[:, :8], equal_nan=True)
    assert np.array_equal(as_arrow.block, many.block, equal_nan=True)
    from jupyter_mlops.serving.refusals import Refusal

    huge = read_invocation({"dataframe_split": {**split, "data": [*rows, [1.0, 2**60, 1]]}}, intake)
    assert huge.inputs["a"][-1] == 2.0**60
    for wrong in (True, "1", [1.0], 10**400):
        bad = [*rows[:300], [1.0, wrong, 2.0], *rows[300:]]
        with pytest.raises(Refusal, match="row 300, column 'a'"):
            read_invocation({"dataframe_split": {**split, "data": bad}}, intake)


def test_answers_wait_for_a_caller_who_reads_late_and_no_longer_than_there_is_room() -> None:
    async def run() -> None:
        spool = Spool(most=1000)
        for number in range(4):
            await spool.put(bytes([number]) * 250)
        waiting = asyncio.create_task(spool.put(b"later"))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await spool.get() == b"".join(bytes([n]) * 250 for n in range(4))
        await waiting
        await spool.end()
        assert await spool.get() == b"later"
        assert await spool.get() == b""
        spool.close()

    asyncio.run(asyncio.wait_for(run(), 10))
