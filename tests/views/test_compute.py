"""What experiments run on: workers' load, clusters with a way to Dask's own page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jupyter_mlops.experiments.browsing import browse
from jupyter_mlops.experiments.clusters import Clusters, Held
from jupyter_mlops.views import view
from jupyter_mlops.views.blocks import Actions, Facts, Notice, Table, View
from jupyter_mlops.views.html import render_html
from jupyter_mlops.workspace import Workspace
from views.searches import add_experiment

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
LOCAL = Held(
    "local-1f3c", "running", "local", "ada", "here:1", "tcp://127.0.0.1:1",
    "http://127.0.0.1:8787/status", "", 2, NOW, NOW, "",
)  # fmt: skip
FAR = replace(LOCAL, name="far", kind="gateway", dashboard="https://dask.example.org/x/status")


def table(shown: View) -> Table:
    return next(one for one in shown.blocks if isinstance(one, Table))


def test_clusters_lead_to_their_dashboards_and_are_stopped_from_the_list() -> None:
    ended = replace(LOCAL, name="old", status="stopped")
    shown = view(Clusters((LOCAL, FAR, ended)))
    links = [row["dashboard"] for row in table(shown).rows]
    assert links == [
        {"text": "http://127.0.0.1:8787/status", "path": "proxy/8787/status"},
        # What runs elsewhere isn't behind this server.
        {"text": "https://dask.example.org/x/status", "path": ""},
        None,
    ]
    assert "Owner" not in [one.label for one in table(shown).columns]
    several = view(Clusters((LOCAL, replace(FAR, actor="bob"))))
    assert "Owner" in [one.label for one in table(several).columns]
    stops = next(one for one in shown.blocks if isinstance(one, Actions)).items
    assert [(one.label, one.args) for one in stops] == [
        ("Stop local-1f3c", {"name": "local-1f3c"}), ("Stop far", {"name": "far"}),
    ]  # fmt: skip
    assert all(one.danger and one.confirm for one in stops)
    assert "https://dask.example.org/x/status" in render_html(several)
    undrawn = view(Clusters((replace(LOCAL, dashboard=""),)))
    assert any(isinstance(one, Notice) and "bokeh" in one.text for one in undrawn.blocks)


def test_a_running_experiment_says_how_busy_its_workers_are(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path / "project")
    workers = [
        {"name": "tcp://127.0.0.1:40000", "trial": 18, "cpu": 0.97, "memory": 3e9, "limit": 4e9},
        {"name": "tcp://127.0.0.1:40007", "trial": None, "cpu": 0.02, "memory": 1e9, "limit": 4e9},
    ]
    cluster = {"name": LOCAL.name, "kind": "local", "dashboard": LOCAL.dashboard}
    name = add_experiment(
        ws, trials=20, status="running", outcome={"workers": workers, "cluster": cluster}
    )
    shown = view(browse(ws, name))
    found = table(shown)
    assert found.title == "Workers"
    busy, idle = found.rows
    assert (busy["trial"], busy["cpu"], busy["done"]) == ("18", 0.97, 9)
    assert busy["memory"] == {"share": 0.75, "text": "2.8 GiB of 3.7 GiB"}
    assert (idle["trial"], idle["done"]) == (None, 0)
    assert "GPU" not in [one.label for one in found.columns]
    facts = [fact for one in shown.blocks if isinstance(one, Facts) for fact in one.items]
    assert next(one for one in facts if one.label == "Dashboard").path == "proxy/8787/status"
    assert "2.8 GiB of 3.7 GiB" in render_html(shown)
    # What its driver told last says nothing of one that ended.
    ended = add_experiment(
        ws, trials=20, status="interrupted", seed=3,
        outcome={"workers": workers, "cluster": cluster},
    )  # fmt: skip
    text = render_html(view(browse(ws, ended)))
    assert "GiB" not in text
    assert "Dashboard" not in text
