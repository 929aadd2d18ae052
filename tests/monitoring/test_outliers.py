"""The strangest rows of an endpoint, rows for a person to look at, and files for Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from jupyter_mlops import labeling, models, serving
from jupyter_mlops.models.outliers import FILE
from jupyter_mlops.monitoring.picking import pick
from jupyter_mlops.monitoring.scraping import FILES
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, Workspace

BODY = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
prepare = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (StandardScaler(), ["x", "y"])
)
model = make_pipeline(prepare, LogisticRegression()).fit(data[["x", "y", "carrier"]], data["late"])
"""


def flights(seed, n, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, n)
    return pd.DataFrame(
        {
            "x": x,
            "y": x + rng.normal(0, 0.2, n),
            "carrier": rng.choice(["AA", "UA"], n),
            "late": rng.random(n) < 1 / (1 + np.exp(-x)),
            "flight": [f"{seed}-{i}" for i in range(n)],
        }
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
        ws = Workspace.open(tmp_path_factory.mktemp("strange"))
        patch.setenv("JUPYTER_MLOPS_WORKSPACE", str(ws.root))

        def desk(verb, **given):
            return find(verb)(ws, **given)

        desk.ws = ws
        desk("data add", name="winter", source=flights(1, 4000).drop(columns="flight"))
        desk("train", name="delay", body=BODY, namespace={}, data="winter", target="late")
        desk("register", run="delay", name="delay", alias="champion")
        desk("serve", model="delay@champion", key="flight")
        rows = flights(2, 3000).drop(columns="late")
        rows.loc[7, "x"] = 40.0
        rows.loc[8, ["x", "y"]] = [2.0, -2.0]
        rows.loc[9, "carrier"] = "ZZ"
        try:
            desk("call", endpoint="delay", data=rows)
            yield desk
        finally:
            desk("stop", endpoint="delay")


def test_the_scorer_is_one_of_the_models_files_from_registration_on(desk):
    version = models.get(desk.ws, "delay@champion")
    assert (version.path(desk.ws) / FILE).is_file()
    (event,) = desk.ws.events(kind="model.registered", subject=version.ref)
    assert event.payload["outliers"] == {"rows": 4000, "columns": 3}
    # Registered again, under another name: the same files, and the same digest.
    again = desk("register", run="delay", name="late")
    assert again.digest == version.digest


def test_the_strangest_rows_come_first_with_their_reasons(desk):
    found = desk("outliers", endpoint="delay", count=10)
    assert (found.rows, found.scored, len(found)) == (3000, 3000, 10)
    told = {row["key"]: row["outlier_columns"] for row in found.rows_found.to_dicts()}
    assert list(told)[:2] == ["2-7", "2-8"] or list(told)[:2] == ["2-8", "2-7"]
    assert set(told["2-8"]) == {"x", "y"}
    assert told["2-9"] == ["carrier"]
    assert found.frame["outlier"].is_monotonic_increasing
    assert list(found.frame.columns[:1]) == ["prediction_id"]
    # Three were planted; of 3,000 rows as in training about three are outliers anyhow.
    assert 3 <= found.outliers <= 15
    assert not found.too_many
    assert found.columns["x"] >= 2
    text = mimebundle(found)["text/plain"]
    assert "no more than chance explains" in text
    assert "carrier: ZZ" in mimebundle(found)["text/html"]


def test_a_window_without_traffic_and_a_count_that_makes_no_sense_are_refused(desk):
    with pytest.raises(Invalid, match="nothing is logged in that time"):
        desk("outliers", endpoint="delay", until="2001-01")
    with pytest.raises(Invalid, match="ask for 1 to"):
        desk("outliers", endpoint="delay", count=0)


def test_rows_are_picked_for_a_person_each_way_in_turn(desk):
    strange = pick(desk.ws, "delay", ["strange"], 8)
    assert {"2-7", "2-8", "2-9"} <= set(strange["key"])
    assert strange["score"].is_sorted(descending=True)
    unsure = pick(desk.ws, "delay", ["uncertain"], 20)
    margins = (2 * unsure["probability"] - 1).abs()
    assert margins.max() < 0.05
    both = pick(desk.ws, "delay", ["strange", "uncertain"], 6)
    assert both["prediction_id"].n_unique() == both.height == 6
    assert both["picked"].to_list()[:2] == [["strange"], ["uncertain"]]
    assert {"in.x", "in.carrier", "event_time", "version"} <= set(both.columns)


def test_rows_of_what_drifted_are_picked_once_a_check_has_found_it(desk):
    with pytest.raises(Invalid, match="it was never checked"):
        pick(desk.ws, "delay", ["drifted"], 5)
    warm = flights(3, 3000, shift=2.0).drop(columns="late")
    desk("call", endpoint="delay", data=warm)
    assert {"x", "y"} <= set(desk("drift", endpoint="delay").drifted)
    picked = pick(desk.ws, "delay", ["drifted"], 100)
    # What became more frequent is what is large.
    assert picked["in.x"].min() > 1.5
    found = desk("outliers", endpoint="delay")
    assert found.too_many
    assert "more than chance explains" in found.sentence


@pytest.mark.parametrize(
    ("how", "count"), [(["odd"], 5), ([], 5), (["strange"], 0), (["strange"], 10**9)]
)
def test_what_cannot_be_picked_is_refused(desk, how, count):
    with pytest.raises(Invalid, match="can't be picked"):
        pick(desk.ws, "delay", how, count)


def test_a_model_without_data_is_registered_and_it_is_said_why_nothing_is_told(desk):
    frame = flights(4, 500)
    desk("train", name="bare", body=BODY, namespace={"data": frame}, target="late")
    version = desk("register", run="bare", name="bare")
    assert not (version.path(desk.ws) / FILE).exists()
    desk("serve", model="bare")
    try:
        desk("call", endpoint="bare", data=frame[["x", "y", "carrier"]].head(5))
        with pytest.raises(Invalid, match="bare@1 can't tell: it was trained without --data"):
            desk("outliers", endpoint="bare")
    finally:
        desk("stop", endpoint="bare")


def test_a_cell_that_makes_other_columns_of_its_data_gets_no_scorer(desk):
    body = BODY.replace('data[["x", "y", "carrier"]]', "made").replace("prepare =", MADE, 1)
    desk("train", name="made", body=body, namespace={}, data="winter", target="late")
    version = desk("register", run="made", name="made")
    (event,) = desk.ws.events(kind="model.registered", subject=version.ref)
    missing = event.payload["outliers"]["missing"]
    assert missing == "the model's example rows aren't like those of data:winter@1"


MADE = """made = data[["x", "y", "carrier"]].assign(x=1000 + 5 * data["x"])
prepare ="""


def metrics_of(desk):
    (endpoint,) = [one for one in find("endpoints")(desk.ws) if one.name == "delay"]
    token = endpoint.token_path.read_text().strip()
    request = urllib.request.Request(
        f"{endpoint.url}/metrics", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()} | {
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")
    }


def test_prometheus_and_grafana_get_what_endpoints_tell(desk, tmp_path):
    folder = tmp_path / "watch"
    found = desk("monitor export", folder=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == sorted(["prometheus.yml", *FILES])
    assert "delay" in found.endpoints
    told = yaml.safe_load((folder / "prometheus.yml").read_text())
    (job,) = [one for one in told["scrape_configs"] if one["job_name"] == "endpoint-delay"]
    assert job["static_configs"][0]["labels"] == {"endpoint": "delay"}
    known = metrics_of(desk)
    dashboard = json.loads((folder / "dashboard.json").read_text())
    asked = [one["expr"] for panel in dashboard["panels"] for one in panel["targets"]]
    rules = yaml.safe_load((folder / "alerts.yml").read_text())
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    names = {name for expr in asked for name in re.findall(r"\bmlops_\w+", expr)}
    assert len(names) > 15
    # Families without a sample, such as GPUs where there are none, are told by their type.
    counted = {name.removesuffix("_total") for name in known} | known
    assert {name for name in names if name.removesuffix("_total") not in counted} == set()
    assert "mlops_model_info" in known
    assert "dashboard.json" in mimebundle(found)["text/plain"]
    # Again: the files are ours. Another's are left alone.
    desk("monitor export", folder=str(folder))
    (folder / "prometheus.yml").write_text("global: {}\n")
    with pytest.raises(Conflict, match="another's"):
        desk("monitor export", folder=str(folder))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't installed")
def test_promtool_finds_nothing_wrong(desk, tmp_path):
    desk("monitor export", folder=str(tmp_path))
    for kind, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            ["promtool", "check", kind, str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus isn't installed")
def test_a_real_prometheus_scrapes_the_endpoint_and_understands_the_dashboard(desk, tmp_path):
    desk("monitor export", folder=str(tmp_path))
    config = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={address}"],
            stdout=log, stderr=log,
        )  # fmt: skip

    def asked(expr):
        query = urllib.parse.urlencode({"query": expr})
        with urllib.request.urlopen(f"http://{address}/api/v1/query?{query}", timeout=60) as it:
            told = json.load(it)
        assert told["status"] == "success", expr
        return told["data"]["result"]

    def up():
        try:
            return any(one["value"][1] == "1" for one in asked('up{endpoint="delay"}'))
        except OSError:
            return False

    try:
        deadline = time.monotonic() + 60
        while not up():
            assert time.monotonic() < deadline, (tmp_path / "log.txt").read_text()
            time.sleep(0.2)
        (info,) = asked('mlops_model_info{endpoint="delay"}')
        assert info["metric"]["exported_endpoint"] == "delay"
        dashboard = json.loads((tmp_path / "dashboard.json").read_text())
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expr = target["expr"].replace("$endpoint", "delay")
                asked(expr.replace("$__rate_interval", "1m"))
        assert asked("mlops_version_ready")[0]["metric"]["endpoint"] == "delay"
    finally:
        process.terminate()
        process.wait(60)


def test_strange_rows_are_asked_of_people_whose_labels_come_back_as_truth(desk):
    line = {"task": "odd", "from_": "endpoint:delay", "pick": ["strange"]}
    desk("label", **line, count=8)
    task = labeling.get(desk.ws, "odd")
    assert (task.kind, task.answer, task.classes) == ("row", "class", ("False", "True"))
    assert task.counts.total == 8
    picked = pick(desk.ws, "delay", ["strange"], 8)
    # The same line goes on with the same rows, whatever was served meanwhile.
    desk("label", **line, count=500)
    assert labeling.get(desk.ws, "odd").counts.total == 8
    with pytest.raises(Invalid, match="has no labels yet"):
        desk("feedback", endpoint="delay", labels="odd")
    said = picked.select(key="prediction_id", label=(~pl.col("prediction")).cast(pl.String))
    said = said.with_columns(pl.col("label").str.to_titlecase()).head(6)
    desk("label import", task="odd", data=said, column="label", key="key")
    told = desk("feedback", endpoint="delay", labels="odd")
    assert (told.rows, told.matched) == (6, 6)
    truth = serving.feedback.read(desk.ws, "delay").collect()
    joined = picked.join(truth, on="prediction_id")
    assert (joined["truth"] != joined["prediction"]).all()
    assert joined.height == 6
    with pytest.raises(Invalid, match="comes as data with a column, or as the labels"):
        desk("feedback", endpoint="delay", data=said)
    with pytest.raises(Invalid, match="not from both"):
        desk("label", task="odd", data=said, from_="endpoint:delay")


def test_a_task_is_filled_again_with_later_traffic_and_only_new_labels_are_told(desk):
    line = {"task": "again", "from_": "endpoint:delay", "pick": ["strange", "uncertain"]}
    desk("label", **line, count=6)
    first = labeling.get(desk.ws, "again")
    assert first.counts.total == 6

    def say(start, stop, value):
        frame = pl.DataFrame({"item": range(start, stop), "label": [value] * (stop - start)})
        desk("label import", task="again", data=frame, column="label", item="item")

    def truth():
        found = serving.feedback.read(desk.ws, "delay").collect()
        asked = labeling.export(desk.ws, "again").frame["key"].tolist()
        return dict(
            found.filter(pl.col("prediction_id").is_in(asked))[["prediction_id", "truth"]].rows()
        )

    say(0, 4, "True")
    told = desk("feedback", endpoint="delay", labels="again")
    before, known = truth(), labeling.known_keys(desk.ws, "again")
    assert (told.rows, set(before.values())) == (4, {True})
    # Nothing was served since: nothing is added, and nothing is told again.
    desk("label", **line, count=6)
    assert labeling.get(desk.ws, "again").counts.total == 6
    told = desk("feedback", endpoint="delay", labels="again")
    assert (told.rows, told.known) == (0, True)
    assert told.total == serving.feedback.read(desk.ws, "delay").collect().height
    batches = len(desk.ws.events(kind="feedback.received"))
    later = flights(5, 40).drop(columns="late")
    desk("call", endpoint="delay", data=later)
    deadline = time.monotonic() + 60
    fresh = pl.col("key").str.starts_with("5-")
    while serving.traffic.read(desk.ws, "delay").filter(fresh).collect().height < 40:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    desk("label", **line, count=6)
    task = labeling.get(desk.ws, "again")
    assert (task.counts.total, task.counts.labeled) == (12, 4)
    keys = labeling.known_keys(desk.ws, "again")
    added = serving.traffic.read(desk.ws, "delay").filter(
        pl.col("prediction_id").is_in(list(keys - known))
    )
    assert added.collect()["key"].str.starts_with("5-").all()
    (event,) = desk.ws.events(kind="label.items_added", subject="label:again")
    assert event.payload["items"] == 6
    # Whoever isn't the owner labels what is there.
    other = Workspace.open(desk.ws.root, user="jo")
    find("label")(other, **line, count=30)
    assert labeling.get(desk.ws, "again").counts.total == 12
    say(6, 9, "False")
    # One label is corrected: this and the three new ones are told, the others aren't again.
    say(0, 1, "False")
    told = desk("feedback", endpoint="delay", labels="again")
    assert (told.rows, told.matched) == (4, 4)
    after = truth()
    assert sorted(after.values()) == [False] * 4 + [True] * 3
    assert sum(before[one] != after[one] for one in before) == 1
    assert len(desk.ws.events(kind="feedback.received")) == batches + 1
    assert desk("feedback", endpoint="delay", labels="again").rows == 0


def test_labels_of_other_rows_are_no_truth(desk):
    other = pl.DataFrame({"id": ["a", "b"], "text": ["one", "two"]})
    desk("label", task="other", data=other, kind="text", column="text", key="id",
         classes=["True", "False"])  # fmt: skip
    said = pl.DataFrame({"key": ["a", "b"], "label": ["True", "False"]})
    desk("label import", task="other", data=said, column="label", key="key")
    with pytest.raises(Invalid, match="of no rows that delay answered"):
        desk("feedback", endpoint="delay", labels="other")
    with pytest.raises(Conflict, match="asks about other rows than those of delay"):
        desk("label", task="other", from_="endpoint:delay")
    assert "a" not in serving.feedback.read(desk.ws, "delay").collect()["prediction_id"]
