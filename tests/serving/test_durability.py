"""No answer without a line in the traffic log, whatever happens to the process."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import served

from jupyter_mlops.serving.journal import (
    SUFFIX,
    JournalError,
    Segment,
    abandoned,
    read_segment,
)

SCHEMA = pa.schema([("n", pa.int64())])


def frames(*values: int) -> list[pa.Buffer]:
    return [pa.RecordBatch.from_pydict({"n": [v]}, schema=SCHEMA).serialize() for v in values]


def logged_ids(folder: Path) -> set[str]:
    segments = (folder / "traffic" / "hot").glob(f"*{SUFFIX}")
    tables = [read_segment(segment).table for segment in segments]
    return {id_ for t in tables if t is not None for id_ in t["prediction_id"].to_pylist()}


def test_a_torn_or_damaged_end_costs_only_itself(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "a.frames", SCHEMA)
    for value in range(5):
        segment.append(frames(value))
    segment.close()
    whole = segment.path.read_bytes()
    seen = set()
    for length in range(len(whole), 0, -7):
        segment.path.write_bytes(whole[:length])
        reading = read_segment(segment.path)
        values = [] if reading.table is None else reading.table["n"].to_pylist()
        assert values == list(range(len(values)))
        assert reading.ignored >= 0
        seen.add(len(values))
    assert seen == {0, 1, 2, 3, 4, 5}
    damaged = bytearray(whole)
    damaged[-20] ^= 1
    segment.path.write_bytes(damaged)
    assert read_segment(segment.path).table["n"].to_pylist() == [0, 1, 2, 3]


def test_a_segment_tells_whether_somebody_writes_it(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "a.frames", SCHEMA)
    assert not abandoned(segment.path)
    segment.close()
    assert abandoned(segment.path)


def test_a_full_disk_leaves_the_segment_as_it_was(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "a.frames", SCHEMA)
    segment.append(frames(1))
    size = segment.size
    # A file size limit fails writes in the middle, just as a full disk does.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, before[1]))
    try:
        with pytest.raises(JournalError, match="the traffic log cannot be written"):
            segment.append(frames(2, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert segment.path.stat().st_size == size
    segment.append(frames(4))
    assert read_segment(segment.path).table["n"].to_pylist() == [1, 4]


def test_a_full_disk_is_a_503_and_mends_by_itself(client: served.Client) -> None:
    body = {"dataframe_records": [{"hour": 7, "distance": 1.0, "carrier": "UA"}]}
    log = client.endpoint.board.primary.log
    size = log._current().size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(size, 200), before[1]))
    try:
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 503
        assert answer.json()["code"] == "E-SERVE-122"
        assert "prediction" not in answer.text
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/v2/health/live").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert client.get("/v2/health/ready").status_code == 200
    assert client.post("/invocations", json=body).status_code == 200


def test_every_answered_prediction_is_logged_when_the_process_is_killed(
    model: Path, tmp_path: Path
) -> None:
    answered: set[str] = set()
    with served.running(served.config(model, tmp_path), tmp_path) as endpoint:

        def ask(seed: int) -> None:
            table = served.flights(1 + seed * 3, seed)
            body = {"inputs": table.to_dict(orient="list")}
            with httpx.Client(base_url=endpoint.url, headers=served.AUTH, timeout=60) as caller:
                try:
                    while True:
                        answer = caller.post("/invocations", json=body)
                        answered.update(answer.json()["prediction_ids"])
                except httpx.HTTPError:
                    return

        callers = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
        for caller in callers:
            caller.start()
        threading.Event().wait(1 + random.Random(5).random())
        endpoint.process.send_signal(signal.SIGKILL)
        for caller in callers:
            caller.join()
    assert len(answered) > 100
    assert answered <= logged_ids(tmp_path)


def test_the_log_holds_inputs_answers_keys_and_times(endpoint: served.Running) -> None:
    rows = {
        "hour": [7, 9],
        "distance": [100.5, None],
        "carrier": ["UA", None],
        "flight": ["UA1", 17],
        "when": ["2013-03-01T07:00:00-05:00", None],
    }
    refused = endpoint.post("/invocations", json={"inputs": rows})
    assert refused.status_code == 422, refused.text
    rows["distance"][1] = 50
    answer = endpoint.post("/invocations", json={"inputs": rows}).json()
    folder = Path(endpoint.config.traffic) / "hot"
    table = read_segment(next(folder.glob(f"*{SUFFIX}"))).table
    logged = {row["prediction_id"]: row for row in table.to_pylist()}
    first, second = (logged[id_] for id_ in answer["prediction_ids"])
    assert first["key"] == "UA1"
    assert second["key"] == "17"
    assert first["event_time"].isoformat() == "2013-03-01T12:00:00+00:00"
    assert second["event_time"] == second["at"]
    assert first["in.hour"] == 7
    assert second["in.distance"] == 50.0
    assert second["in.carrier"] is None
    assert [first["prediction"], second["prediction"]] == answer["predictions"]
    assert [first["probability"], second["probability"]] == answer["probabilities"]
    assert table.schema.metadata[b"version"] == b"3"


def test_a_request_without_the_key_is_refused(endpoint: served.Running) -> None:
    body = {"dataframe_records": [{"hour": 7, "distance": 1.0, "carrier": "UA", "when": None}]}
    answer = endpoint.post("/invocations", json=body)
    assert answer.json()["message"] == "column 'flight' (the endpoint's key) is missing"


def test_a_sigterm_finishes_and_lets_go(model: Path, tmp_path: Path) -> None:
    with served.running(served.config(model, tmp_path), tmp_path) as endpoint:
        table = served.flights(5)
        body = {"inputs": table.to_dict(orient="list")}
        assert endpoint.post("/invocations", json=body).status_code == 200
        endpoint.process.send_signal(signal.SIGTERM)
        assert endpoint.process.wait(60) == 0
    assert served.read_state(tmp_path)["stopped"]
    assert len(logged_ids(tmp_path)) == 5
    assert all(abandoned(path) for path in (tmp_path / "traffic" / "hot").iterdir())


def test_importing_the_process_costs_no_mlflow() -> None:
    code = (
        "import sys, jupyter_mlops.serving.process, jupyter_mlops.serving.application;"
        "import jupyter_mlops.serving.loading;"
        "heavy = {'mlflow', 'polars', 'sqlalchemy', 'matplotlib', 'fastapi', 'IPython'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]", shown.stdout
