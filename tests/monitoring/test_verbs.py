"""One endpoint's life: trained, served, asked, told the truth, checked, reported."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops import profiling, serving
from jupyter_mlops.monitoring import bring_up_to_date
from jupyter_mlops.serving.compaction import compact_all
from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, MLOpsError, NotFound, Unavailable, Workspace

BODY = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
prepare = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (StandardScaler(), ["x"])
)
model = make_pipeline(prepare, LogisticRegression()).fit(data[["x", "carrier"]], data["late"])
"""


def flights(rng, n, shift=0.0, start="2013-01-01"):
    x, carrier = rng.normal(shift, 1, n), rng.choice(["AA", "UA"], n)
    late = rng.random(n) < 1 / (1 + np.exp(-x - (carrier == "AA")))
    hours = pd.Timestamp(start) + pd.to_timedelta(np.sort(rng.integers(0, 700, n)), unit="h")
    ids = [f"{start}-{i}" for i in range(n)]
    return pd.DataFrame({"x": x, "carrier": carrier, "late": late, "flight": ids, "at_hour": hours})


class Desk:
    """The verbs of one workspace, as a person calls them."""

    def __init__(self, folder):
        self.ws = Workspace.open(folder)

    def __call__(self, verb, **given):
        return find(verb)(self.ws, **given)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    rng = np.random.default_rng(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
        desk = Desk(tmp_path_factory.mktemp("life"))
        patch.setenv("JUPYTER_MLOPS_WORKSPACE", str(desk.ws.root))
        desk("data add", name="winter", source=flights(rng, 3000)[["x", "carrier", "late"]])
        held_out = flights(rng, 1500)
        desk(
            "train", name="delay", body=BODY, namespace={}, data="winter", target="late",
            valid=held_out,
        )  # fmt: skip
        desk("register", run="delay", name="delay", alias="champion")
        desk("serve", model="delay@champion", key="flight", time="at_hour")
        try:
            for start, shift in (("2013-03-01", 0.0), ("2013-04-01", 1.0)):
                rows = flights(rng, 2000, shift, start)
                desk("call", endpoint="delay", data=rows.drop(columns="late"))
                truth = rows[["flight", "late"]]
                desk("feedback", endpoint="delay", data=truth, truth="late")
            yield desk
        finally:
            desk("stop", endpoint="delay")


def test_a_month_like_the_training_data_is_stable(desk):
    found = desk("drift", endpoint="delay", since="2013-03", until="2013-04")
    assert (found.verdict, found.drifted, found.rows) == ("stable", [], 2000)
    assert found.model == "delay@1"
    assert found.reference == "data:winter@1"
    assert found.performance.rows == 2000
    assert found.performance.reference_rows == 1500
    assert found.performance.verdict == "held"
    assert desk("checks", name=found.ref) == found
    listed = desk("checks", name="delay")
    assert listed.total == len(listed) >= 1
    assert found.ref in {one.ref for one in listed}
    assert desk("checks", name="nobody").total == 0


def test_traffic_is_profiled_week_by_week_and_the_weeks_merge(desk):
    found = desk("profile", source="endpoint:delay", every="1w")
    log = serving.traffic.read(desk.ws, "delay").collect()
    assert list(found.whole.columns) == ["x", "carrier"]
    assert (found.whole.rows, sum(one.rows for one in found.periods)) == (4000, 4000)
    whole = profiling.profile(log.select(x="in.x", carrier="in.carrier").lazy())
    merged = found.whole.columns
    assert merged["x"].moments.mean == pytest.approx(whole.columns["x"].moments.mean)
    assert merged["carrier"].values.top() == whole.columns["carrier"].values.top()
    # March is colder and April warmer than both together: whole weeks differ, and only in x.
    weeks = [list(one.apart) for one in found.periods if one.rows > 400]
    assert weeks == [["x"]] * 7
    assert found.periods[0].start == datetime(2013, 2, 25, tzinfo=UTC)
    # What they merge to is kept like any profile.
    assert profiling.get(desk.ws, found.whole.id).rows == 4000
    made = desk.ws.events(kind="profile.made")[-1]
    assert list(made.inputs) == ["endpoint:delay"]


def test_the_newest_traffic_is_profiled_hour_by_hour_and_shown_everywhere(desk):
    line = "profile endpoint:delay --window 7d --every 1h"
    asked = parse(line.split())
    found = asked.verb(desk.ws, **asked.arguments)
    days = {one.start.date().isoformat() for one in found.periods}
    assert max(days) == "2013-04-30"
    assert len(days) in (7, 8)
    # Hours of a few rows each differ by chance alone.
    assert sum(bool(one.apart) for one in found.periods) == 0
    bundle = mimebundle(found)
    text = bundle["text/plain"]
    assert len(text.splitlines()) <= 15
    assert "No period differs from the whole by more than chance." in text
    assert "Periods" in bundle["text/html"]
    shown = bundle["application/vnd.jupyter-mlops.profile.v1+json"]
    assert shown["line"] == f"%mlops {line}"
    assert max(len(str(one)) for one in bundle.values()) < 200_000
    alone = desk("profile", source="endpoint:delay", window="7d")
    assert (alone.rows, alone.label) == (found.whole.rows, "endpoint:delay · last 7d")


def test_traffic_stands_beside_what_the_model_was_trained_on(desk):
    found = desk("profile", source="endpoint:delay", against="winter")
    assert found.only_here == []
    assert found.only_there == ["late"]
    assert found.distances["x"] > 0.15 > found.distances["carrier"]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"source": "endpoint:dely"}, NotFound, "did you mean 'delay'"),
        ({"source": "winter", "every": "1h"}, Invalid, "no column of times is known"),
        ({"source": "winter", "window": "7d"}, Invalid, "no column of times is known"),
        ({"source": "endpoint:delay", "every": "soon"}, Invalid, "'soon' is no length of time"),
        ({"source": "endpoint:delay", "window": "soon"}, Invalid, "'soon' is no length of time"),
        ({"source": "endpoint:delay", "every": "1h", "against": "winter"}, Invalid, "periods are"),
    ],
)
def test_what_cant_be_profiled_by_time_is_one_sentence(desk, given, kind, message):
    with pytest.raises(kind, match=message):
        desk("profile", **given)


def test_the_warmer_month_moved_and_its_report_has_the_same_verdict(desk):
    desk("drift", endpoint="delay", since="2013-03", until="2013-04")
    found = desk("drift", endpoint="delay")
    assert found.rows == 2000
    assert found.verdict == "inputs moved"
    assert found.drifted == ["x"]
    report = desk("report", ref=found.ref)
    assert report.file.stat().st_size == report.size > 1_000_000
    assert desk("report", ref="delay") == report == desk("report", ref=report.ref)
    assert list(desk("reports", endpoint="delay")) == [report]

    from jupyter_mlops.monitoring.evidently_report import drifted_columns

    snapshot = desk.ws.reports.read_bytes(f"{report.id}.json").decode()
    assert drifted_columns(snapshot) == {"x": True, "carrier": False}


def test_against_other_rows_with_the_report_at_once(desk):
    summer = flights(np.random.default_rng(9), 2000, 1.0)
    found = desk(
        "drift", endpoint="delay", window="30d", against=summer[["x", "carrier"]], report=True
    )
    assert found.drifted == []
    assert found.report_id is not None
    again = desk("drift", endpoint="delay", window="30d", against=summer[["x", "carrier"]])
    with pytest.raises(Unavailable, match="draw the report together with the check"):
        desk("report", ref=again.ref)


def test_against_earlier_traffic_by_month_or_by_season_with_its_report(desk):
    found = desk(
        "drift", endpoint="delay", since="2013-04", until="2013-05", against="traffic:2013-03"
    )
    assert (found.reference, found.reference_rows) == ("traffic:2013-03-01..2013-04-01", 2000)
    assert found.drifted == ["x"]
    assert found.joint.verdict == "drifted"
    (cause,) = found.causes
    assert f"{cause.since:%Y-%m-%d}" == "2013-04-01"
    assert found.loss is not None
    assert cause.loss is not None
    assert desk("report", ref=found.ref).file.stat().st_size > 1_000_000
    weeks = desk("drift", endpoint="delay", window="7d", season="week")
    assert weeks.verdict == "stable"
    assert "compared with the same hours of the weeks before" in weeks.notices
    asked = parse(["drift", "delay", "--window", "7d", "--season", "auto"])
    assert asked.verb(desk.ws, **asked.arguments).reference == weeks.reference
    with pytest.raises(NotFound, match="no traffic of the same weeks of the year before"):
        desk("drift", endpoint="delay", window="7d", season="year")
    with pytest.raises(Invalid, match="--season year compares with earlier traffic, and not with"):
        desk("drift", endpoint="delay", against="winter", season="year")


def test_performance_by_week_with_and_without_truth_and_by_segment(desk):
    asked = parse(["performance", "delay", "--every", "7d", "--by", "carrier"])
    found = asked.verb(desk.ws, **asked.arguments)
    assert (found.rows, found.answered) == (4000, 4000)
    assert found.model == "delay@1"
    assert found.calibration.rows == 1500
    inside, of = found.tracked["log_loss"]
    assert inside >= of - 2 >= 4
    assert {one.name for one in found.segments.items} == {"AA", "UA"}
    bundle = mimebundle(found)
    assert "Estimates held" in bundle["text/html"]
    shown = bundle["application/vnd.jupyter-mlops.performance.v1+json"]
    assert shown["line"].startswith("%mlops performance delay --every 7d --by carrier")
    again = parse(shown["line"].split()[1:])
    assert again.verb(desk.ws, **again.arguments).periods == found.periods


def test_skew_by_distribution_and_by_replay_leaves_no_trace_in_the_traffic(desk):
    before = serving.traffic.read(desk.ws, "delay").collect().height
    found = desk("skew", endpoint="delay", until="2013-04", replay=200)
    assert found.key is None
    assert any("'flight'" in one for one in found.notices)
    assert found.replay.rows == 200
    assert found.replay.differing == 0
    assert found.verdict == "same"
    assert "all 200 training rows were answered as the model answers itself" in found.sentence
    assert desk("skew show", ref="delay") == found == desk("skew show", ref=found.ref)
    assert serving.traffic.read(desk.ws, "delay").collect().height == before


def test_skew_row_by_row_finds_the_column_that_is_served_otherwise(desk):
    logged = serving.traffic.read(desk.ws, "delay").collect()
    trained = logged.select(flight="key", x=pl.col("in.x") * 60, carrier="in.carrier")
    found = desk("skew", endpoint="delay", against=trained)
    assert (found.key, found.rows, found.skewed) == ("flight", 4000, ["x"])
    assert found.feature("x").rule == "served = 0.0166667 × trained"


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"endpoint": "dely"}, NotFound, "did you mean 'delay'"),
        ({"endpoint": "delay", "since": "2015"}, NotFound, "no traffic in the window 2015-01-01"),
        ({"endpoint": "delay", "since": "soon"}, Invalid, "'soon' is no time"),
        ({"endpoint": "delay", "window": "a while"}, Invalid, "is no length of time"),
        ({"endpoint": "delay", "against": "nothing"}, MLOpsError, "nothing"),
    ],
)
def test_what_cant_be_done_is_one_sentence(desk, given, kind, message):
    with pytest.raises(kind, match=message):
        desk("drift", **given)


def test_large_windows_are_read_from_profiles_that_are_kept_when_the_log_is_compacted(
    desk, monkeypatch
):
    read = desk("drift", endpoint="delay", since="2013-04", until="2013-05")
    assert read.source == "2,000 rows"
    desk("stop", endpoint="delay")
    # Its last segment is closed when its process has ended.
    deadline = time.monotonic() + 60
    while list((traffic_folder(desk.ws, "delay") / FRESH).glob("*")):
        assert time.monotonic() < deadline, "the log's last segment was never closed"
        compact_all(desk.ws)
        time.sleep(0.1)
    bring_up_to_date(desk.ws, "delay")
    monkeypatch.setattr(sys.modules["jupyter_mlops.monitoring.drift"], "FROM_PROFILES", 1000)
    for against in (None, "traffic:2013-03"):
        kept = desk("drift", endpoint="delay", since="2013-04", until="2013-05", against=against)
        assert "kept profiles" in kept.source
        assert (kept.rows, kept.drifted, kept.verdict) == (2000, ["x"], read.verdict)
        assert [one.verdict for one in kept.predictions] == [
            one.verdict for one in read.predictions
        ]
        assert kept.performance == read.performance
        assert [f"{one.since:%Y-%m-%d}" for one in kept.causes] == ["2013-04-01"]
