"""The model's contract at the endpoint's door, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import served
import uvicorn
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from jupyter_mlops.models import ModelVersion
from jupyter_mlops.profiling import profile
from jupyter_mlops.profiling.contracts import Contract, infer
from jupyter_mlops.serving import contract_mode, declare
from jupyter_mlops.serving.expectations import Expectations
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.process import build, take_port
from jupyter_mlops.workspace import Workspace

GOOD = {"hour": 8, "distance": 900.0, "carrier": "AA"}


def contract() -> Contract:
    import polars as pl

    table = pl.from_pandas(served.flights(4000))
    learnt = infer(profile(table.lazy()), table.lazy())
    return learnt.column("distance", lo=0, hi=20_000, max_outside=0).column(
        "carrier", max_outside=0
    )


@pytest.fixture(scope="module")
def contracted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the other tests, with a contract beside it."""
    path = Path(shutil.copytree(model, tmp_path_factory.mktemp("contracted") / "m"))
    (path / "contract.json").write_text(contract().text(), "utf-8")
    return path


@contextlib.contextmanager
def door(model: Path, folder: Path, mode: str) -> Iterator[served.Client]:
    """An endpoint on a real port."""
    endpoint = build(served.config(model, folder, contract=mode))
    listener = take_port(0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(endpoint.application(port), lifespan="off", log_config=None)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        with served.Client(f"http://127.0.0.1:{port}", endpoint) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        endpoint.board.close()


def ask(client: served.Client, *rows: dict[str, Any]) -> Any:
    return client.post("/invocations", json={"dataframe_records": list(rows)})


def counted(client: served.Client) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.labels["column"], sample.labels["rule"]): sample.value
        for family in families
        for sample in family.samples
        if sample.name == "mlops_contract_violations_total"
    }


def test_enforced_it_refuses_rows_that_no_exception_covers(
    contracted: Path, tmp_path: Path
) -> None:
    with door(contracted, tmp_path, "enforce") as client:
        assert ask(client, GOOD).status_code == 200
        refused = ask(client, GOOD, GOOD | {"distance": -4711.5})
        assert refused.status_code == 400
        body = refused.json()
        assert body["code"] == "E-SERVE-170"
        assert "row 1, column 'distance': expected at least 0 and at most 20000" in body["message"]
        assert "4711" not in refused.text
        unknown = ask(client, GOOD | {"carrier": "Mystery"})
        assert "column 'carrier': expected one of the 3 known values" in unknown.json()["message"]
        assert "Mystery" not in unknown.text
        # A rule that allows a share of the rows says nothing of one.
        assert ask(client, GOOD | {"hour": 900}).status_code == 200
        assert counted(client) == {
            ("distance", "bounds"): 1.0,
            ("carrier", "domain"): 1.0,
            ("hour", "bounds"): 1.0,
        }
        infer_ = {
            "inputs": [
                {"name": "hour", "shape": [1], "datatype": "INT64", "data": [8]},
                {"name": "distance", "shape": [1], "datatype": "FP64", "data": [-1.0]},
                {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["AA"]},
            ]
        }
        assert "'distance'" in client.post("/v2/models/delay/infer", json=infer_).json()["error"]


def test_observed_it_answers_counts_and_writes_down_without_values(
    contracted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with door(contracted, tmp_path, "observe") as client, caplog.at_level(logging.WARNING):
        assert ask(client, GOOD, GOOD | {"carrier": "Mystery"}).status_code == 200
        assert counted(client) == {("carrier", "domain"): 1.0}
    assert "'carrier' domain 1" in caplog.text
    assert "Mystery" not in caplog.text


def test_off_it_looks_at_nothing(contracted: Path, tmp_path: Path) -> None:
    with door(contracted, tmp_path, "off") as client:
        assert ask(client, GOOD | {"distance": -1.0}).status_code == 200
        assert counted(client) == {}


def test_every_kind_of_rule_is_counted_on_the_values_that_are_there() -> None:
    found: dict[tuple[str, str], int] = {}
    terms = {
        "x": {"null": {"max_fraction": 0.5}, "bounds": {"lo": 0, "hi": 9, "max_outside": 0.1}},
        "at": {"bounds": {"lo": "2024-01-01T00:00:00", "max_outside": 0.1}},
        "word": {
            "length": {"lo": 2, "hi": 3, "max_outside": 0.1},
            "pattern": {"regex": "^[a-z]+$", "max_outside": 0.1},
        },
        "code": {"domain": {"values": [1, 2], "max_outside": 0.1}},
        "late": {"null": {"max_fraction": 0}},
        "count": {"type": "integer"},
        # Of a contract that says it is text: no row is.
        "number": {"length": {"hi": 3, "max_outside": 0}},
    }
    environments = {"serving": {"absent": {"late": "the target"}}}
    door = Expectations(
        {"columns": terms, "environments": environments},
        count=lambda column, rule, rows: found.__setitem__((column, rule), rows),
    )
    rows = {
        "x": np.array([1.0, np.nan, 10.0, -1.0]),
        "at": np.array(["2025-01-01", "NaT", "2023-12-31", "2024-01-01"], "datetime64[us]"),
        "word": np.array(["ab", None, "abcd", "A1"], dtype=object),
        "code": np.array([1.0, np.nan, 3.0, 2.0]),
        "late": np.array([None] * 4, dtype=object),
        "count": np.array([1.0, np.nan, 2.5, -0.5]),
        "number": np.array([1.0, 2.0, 3.0, 4.0]),
    }
    door.meet(Rows(4, rows))
    assert found == {
        ("x", "null"): 1,
        ("x", "bounds"): 2,
        ("at", "bounds"): 1,
        ("word", "length"): 1,
        ("word", "pattern"): 1,
        ("code", "domain"): 1,
        ("count", "type"): 2,
        ("number", "length"): 4,
    }


def test_what_was_declared_stays_until_something_else_is(contracted: Path, tmp_path: Path) -> None:
    class Version:
        name, version, run_id, digest = "delay", 3, "r", "d"
        ref = "model:delay@3"

        def path(self, ws: Workspace) -> Path:
            return contracted

    ws, version = Workspace.open(tmp_path), Version()
    served_as: ModelVersion = version  # type: ignore[assignment]
    assert contract_mode(ws, "delay") == "observe"
    assert declare(ws, served_as, contract="enforce") == 1
    assert declare(ws, served_as) == 1
    assert contract_mode(ws, "delay") == "enforce"
    assert declare(ws, served_as, contract="off") == 2
    assert contract_mode(ws, "delay") == "off"


def test_columns_of_doubles_are_looked_at_together_with_the_same_result() -> None:
    broken: list[tuple[str, str, int]] = []
    terms = {
        "a": {"type": "float", "bounds": {"lo": 0, "max_outside": 0}},
        "b": {"type": "float", "bounds": {"hi": 5.5, "max_outside": 0.1}},
        "c": {"type": "float", "null": {"max_fraction": 0.0}},
        "d": {"type": "float", "bounds": {"lo": -1, "hi": 1, "max_outside": 0}},
        "e": {"type": "float", "domain": {"values": [1.0], "max_outside": 0}},
    }
    rng = np.random.default_rng(5)
    for names in ("abcd", "dcba", "ab", "abcde", "xc"):
        for _ in range(200):
            block = rng.choice(
                [0.0, 1.0, 5.5, 6.0, -2.0, np.nan],
                (len(names), 2),
                p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1],
            )
            columns = dict(zip(names, block, strict=True))
            told = []
            for rows in (Rows(2, columns), Rows(2, columns, block=block)):
                broken.clear()
                door = Expectations({"columns": terms}, "observe", lambda *one: broken.append(one))
                door.meet(rows)
                told.append(sorted(broken))
            assert told[0] == told[1]
