"""An endpoint whose model can tell how strange rows are, and what it tells of its versions."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import served
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from jupyter_mlops.models.outliers import FILE
from jupyter_mlops.models.outliers.files import as_bytes
from jupyter_mlops.models.outliers.fitting import fit
from jupyter_mlops.serving.expectations import Expectations
from jupyter_mlops.serving.journal import read_segment
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.unusual import Watch

CONTRACT = {
    "columns": {
        "distance": {"type": "float", "bounds": {"lo": 0, "max_outside": 0}},
        "hour": {"type": "integer", "bounds": {"hi": 22, "max_outside": 0.5}},
    }
}
USUAL = {"hour": 9, "distance": 1000.0, "carrier": "AA"}


def telling(path: Path) -> Path:
    """A model with what tells outliers beside it, and a contract."""
    table = served.flights(4000)
    folder = served.save_model(path, table, served.late(table))
    (folder / FILE).write_bytes(as_bytes(fit(pl.from_pandas(table))))
    (folder / "contract.json").write_text(json.dumps(CONTRACT))
    return folder


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return telling(tmp_path_factory.mktemp("teller") / "m")


def logged(folder: Path) -> pl.DataFrame:
    frames = []
    for path in sorted((folder / "traffic" / "hot").glob("*.frames")):
        table = read_segment(path).table
        assert table is not None
        frames.append(pl.from_arrow(table))
    return pl.concat(frames, how="diagonal_relaxed")


def ask(it: served.Running, *rows: dict[str, Any]) -> None:
    answer = it.post("/invocations", json={"dataframe_records": list(rows)})
    assert answer.status_code == 200, answer.text


def scraped(it: served.Running) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(it.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def test_how_strange_rows_are_is_logged_with_what_makes_them_so(teller, tmp_path):
    with served.running(served.config(teller, tmp_path), tmp_path) as it:
        ask(it, USUAL, USUAL | {"distance": 90_000.0}, USUAL | {"carrier": "ZZ"})
        ask(it, USUAL | {"distance": -5.0})
        rows = logged(tmp_path)
        assert rows["outlier"].to_list()[0] > 0.05
        assert (rows["outlier"].to_numpy() <= 0.001).tolist() == [False, True, True, True]
        assert rows["outlier_columns"].to_list() == [None, ["distance"], ["carrier"], ["distance"]]
        # A rule that half of all rows may break makes none strange.
        ask(it, USUAL | {"hour": 23})
        assert logged(tmp_path)["outlier"][-1] > 0.01
        found = scraped(it)
        assert found["mlops_rows_scored_total"][0].value == 5
        assert found["mlops_outliers_total"][0].value == 3


def test_columns_that_are_not_logged_are_not_named(teller, tmp_path):
    policy = LogPolicy(dropped=("carrier",))
    with served.running(served.config(teller, tmp_path, log=policy), tmp_path) as it:
        ask(it, USUAL | {"carrier": "ZZ"})
        assert logged(tmp_path)["outlier_columns"].to_list() == [[]]
        assert logged(tmp_path)["outlier"][0] <= 0.001


def test_requests_in_one_batch_keep_what_is_said_of_their_rows(teller):
    watch = Watch.of(teller, ["hour", "distance", "carrier"])
    assert watch is not None
    from jupyter_mlops.serving.answers import Answer
    from jupyter_mlops.serving.intake import Rows
    from jupyter_mlops.serving.replies import read_reply

    columns = {
        "hour": np.array([9, 9, 9]),
        "distance": np.array([1000.0, 90_000.0, 1000.0]),
        "carrier": np.array(["AA", "AA", "ZZ"], dtype=object),
    }
    parts = [Rows(2, {n: v[:2] for n, v in columns.items()}),
             Rows(1, {n: v[2:] for n, v in columns.items()})]  # fmt: skip
    told = {"prediction": np.zeros(3), "unusual": watch(columns)}
    first, second = read_reply(parts, told)
    assert isinstance(first, Answer) and isinstance(second, Answer)  # noqa: PT018
    assert first.unusual.reasons == {1: ["distance"]}
    assert second.unusual.reasons == {0: ["carrier"]}
    kept = first.only(np.array([False, True])).unusual
    assert (kept.reasons, len(kept.p)) == ({0: ["distance"]}, 1)
    with pytest.raises(ValueError, match="other rows"):
        read_reply(parts, told | {"unusual": {"p": np.zeros(2), "reasons": {}}})


def test_what_cannot_be_told_fails_no_answer(teller, capsys):
    watch = Watch.of(teller, ["hour", "distance", "carrier"])
    assert watch is not None
    odd = {"hour": np.array([9]), "distance": np.array([{}]), "carrier": np.array(["AA"])}
    assert watch(odd) is None
    assert watch(odd) is None
    assert capsys.readouterr().err.count("outliers can't be told") == 1
    assert Watch.of(teller, ["hour", "distance"]) is None


def test_a_large_batch_is_looked_at_for_a_limited_time(teller):
    usual = Watch.of(teller, ["hour", "distance", "carrier"])
    assert usual is not None
    n = 50_000
    columns = {
        "hour": np.full(n, 9),
        "distance": np.full(n, 1000.0),
        "carrier": np.full(n, "AA", dtype=object),
    }
    hurried = Watch(usual.scorer, a_row=0.0, a_batch=0.0)
    told = hurried(columns)
    assert told is not None
    assert 0 <= np.count_nonzero(~np.isnan(told["p"])) <= 1024
    whole = usual(columns)
    assert whole is not None
    assert not np.isnan(whole["p"]).any()


def test_a_contract_alone_decides_as_the_rule_allows(teller):
    scorer = Watch.of(teller, ["hour", "distance", "carrier"]).scorer  # type: ignore[union-attr]
    watch = Watch(scorer, Expectations(CONTRACT).rules)
    row = {"hour": np.array([9]), "distance": np.array([-1.0]), "carrier": np.array(["AA"])}
    told = watch(row)
    assert told is not None
    assert told["p"][0] <= 1 / 4001
    assert told["reasons"][0][0] == "distance"


def test_a_file_that_is_no_scorer_is_said_and_the_model_is_served(teller, tmp_path):
    import shutil

    folder = tmp_path / "m"
    shutil.copytree(teller, folder)
    (folder / FILE).write_bytes(b"PK no")
    with served.running(served.config(folder, tmp_path), tmp_path) as it:
        ask(it, USUAL)
        assert "outlier" not in logged(tmp_path).columns
    assert "outliers aren't told" in (tmp_path / "log.txt").read_text()


def test_each_version_tells_what_it_takes_and_what_becomes_of_it(teller, tmp_path, monkeypatch):
    fakes = tmp_path / "gpus.json"
    fakes.write_text("[]")
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(fakes))
    with served.running(served.config(teller, tmp_path, replicas=2), tmp_path) as it:
        ask(it, USUAL)
        (first, second) = served.read_state(tmp_path)["versions"][0]["processes"]
        gpu = {"uuid": "GPU-1", "name": "H100", "total": 80_000, "used": 60_000,
               "utilisation": 0.7, "processes": {str(second): 5_000}}  # fmt: skip
        fakes.write_text(json.dumps([gpu, gpu | {"uuid": "GPU-2", "processes": {"1": 9}}]))
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while True:
            state = served.read_state(tmp_path)
            version = state["versions"][0]
            if version["restarts"] == 1 and version["gpu_bytes"] and version["memory_bytes"]:
                break
            assert time.monotonic() < deadline, version
            time.sleep(0.1)
        assert version["gpu_bytes"] == 5_000
        # The GPU that others alone work with isn't this endpoint's.
        (told,) = state["gpus"]
        assert (told["uuid"], told["used"], told["utilisation"]) == ("GPU-1", 60_000, 0.7)
        assert 0 < version["load_seconds"] < 60
        assert version["waiting_rows"] == 0
        found = scraped(it)
        values = {
            name: {tuple(sorted(one.labels.items())): one.value for one in found[name]}
            for name in found
            if name.startswith("mlops_")
        }
        mine = (("version", "3"),)
        assert values["mlops_process_restarts_total"] == {mine: 1}
        assert values["mlops_queue_rows"] == {mine: 0}
        assert values["mlops_queue_limit_rows"][mine] > 0
        assert values["mlops_processes_busy"] == {mine: 0}
        assert values["mlops_model_load_seconds"][mine] == pytest.approx(
            version["load_seconds"], abs=0.01
        )
        assert values["mlops_process_memory_bytes"][mine] > 10_000_000
        assert values["mlops_process_cpu_seconds_total"][mine] > 0
        assert values["mlops_request_seconds_count"] == {mine: 1}
        assert values["mlops_rows_total"] == {mine: 1}
        assert values["mlops_version_ready"] == {mine: 1}
        both = (("gpu", "GPU-1"), ("version", "3"))
        assert values["mlops_process_gpu_memory_bytes"] == {both: 5_000}
        assert values["mlops_gpu_memory_bytes"] == {(("gpu", "GPU-1"),): 60_000}
        assert values["mlops_gpu_memory_total_bytes"] == {(("gpu", "GPU-1"),): 80_000}
        assert values["mlops_gpu_utilisation_ratio"] == {(("gpu", "GPU-1"),): 0.7}
