"""Results of real commands on a real workspace, as they are kept in a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import mlops
from jupyter_mlops.views import mimebundle
from jupyter_mlops.views.blocks import View
from jupyter_mlops.views.kinds import KINDS
from jupyter_mlops.views.text import LINES

from .test_renderings import Page

LIMIT = 200_000
TRAIN = """
from sklearn.linear_model import LogisticRegression
model = LogisticRegression(C={c}).fit(data[["a", "b"]], data["late"])
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What each command gave, in the order of a model's life."""
    import numpy as np
    import pandas as pd

    numbers = np.random.default_rng(0)
    frame = pd.DataFrame(numbers.normal(size=(400, 40)), columns=[f"x{at}" for at in range(40)])
    frame = frame.rename(columns={"x0": "a", "x1": "b", "x2": "<script>alert(1)</script>"})
    frame["late"] = (frame["a"] + numbers.normal(size=400) > 0).astype(int)
    frame["text"] = ["<img src=x onerror=alert(1)> " + "long " * 50] * 400
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("life"))
    made: dict[str, Any] = {"nothing yet": mlops(), "help": mlops.help()}
    made["one help"] = mlops.help("train")
    made["dataset"] = mlops.data.add("flights", frame)
    made["datasets"] = mlops.data.ls()
    made["sample"] = mlops.data.sample("flights", 50)
    made["profile"] = mlops.profile("flights", target="late")
    for at in (1, 2):
        made[f"run {at}"] = mlops.train(
            "late", TRAIN.format(c=at), data="flights", target="late", valid="flights"
        )
    made["runs"] = mlops.runs()
    made["comparison"] = mlops.compare(made["run 1"].id, made["run 2"].id)
    made["model"] = mlops.register(made["run 1"].id, "late", alias="champion")
    made["models"] = mlops.models()
    made["endpoints"] = mlops.endpoints()
    made["agent"] = mlops.agent()
    made["status"] = mlops()
    made["doctor"] = mlops.doctor()
    made["audit"] = mlops.audit.verify()
    yield made
    patch.undo()


def test_every_result_is_short_harmless_and_small(results: dict[str, Any]) -> None:
    for name, result in results.items():
        bundle = mimebundle(result)
        text, page = bundle["text/plain"], Page(bundle["text/html"])
        (mime,) = (one for one in bundle if one.endswith("+json"))
        view = bundle[mime]
        assert len(text.split("\n")) <= LINES, name
        assert page.bad == [], name
        assert view["title"] in page.text, name
        assert view["kind"] in KINDS, name
        assert mime == f"application/vnd.jupyter-mlops.{view['kind']}.v1+json"
        assert len(json.dumps(view, allow_nan=False)) < LIMIT, name
        assert len(bundle["text/html"]) < LIMIT, name


def test_the_five_questions_are_answered(results: dict[str, Any]) -> None:
    shown = mimebundle(results["status"])
    view: dict[str, Any] = next(view for mime, view in shown.items() if mime.endswith("+json"))
    facts, *tables = view["blocks"]
    answers = {fact["label"]: fact["value"] for fact in facts["items"]}
    assert list(answers) == [
        "What is running?",
        "What is served?",
        "What changed?",
        "What waits for a person?",
        "Can I trust it?",
    ]
    assert answers["What is running?"] == "nothing"
    assert answers["Can I trust it?"] == "yes"
    assert "model:late@champion alias moved" in answers["What changed?"]
    assert [table["title"] for table in tables] == [
        "Data",
        "Labels",
        "Experiments",
        "Models",
        "Endpoints",
    ]
    assert [table["total"] for table in tables] == [1, 0, 2, 1, 0]
    data, _, runs, models, _ = (table["rows"] for table in tables)
    assert data[0]["name"] == "data:flights"
    assert {row["state"]["text"] for row in runs} == {"late finished"}
    assert models[0]["name"] == "model:late@1"
    assert models[0]["state"] == {"text": "champion", "level": "good"}


def test_a_changed_log_is_the_first_thing_one_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import text

    from jupyter_mlops.workspace import Workspace

    monkeypatch.chdir(tmp_path)
    workspace = Workspace.open()
    with workspace.write() as tx:
        tx.emit("dataset.added", "data:x@1")
        tx.session.execute(text("UPDATE event SET actor = 'mallory'"))
    assert "Can I trust it? no: event 1" in mimebundle(mlops())["text/plain"]
    doctor = mimebundle(mlops.doctor())["text/plain"]
    assert "✗ audit: event 1" in doctor
    assert "restore the store from a backup" in doctor


def test_a_view_refuses_what_no_front_end_knows() -> None:
    with pytest.raises(ValueError, match="extra"):
        View(kind="run", title="x", colour="red")  # type: ignore[call-arg]
