"""The log of a running endpoint: changed while it answers, and full disks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import served
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sklearn.linear_model import LogisticRegression
from test_durability import logged_ids
from test_versions import ROW, ask, beside, declare, state, until

from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.logpolicy import LogPolicy

SECRET = "Zaphod-8c1f"


@pytest.fixture(scope="session")
def picky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version whose library quotes, in its errors, the carriers that it doesn't know."""
    from sklearn.preprocessing import OneHotEncoder

    table = served.flights(seed=9)
    folder = tmp_path_factory.mktemp("picky") / "m"
    encoder = OneHotEncoder(handle_unknown="error")
    return served.save_model(
        folder, table, ~served.late(table), LogisticRegression(), encoder=encoder
    )


def samples(endpoint: served.Running) -> dict[tuple[str, str], float]:
    """The log's metrics, read by Prometheus' own strict parser."""
    text = endpoint.get("/metrics").text
    return {
        (one.name, one.labels.get("fate", "")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.name.startswith("mlops_traffic_log")
    }


def holds(folder: Path, text: str) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_socket()]
    return [path for path in found if text.encode() in path.read_bytes()]


def test_redacted_values_reach_no_file_whatever_goes_wrong(
    model: Path, picky: Path, tmp_path: Path
) -> None:
    key = tmp_path / "hash-key"
    key.write_bytes(b"k" * 32)
    config = served.config(
        model, tmp_path, key="flight", hash_key=str(key), beside=[beside(picky, "4", "shadow")]
    )
    with served.running(config, tmp_path) as endpoint:
        # Without a policy the log holds what was asked, and a failing model's words.
        ask(endpoint, carrier="Marvin-77", flight="F1")
        until(lambda: holds(tmp_path / "traffic", "Marvin-77"))
        until(lambda: "Marvin-77" in (tmp_path / "log.txt").read_text())
        policy = LogPolicy(dropped=("carrier",), hashed=("flight",))
        declare(endpoint, replace(config, log=policy, generation=2))
        until(lambda: state(endpoint)["generation"] == 2)
        answer = ask(endpoint, carrier=SECRET, flight=f"key-{SECRET}")
        assert answer.status_code == 200
        failed = until(
            lambda: [o for o in state(endpoint)["versions"] if o["role"] == "shadow"
                     and o["errors"] == 2]
        )  # fmt: skip
        assert failed
        # Bad values are told without the values, and are not kept either.
        assert SECRET not in ask(endpoint, carrier=[SECRET], flight="F2").text
        assert SECRET not in ask(endpoint, hour=SECRET, flight="F2").text
        assert "ValueError" in (tmp_path / "log.txt").read_text()
    assert holds(tmp_path, SECRET) == []
    tables = [read_segment(p).table for p in (tmp_path / "traffic" / "hot").iterdir()]
    last = max((t for t in tables if t.num_rows), key=lambda t: t["at"][0].as_py())
    assert last["prediction_id"].to_pylist() == answer.json()["prediction_ids"]
    assert last["key"][0].as_py().startswith("hmac:")
    assert "in.carrier" not in last.column_names


def test_the_policy_changes_under_load_and_no_request_is_lost(model: Path, tmp_path: Path) -> None:
    key = tmp_path / "hash-key"
    key.write_bytes(b"k" * 32)
    config = served.config(model, tmp_path, key="flight", hash_key=str(key))
    policies = [
        LogPolicy(sample=0.3),
        LogPolicy(dropped=("carrier",), hashed=("flight", "hour")),
        LogPolicy(mode="off"),
        LogPolicy(mode="best-effort"),
        LogPolicy(),
    ]
    wrong: list[str] = []
    ids: list[str] = []
    with served.running(config, tmp_path) as endpoint:
        stopping = threading.Event()
        pids = state(endpoint)["versions"][0]["processes"]

        def call(number: int) -> None:
            with httpx.Client(base_url=endpoint.url, headers=served.AUTH, timeout=60) as caller:
                turn = 0
                while not stopping.is_set():
                    turn += 1
                    rows = [{**ROW, "flight": f"{number}-{turn}-{n}"} for n in range(3)]
                    answer = caller.post("/invocations", json={"dataframe_records": rows})
                    if answer.status_code != 200:
                        wrong.append(answer.text)
                    else:
                        ids.extend(answer.json()["prediction_ids"])

        callers = [threading.Thread(target=call, args=(n,)) for n in range(3)]
        for one in callers:
            one.start()
        for generation, policy in enumerate(policies, 2):
            seen = len(ids)
            until(lambda: len(ids) > seen + 30)  # noqa: B023
            declare(endpoint, replace(config, log=policy, generation=generation))
            until(lambda: state(endpoint)["generation"] == generation)  # noqa: B023
        stopping.set()
        for one in callers:
            one.join()
        # The model's processes are those of the beginning: only the log changed.
        assert state(endpoint)["versions"][0]["processes"] == pids
        counted = samples(endpoint)
    assert wrong == []
    logged = {one for one in ids if not one.endswith("u")}
    assert logged == logged_ids(tmp_path)
    fates = {f: n for (name, f), n in counted.items() if name.endswith("rows_total")}
    assert fates["logged"] == len(logged)
    assert fates["sampled_out"] > 0
    assert fates["off"] > 0
    assert fates["sampled_out"] + fates["off"] == len(ids) - len(logged)
    assert fates["unlogged"] == 0
    # Some rows of one request are in the sample and others aren't.
    mixed = {one.rpartition("-")[0] for one in logged} & {
        one.rpartition("-")[0] for one in ids if one.endswith("u")
    }
    assert mixed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)
    return filler


def test_a_full_disk_refuses_what_must_be_logged_and_mends_by_itself(
    model: Path, tmp_path: Path, small_disk: Path
) -> None:
    config = served.config(model, tmp_path, traffic=str(small_disk / "traffic"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    answered: list[str] = []
    with (
        served.running(config, tmp_path) as endpoint,
        served.running(served.config(model, elsewhere), elsewhere) as neighbour,
    ):
        answered += ask(endpoint).json()["prediction_ids"]
        filler = fill(small_disk)
        many = {"inputs": served.flights(3000).to_dict(orient="list")}
        refused = endpoint.post("/invocations", json=many)
        assert refused.status_code == 503
        assert refused.json()["code"] == "E-SERVE-122"
        assert "No space left on device" in refused.json()["message"]
        assert "prediction_ids" not in refused.json()
        assert endpoint.get("/v2/health/ready").status_code == 503
        assert endpoint.get("/v2/health/live").status_code == 200
        assert ask(neighbour).status_code == 200
        assert until(lambda: state(endpoint)["log"]["trouble"])
        filler.unlink()
        assert endpoint.get("/v2/health/ready").status_code == 200
        answered += ask(endpoint).json()["prediction_ids"]
        assert samples(endpoint)["mlops_traffic_log_rows_total", "unlogged"] == 0

        # Told to go on, it answers and counts.
        best = LogPolicy(mode="best-effort")
        declare(endpoint, replace(config, log=best, generation=2))
        until(lambda: state(endpoint)["generation"] == 2)
        filler = fill(small_disk)
        told = endpoint.post("/invocations", json=many)
        assert told.status_code == 200
        assert all(one.endswith("u") for one in told.json()["prediction_ids"])
        assert endpoint.get("/v2/health/ready").status_code == 200
        assert samples(endpoint)["mlops_traffic_log_rows_total", "unlogged"] == 3000
        log = until(lambda: state(endpoint)["log"]["unlogged"] and state(endpoint)["log"])
        assert "No space left on device" in log["last_trouble"]
        filler.unlink()
        after = ask(endpoint).json()["prediction_ids"]
        assert not after[0].endswith("u")
        answered += after
        assert until(lambda: not state(endpoint)["log"]["trouble"])
        # One line, not one for each request.
        assert (tmp_path / "log.txt").read_text().count("No space left on device") == 1
    readings = [read_segment(p) for p in (small_disk / "traffic" / "hot").glob(f"*{SUFFIX}")]
    assert not any(reading.damaged for reading in readings)
    logged = [i for r in readings if r.table for i in r.table["prediction_id"].to_pylist()]
    assert sorted(logged) == sorted(answered)


@pytest.mark.parametrize("where", ["while it is read", "after it was read"])
def test_a_large_body_is_answered_by_the_version_that_took_over_meanwhile(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    import asyncio

    from jupyter_mlops.serving import application, formats, switchboard
    from jupyter_mlops.serving.modelfile import directory_digest
    from jupyter_mlops.serving.process import build

    table = served.flights()
    narrow = served.save_model(tmp_path / "narrow", table.drop(columns="hour"), served.late(table))
    # What takes over asks for a column that the version before did not know.
    config = served.config(narrow, tmp_path)
    after = replace(
        config, version="5", path=str(model), digest=directory_digest(model), generation=2
    )
    monkeypatch.setattr(switchboard, "_PROBATION", 0.0)
    monkeypatch.setattr(application, "_LARGE", 0)
    reading, go_on = threading.Event(), threading.Event()

    def held(real: Any) -> Any:
        def once(*arguments: Any, **more: Any) -> Any:
            if not reading.is_set():
                reading.set()
                assert go_on.wait(60)
            return real(*arguments, **more)

        return once

    async def all_of_it() -> httpx.Response:
        endpoint = build(config)
        old = endpoint.board.primary
        try:
            endpoint.board.begin()
            app = endpoint.application(8123)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8123", headers=served.AUTH
            ) as caller:
                body = {"dataframe_records": [ROW]}
                assert (await caller.post("/invocations", json=body)).status_code == 200
                assert (await caller.get("/metrics")).status_code == 200
                if where == "while it is read":
                    monkeypatch.setattr(formats, "read_invocation", held(formats.read_invocation))
                else:
                    monkeypatch.setattr(old.expectations, "meet", held(old.expectations.meet))
                asked = asyncio.create_task(caller.post("/invocations", json=body))
                assert await asyncio.to_thread(reading.wait, 60)
                await endpoint.board.apply(after)
                while not old.batcher.closed:
                    endpoint.board.watch()
                    await asyncio.sleep(0.01)
                go_on.set()
                answer = await asyncio.wait_for(asked, 60)
                # What a version logged counts when it is gone, too.
                told = (await caller.get("/metrics")).text
                assert 'mlops_traffic_log_rows_total{fate="logged"} 2.0' in told
                return answer
        finally:
            go_on.set()
            endpoint.board.close()

    answer = asyncio.run(all_of_it())
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"]["version"] == "5"
