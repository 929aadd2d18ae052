"""What is logged, and how: declared, kept, and told where something is lost by it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import served
from batching import Version
from recorded import Asked, declare, record, truth

from jupyter_mlops import serving
from jupyter_mlops.serving import compaction, traffic
from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.metrics import LogTally
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.places import hash_key_path, traffic_folder
from jupyter_mlops.serving.pseudonyms import HASHED, Pseudonyms
from jupyter_mlops.serving.recording import Recorder
from jupyter_mlops.serving.streaming.redaction import Redaction
from jupyter_mlops.serving.trafficlog import TrafficLog
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace


@pytest.fixture
def ws(tmp_path: Path, model: Path) -> Workspace:
    """A workspace with an endpoint declared, and nobody to run it."""
    ws = Workspace.open(tmp_path, agent_start=False)
    serving.declare(ws, Version.of(model), key="flight")
    return ws


def test_what_is_declared_is_kept_until_it_is_declared_otherwise(
    ws: Workspace, model: Path
) -> None:
    assert serving.get(ws, "delay").log == LogPolicy()
    policy = declare(
        ws, model, redact=["carrier", "hash:flight"], log_sample="10%", keep="90d,50GB"
    )
    assert policy == LogPolicy("required", ("carrier",), ("flight",), 0.1, 90 * 86_400, 50 * 10**9)
    assert policy.words() == (
        "10% of the rows, each before it is answered; without carrier; flight as a hash; "
        "kept for 90 days, at most 50 GB"
    )
    generation = serving.declare(ws, Version.of(model))
    assert declare(ws, model) == policy
    assert serving.declare(ws, Version.of(model), contract="off") == generation + 1
    assert declare(ws, model, log="best-effort").sample == 0.1
    assert declare(
        ws, model, redact=["off"], log_sample="100%", keep="forever", log="required"
    ) == (LogPolicy())
    told = [e.payload.get("log") for e in ws.events() if e.kind == "endpoint.declared"]
    assert told[1] == policy.as_dict()
    assert told[-1] is None
    assert stat.S_IMODE(hash_key_path(ws).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"redact": ["flight"]}, "column 'flight' is the endpoint's key and can't be left out"),
        ({"redact": ["carier"]}, "the endpoint takes no column 'carier'.*did you mean 'carrier'"),
        ({"redact": ["hour", "hash:hour"]}, "column 'hour' can't be left out and hashed, too"),
        ({"redact": ["hash:hour"], "time": "hour"}, "is the endpoint's time and can't be hashed"),
        ({"log_sample": "0%"}, "'0%' of the rows can't be logged"),
        ({"log_sample": "a few"}, "'a few' of the rows can't be logged"),
        ({"keep": "a while"}, "the log can't be kept for 'a while'"),
        ({"keep": "9d,8d"}, "the log can't be kept for '9d,8d'"),
    ],
)
def test_what_could_not_be_kept_is_refused_and_changes_nothing(
    ws: Workspace, model: Path, more: dict[str, Any], sentence: str
) -> None:
    before = serving.get(ws, "delay")
    with pytest.raises(Invalid, match=sentence):
        declare(ws, model, **more)
    assert serving.get(ws, "delay") == before


def test_a_key_that_is_left_out_of_the_log_cannot_become_the_key(
    ws: Workspace, model: Path
) -> None:
    declare(ws, model, redact=["carrier"])
    with pytest.raises(Invalid, match="column 'carrier' is the endpoint's key"):
        declare(ws, model, key="carrier")


def test_redacted_columns_are_left_out_or_hashed_and_readers_know(
    ws: Workspace, model: Path
) -> None:
    record(ws, model, ["AA1"])
    assert traffic.hidden(ws, "delay") == set()
    declare(ws, model, redact=["carrier", "hash:flight", "hash:hour"])
    record(ws, model, ["AA1"])
    for _ in range(2):
        rows = traffic.read(ws, "delay").sort("at").collect()
        assert rows["in.carrier"].to_list()[1] is None
        assert rows["in.carrier"].to_list()[0] is not None
        plain, hashed = rows["in.hour"].to_list()
        assert Pseudonyms.read(hash_key_path(ws)).of(int(plain)) == hashed
        assert rows["key"].to_list()[0] == "AA1"
        assert rows["key"].to_list()[1].startswith(HASHED)
        assert traffic.hidden(ws, "delay") == {"carrier", "flight", "hour"}
        compaction.compact_all(ws)
    # Once it is declared otherwise, what was hidden before is still hidden.
    declare(ws, model, redact=["off"])
    assert traffic.hidden(ws, "delay") == {"carrier", "flight", "hour"}


def test_columns_of_doubles_are_redacted_as_others_are(tmp_path: Path) -> None:
    table = served.flights()[["distance"]].assign(weight=1.0)
    model = served.save_model(tmp_path / "m", table, (table["distance"] > 1000).to_numpy())
    fields = read_model_file(model).fields
    rows = Intake(fields).columns({"distance": [1.0, 2.0], "weight": [3.0, 4.0]}, 2)
    assert rows.block is not None
    log = TrafficLog(
        tmp_path / "t", fields, labels=[False, True], many=False, about={"version": "3"},
        policy=LogPolicy(dropped=("distance",)),
    )  # fmt: skip
    answer = Answer(np.zeros(2, bool), np.zeros(2))
    Recorder(log, LogTally()).write([([Asked("r", rows)], [answer])])
    log.close()
    from jupyter_mlops.serving.journal import read_segment

    found = read_segment(next((tmp_path / "t" / "hot").iterdir())).table
    assert found["in.weight"].to_pylist() == [3.0, 4.0]
    assert "in.distance" not in found.column_names


def test_truth_by_a_hashed_key_joins_what_was_logged_before_and_after(
    ws: Workspace, model: Path
) -> None:
    before = record(ws, model, ["early", "both"])
    truth(ws, pd.DataFrame({"flight": ["late", "both"], "late": [True, True]}))
    declare(ws, model, redact=["hash:flight"])
    after = record(ws, model, ["both", "late"])
    batch = pd.DataFrame({"flight": ["early", "nobody"], "late": [False, True]})
    told = truth(ws, batch)
    assert (told.rows, told.matched, told.unlogged, told.total) == (2, 1, 0, 4)
    assert truth(ws, batch).known
    rows = serving.feedback.read(ws, "delay").collect()
    assert dict(zip(rows["prediction_id"], rows["truth"], strict=True)) == {
        before[0]: False, before[1]: True, after[0]: True, after[1]: True,
    }  # fmt: skip
    written = [ws.traffic.read_bytes(key) for key in ws.traffic.list("delay/feedback")]
    frames = [pl.read_parquet(content) for content in written]
    assert all(key.startswith(HASHED) for key in frames[1]["key"])
    assert "early" not in json.dumps([event.payload for event in ws.events()])
    hash_key_path(ws).unlink()
    with pytest.raises(Unavailable, match="the key of the log's hashes cannot be read"):
        truth(ws, batch)


def test_a_sample_is_the_same_keys_each_time_and_says_what_it_left_out(
    ws: Workspace, model: Path
) -> None:
    declare(ws, model, log_sample="25%")
    keys = [f"k{n}" for n in range(400)]
    tally = LogTally()
    first, second = (record(ws, model, keys, tally) for _ in range(2))
    kept = [not id_.endswith("u") for id_ in first]
    assert kept == [not id_.endswith("u") for id_ in second]
    assert 60 < sum(kept) < 140
    assert (tally.logged, tally.sampled_out, tally.unlogged) == (
        2 * sum(kept), 2 * (400 - sum(kept)), 0,
    )  # fmt: skip
    rows = traffic.read(ws, "delay").collect()
    assert set(rows["prediction_id"]) == {i for i in first + second if not i.endswith("u")}
    assert rows["share"].unique().to_list() == [0.25]
    # Values stay with their rows.
    chosen = served.flights(400)["distance"][kept].tolist()
    assert sorted(rows["in.distance"]) == sorted(chosen * 2)
    assert (rows["prediction"] == (rows["probability"] > 0.5)).all()

    by_key = truth(ws, pd.DataFrame({"flight": [*keys, "k9999"], "late": True}))
    assert by_key.matched == sum(kept)
    left = sum(not serving.get(ws, "delay").log.samples(k) for k in [*keys, "k9999"])
    assert by_key.unlogged == left
    by_id = truth(ws, pd.DataFrame({"prediction_id": first, "late": True}))
    assert (by_id.matched, by_id.unlogged) == (sum(kept), 400 - sum(kept))
    text = mimebundle(by_id)["text/plain"]
    assert f"{400 - sum(kept)} rows belong to predictions that were answered and not logged" in text
    assert "25% of the rows" in text
    # Without a key, a request is logged as a whole or not at all.
    halves = [LogPolicy(sample=0.5).samples(f"request-{n}") for n in range(1000)]
    assert 430 < sum(halves) < 570


def test_with_the_log_off_nothing_is_written_and_it_is_said(ws: Workspace, model: Path) -> None:
    declare(ws, model, log="off")
    tally = LogTally()
    ids = record(ws, model, ["a", "b"], tally)
    assert (tally.off, tally.logged) == (2, 0)
    assert not (traffic_folder(ws, "delay") / "hot").exists()
    told = truth(ws, pd.DataFrame({"prediction_id": ids, "late": [True, False]}))
    assert (told.matched, told.unlogged) == (0, 2)
    shown = mimebundle(serving.get(ws, "delay"))["text/plain"]
    assert "Nothing is logged: feedback can't be joined, and no drift, skew" in shown
    assert "Log: off: nothing is written down" in shown
    assert "off: nothing is written down" in mimebundle(serving.list_endpoints(ws))["text/html"]


def test_a_check_of_drift_leaves_out_what_the_log_redacts(ws: Workspace, model: Path) -> None:
    from jupyter_mlops.monitoring.served import logged_of

    declare(ws, model, redact=["carrier"])
    record(ws, model, ["a"])
    found = serving.get(ws, "delay")
    told = logged_of(ws, found, {"features": ["hour", "distance", "carrier"]})
    assert told["features"] == ["hour", "distance"]
    assert told["notices"] == ["carrier can't be compared: the endpoint's log redacts it"]


def test_a_dead_letter_holds_no_more_than_the_log_would(ws: Workspace, model: Path) -> None:
    plain = Redaction.of(ws, serving.get(ws, "delay"))
    payload = b'{"flight": "UA1", "carrier": "UA", "hour": "seven"}'
    assert plain.letter("UA1", payload) == ("UA1", payload.decode())
    declare(ws, model, redact=["carrier", "hash:flight"])
    redaction = Redaction.of(ws, serving.get(ws, "delay"))
    key, text = redaction.letter("UA1", payload)
    assert json.loads(text) == {"flight": key, "hour": "seven"}
    assert key is not None
    assert key.startswith(HASHED)
    assert "UA" not in redaction.letter("UA1", b'{"carrier": "UA", ')[1]
    assert "UA" not in redaction.letter(None, {"carrier": "UA", "hour": 1})[1]
