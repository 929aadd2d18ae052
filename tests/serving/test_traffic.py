"""Reading traffic while it is written and moved, and joining the truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import served

from jupyter_mlops import data, serving
from jupyter_mlops.monitoring.truth import join_truth
from jupyter_mlops.serving import compaction, traffic
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.modelfile import directory_digest, read_model_file
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.serving.predictor import Answer
from jupyter_mlops.serving.trafficlog import Logged, TrafficLog
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, Workspace


@dataclass
class Version:
    folder: Path
    digest: str
    version: int = 1
    name: str = "delay"
    run_id: str = "r" * 32
    ref: str = "model:delay@1"

    def path(self, ws: Workspace) -> Path:
        return self.folder


@pytest.fixture
def workspace(tmp_path: Path, model: Path) -> Workspace:
    """A workspace with an endpoint declared, and nobody to run it."""
    ws = Workspace.open(tmp_path, agent_start=False)
    serving.declare(ws, Version(model, directory_digest(model)), key="flight", time="when")
    return ws


def write(ws: Workspace, model: Path, version: str, keys: list[str], start: str) -> list[str]:
    """Log predictions as the endpoint's process does; return their ids."""
    fields = read_model_file(model).fields
    log = TrafficLog(
        traffic_folder(ws, "delay"),
        fields,
        labels=[False, True],
        many=False,
        about={"version": version},
    )
    times = pd.date_range(start, periods=len(keys), freq="D").strftime("%Y-%m-%dT%H:%M:%S")
    table: dict[str, Any] = served.flights(len(keys)).to_dict(orient="list")
    rows = Intake(fields, key="flight", time="when").columns(
        {**table, "flight": keys, "when": list(times)}, len(keys)
    )
    ids = [f"v{version}-{key}" for key in keys]
    answer = Answer(np.zeros(len(keys), bool), np.linspace(0, 1, len(keys)))
    log.append([[Logged("request", ids, rows, answer)]])
    log.close()
    return ids


def test_every_row_is_read_once_before_during_and_after_compaction(
    workspace: Workspace, model: Path
) -> None:
    ws = workspace
    assert traffic.read(ws, "delay").collect().is_empty()
    ids = write(ws, model, "1", ["a", "b", "c"], "2013-03-01")
    ids += write(ws, model, "2", ["d"], "2013-04-01")
    hot = traffic.read(ws, "delay").sort("prediction_id").collect()
    assert hot["prediction_id"].to_list() == ids
    assert hot["version"].to_list() == ["1", "1", "1", "2"]

    kept = {p.name: p.read_bytes() for p in (traffic_folder(ws, "delay") / "hot").iterdir()}
    assert compaction.compact_all(ws) == 2
    cold = traffic.read(ws, "delay").sort("prediction_id").collect()
    assert cold.equals(hot)
    # A crash between the two steps leaves both: still each row once.
    for name, content in kept.items():
        (traffic_folder(ws, "delay") / "hot" / name).write_bytes(content)
    assert traffic.read(ws, "delay").collect().height == 4
    assert compaction.compact_all(ws) == 2
    assert traffic.read(ws, "delay").sort("prediction_id").collect().equals(hot)


def test_a_window_is_cut_by_event_time(workspace: Workspace, model: Path) -> None:
    write(workspace, model, "1", ["a", "b", "c"], "2013-03-30")
    april = datetime(2013, 4, 1, tzinfo=UTC)
    assert traffic.read(workspace, "delay", until=april).collect()["key"].to_list() == ["a", "b"]
    assert traffic.read(workspace, "delay", since=april).collect()["key"].to_list() == ["c"]
    naive = april.replace(tzinfo=None)
    assert traffic.read(workspace, "delay", since=naive).collect()["key"].to_list() == ["c"]
    assert traffic.read(workspace, "delay").collect_schema() == {
        "prediction_id": pl.String(),
        "request_id": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "event_time": pl.Datetime("us", "UTC"),
        "key": pl.String(),
        "caller": pl.String(),
        "version": pl.String(),
        "share": pl.Float64(),
        "prediction": pl.Boolean(),
        "probability": pl.Float64(),
        "in.hour": pl.Int64(),
        "in.distance": pl.Float64(),
        "in.carrier": pl.String(),
    }


def truth(ws: Workspace, frame: pd.DataFrame) -> serving.Feedback:
    return serving.feedback.add(ws, "delay", data.resolve(ws, frame), "late")


def known(ws: Workspace) -> dict[str, Any]:
    rows = serving.feedback.read(ws, "delay").collect()
    return dict(zip(rows["prediction_id"], rows["truth"], strict=True))


def test_truth_is_joined_by_key_or_id_once_and_the_last_counts(
    workspace: Workspace, model: Path
) -> None:
    ws = workspace
    assert known(ws) == {}
    early = truth(ws, pd.DataFrame({"flight": ["a", "z"], "late": [True, True]}))
    assert (early.rows, early.matched, early.total) == (2, 0, 0)
    ids = write(ws, model, "1", ["a", "b", "c"], "2013-03-01")
    assert known(ws) == {ids[0]: True}

    batch = pd.DataFrame({"flight": ["b", "c"], "late": [False, None]})
    first = truth(ws, batch)
    assert (first.rows, first.matched, first.empty, first.known) == (1, 1, 1, False)
    assert (first.total, first.predictions) == (2, 3)
    again = truth(ws, batch)
    assert again.known
    assert again.total == 2

    truth(ws, pd.DataFrame({"prediction_id": [ids[0], ids[2]], "late": [False, True]}))
    assert known(ws) == {ids[0]: False, ids[1]: False, ids[2]: True}
    corrected = serving.feedback.read(ws, "delay").filter("corrected").collect()
    assert corrected["prediction_id"].to_list() == [ids[0]]
    _, count = join_truth(
        traffic.read(ws, "delay").collect(), serving.feedback.read(ws, "delay").collect()
    )
    assert count == 1
    kinds = [event.kind for event in ws.events()]
    assert kinds == ["endpoint.declared"] + ["feedback.received"] * 3

    both = truth(ws, pd.DataFrame({"flight": ["b", "b", "c"], "late": [False, True, True]}))
    assert (both.conflicting, both.rows) == (1, 3)
    assert known(ws)[ids[1]] is True
    text = mimebundle(both)["text/plain"]
    assert "1 prediction has several truths in these rows; the last one counts." in text


def test_truth_that_cannot_be_joined_is_told(workspace: Workspace) -> None:
    with pytest.raises(Invalid, match=r"the truth has no column 'late'.*it has flight, delayed"):
        truth(workspace, pd.DataFrame({"flight": ["a"], "delayed": [True]}))
    with pytest.raises(Invalid, match="it needs a column 'prediction_id' or 'flight'"):
        truth(workspace, pd.DataFrame({"flights": ["a"], "late": [True]}))
    with pytest.raises(Invalid, match="row 1 of the truth names no prediction"):
        truth(workspace, pd.DataFrame({"flight": ["a", None], "late": [True, False]}))
    assert not (workspace.home / "traffic" / "delay" / "feedback").exists()


def test_a_table_without_the_key_is_told_before_it_is_sent(workspace: Workspace) -> None:
    from jupyter_mlops.serving.calling import _columns

    endpoint = serving.get(workspace, "delay")
    table = served.flights(2).rename(columns={"distance": "distanse"})
    table["flight"] = table["when"] = ""
    with pytest.raises(Invalid, match=r"no column 'distance'.*did you mean 'distanse'"):
        _columns(endpoint, data.resolve(workspace, table))
    with pytest.raises(Invalid, match=r"no column 'flight'.*logs it as its key"):
        _columns(endpoint, data.resolve(workspace, served.flights(2)))


def test_the_models_room_and_this_one_agree_on_the_digest(model: Path) -> None:
    from jupyter_mlops.models.folder import folder_digest

    assert directory_digest(model) == folder_digest(model)
