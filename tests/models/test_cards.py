"""A model card: all that is recorded of a version, on one page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from experiments.workbench import LOGISTIC, Bench
from jupyter_mlops import data, experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.experiments.evidence import RunEvidence
from jupyter_mlops.models.cards import card, say
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.views.blocks import Facts
from jupyter_mlops.workspace import Conflict, Invalid


@pytest.fixture
def version(tracked: Bench) -> models.ModelVersion:
    frame = tracked.names["rows"].assign(
        kind=["a", "b"] * (len(tracked.names["rows"]) // 2) + ["a"]
    )
    dataset = data.add(tracked.ws, "cancer", frame)
    with tracked.ws.write("grace") as tx:
        for task, about in (("late", [dataset.ref]), ("other", [])):
            told = {"digest": task[0] * 64, "labeled": 7}
            tx.emit("label.committed", f"label:{task}", payload=told, inputs=about)
    held_out = tracked.names["held_out"].assign(kind="a")
    held_out.loc[::3, "kind"] = "b"
    body = LOGISTIC.replace('columns="target"', 'columns=["target", "kind"]')
    run = tracked.scored(body.replace("rows", "data"), data=dataset, valid=held_out)
    sending.send(tracked.ws, run.id)
    return models.register(tracked.ws, experiments.find_run(tracked.ws, run), "delay")


def test_a_card_tells_use_origin_metrics_gates_and_approvals(
    tracked: Bench, version: models.ModelVersion, tmp_path: Path
) -> None:
    ws = tracked.ws
    assert (
        "Nobody has said what it is for"
        in mimebundle(find("card")(ws, model="delay"))["text/plain"]
    )
    find("gate")(ws, model="delay", gates="auc > 0.5")
    find("gate check")(ws, model="delay")
    find("approve")(ws, model="delay@1", note="read | checked")
    file = tmp_path / "CARD.md"
    made = find("card")(ws, model="delay@1", say="Screening, <b>not</b> diagnosis.", to=str(file))
    assert made.data["digest"] == data.get(ws, "cancer").digest
    assert made.origin["cell"] == experiments.find_run(ws, f"run:{version.run_id}").cell
    whole = {one.metric: one for one in made.figures if not one.slice}
    assert whole["auc"].value == pytest.approx(version.metrics["auc"])
    assert whole["auc"].low is not None
    assert {one.slice for one in made.figures if one.slice} == {"kind = a", "kind = b"}
    text = file.read_text()
    for part in (
        "# delay@1",
        "Screening, \\<b\\>not\\</b\\> diagnosis.",
        made.data["digest"],
        version.digest,
        "| pass | auc \\> 0.5 |",
        "read \\| checked",
        "scikit-learn==",
        'models.load(Workspace.open(), "delay@1")',
    ):
        assert part in text
    facts = [fact for one in view(made).blocks if isinstance(one, Facts) for fact in one.items]
    assert all(fact.hint != fact.value and len(fact.value) <= 40 for fact in facts)
    (cell,) = (fact for fact in facts if fact.label == "Cell")
    assert (cell.value, cell.hint) == (made.origin["cell"][:12], made.origin["cell"])
    plain = mimebundle(made)["text/plain"]
    assert len(plain.splitlines()) <= 15
    assert "Screening" in plain
    # Written again it replaces itself, and nothing else.
    find("card")(ws, model="delay@1", to=str(file))
    file.write_text("my notes")
    with pytest.raises(Conflict, match="holds no model card"):
        find("card")(ws, model="delay@1", to=str(file))


def test_the_lines_that_load_it_work(tracked: Bench, version: models.ModelVersion) -> None:
    names: dict[str, object] = {}
    code = card(tracked.ws, "delay", RunEvidence(tracked.ws)).loading
    exec(code.replace("Workspace.open()", "ws"), {"ws": tracked.ws}, names)
    rows = tracked.names["held_out"].drop(columns="target")
    assert isinstance(rows, pd.DataFrame)
    assert names["model"].predict(rows).shape == (len(rows),)  # type: ignore[attr-defined]


def test_labels_of_the_training_data_are_told_by_digest(
    tracked: Bench, version: models.ModelVersion
) -> None:
    (labels,) = card(tracked.ws, "delay", RunEvidence(tracked.ws)).labels
    assert (labels.task, labels.digest, labels.actor) == ("label:late", "l" * 64, "grace")


def test_what_a_model_is_for_must_be_said_in_words(
    tracked: Bench, version: models.ModelVersion
) -> None:
    with pytest.raises(Invalid, match="can't say what a model is for"):
        say(tracked.ws, "delay", "  ")
    said = say(tracked.ws, "delay", "Screening.")
    assert card(tracked.ws, "delay", RunEvidence(tracked.ws)).use == said
